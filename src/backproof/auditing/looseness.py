"""How loose a tolerance is: the smallest factor that makes the test fail, against the measured rounding."""

import math
from collections.abc import Callable, Mapping, Sequence

from backproof.auditing.call import Call, gradient_form
from backproof.auditing.report import Outcome, Tolerance
from backproof.auditing.rounding import relative
from backproof.auditing.slips import SCALED, Slip
from backproof.numerics.tolerance import AGREES_WITHIN

# A leaf that may be 2^20 times too large, about a million, may be anything.
MOST = 20
# The slips that scale a leaf, the smallest first, and the powers of two next to the part by which it is off.
BETWEEN = (("times 1.01", -7, -6), ("twice", 0, 0))


def tolerance_of(
    points: Sequence[Call], leaf: str, outcomes: Mapping[str, Outcome], passes: Callable[[Slip], bool]
) -> Tolerance | None:
    """Return how far a leaf may be off, to within a factor of 2; None where it is zero at every point.

    A test that fails at some factor is taken to fail at every larger one.

    Args:
        points: where the test runs the rule.
        leaf: the path of the leaf.
        outcomes: what the test did with the slips that were planted in this leaf, by their kind; they
            shorten the search.
        passes: whether the test passes with a slip planted.
    """
    parts = [part for point in points if (part := relative(gradient_form(point), leaf)) is not None]
    if not parts:
        return None
    rounding = min(parts)
    # The leaf times 1 + 2^low passes, and times 1 + 2^high does not.
    low, high = math.ceil(math.log2(AGREES_WITHIN * rounding)) - 1, MOST + 1
    least = low
    for kind, below, above in BETWEEN:
        outcome = outcomes.get(kind, Outcome.LEFT_OUT)
        if outcome.killed:
            high = above
            break
        if outcome.survived:
            low = max(low, below)
    while high - low > 1:
        middle = (low + high) // 2
        if passes(Slip(SCALED, leaf, factor=1 + 2.0**middle)):
            low = middle
        else:
            high = middle
    return Tolerance(
        leaf,
        0.0 if low == least else 2.0**low,
        math.inf if high > MOST else 2.0**high,
        rounding,
    )
