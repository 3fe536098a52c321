"""The limit of difference quotients whose steps halve, with an estimate of its error.

Richardson's extrapolation, in the form in which the spread of the table bounds the error (Ridders 1982,
doi:10.1016/S0141-1195(82)80057-0). A spread is no evidence where the quotients do not approach a limit, as
at the foot of a square root, or where a step is longer than a wave: `converges` tells these apart.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from backproof.numerics.tolerance import AGREES_WITHIN, LEAST_SHRINKING


class Slope(NamedTuple):
    """Holds a directional derivative and an estimate of its error."""

    value: float
    error: float


def extrapolated(ladder: list[Any], base: int, rounding: float) -> Slope:
    """Return the limit of a ladder whose errors shrink by powers of `base`, each rung off by `rounding`."""
    best, error = ladder[0], np.inf
    row = ladder
    with np.errstate(all="ignore"):
        for order in range(1, len(ladder)):
            factor = np.longdouble(base) ** order
            row = [(factor * fine - coarse) / (factor - 1) for coarse, fine in itertools.pairwise(row)]
            for fine, before in zip(row[1:], row, strict=False):
                apart = abs(fine - before)
                if apart < error:
                    best, error = fine, apart
    return Slope(float(best), float(error) + rounding)


def converges(ladder: Sequence[Any], base: int, roundings: Sequence[float]) -> bool:
    """Return whether the rungs of a ladder approach a limit at the rate of its order.

    From rung to rung they must move less, by nearly the factor `base`, down to their rounding.

    Args:
        ladder: the rungs, whose steps halve.
        base: the factor by which the leading error shrinks.
        roundings: by how much each rung is off.
    """
    moves = [abs(fine - coarse) for coarse, fine in itertools.pairwise(ladder)]
    if not np.all(np.isfinite(np.asarray(moves, np.float64))):
        return False
    for (before, after), rounding in zip(itertools.pairwise(moves), roundings[2:], strict=True):
        if after * LEAST_SHRINKING * base > before and after > AGREES_WITHIN * rounding:
            return False
    return True
