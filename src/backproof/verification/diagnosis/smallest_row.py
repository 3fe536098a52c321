"""The smallest example of a row that loses its digits in low precision."""

import itertools
from collections.abc import Sequence

import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import widen
from backproof.verification.diagnosis.smallest import with_plain_numbers
from backproof.verification.judging.accuracy import Row, worst_at, worst_rows
from backproof.verification.points.draws import Drawn
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.point import Point


def at_smallest(row: Row, low: LowPrecision, groups: Sequence[Sequence[Drawn]]) -> Row:
    """Return a row of the same leaf that fails in the same precision at the smallest shape, or `row`.

    Args:
        row: the failing row.
        low: the precision in which it fails.
        groups: draws of one shape each, the smallest first.
    """
    for draws in groups:
        rows = worst_rows(low, draws)
        failing = [one for one in rows if one.fails and one.leaf == row.leaf]
        if failing:
            return failing[0]
    return row


def plainer_row(row: Row, low: LowPrecision) -> Row:
    """Return a row of the same leaf that fails alike at a point of plainer numbers, or `row`."""
    budget = itertools.count()

    def fails(point: Point) -> bool:
        return next(budget) < EFFORT.plain_rows and any(
            _fails_alike(one, row) for one in worst_at(low, [point])
        )

    # a predicate of the user may not accept the dtypes of low precision
    points = low.claim.points
    plain = with_plain_numbers(row.point, lambda args: points.admits(widen(args)), fails, points.plainer)
    return next((one for one in worst_at(low, [plain]) if _fails_alike(one, row)), row)


def _fails_alike(one: Row, row: Row) -> bool:
    """Return whether `one` fails in the leaf of `row`, and both are finite or neither is."""
    lost = [bool(np.isfinite(each.hand)) for each in (one, row)]
    return one.fails and one.leaf == row.leaf and lost[0] == lost[1]
