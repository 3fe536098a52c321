"""Where a claim is tried: sizes, values, directions, and what Hypothesis draws of them."""
