"""The limit of difference quotients whose steps halve, with an estimate of its error.

Richardson's extrapolation, in the form in which the spread of the table bounds the error (Ridders 1982,
doi:10.1016/S0141-1195(82)80057-0).
"""

import itertools
from typing import Any, NamedTuple

import numpy as np


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
