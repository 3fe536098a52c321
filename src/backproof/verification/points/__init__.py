"""The points at which a claim is tried: sizes, values and directions, and the draws of Hypothesis."""
