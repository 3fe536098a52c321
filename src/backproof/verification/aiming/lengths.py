"""The lengths to which axes are extended: just beyond the blocks in which kernels work, where that is cheap.

A carry lost between two blocks, or a remainder that is dropped, is invisible while an axis fits into one
block. How long an axis may be is decided by the work: entries that the interpreter computes, operations that
it runs, and operations that are compiled. Code that unrolls a loop over an axis soon costs too much to
compile; loops over blocks, and trees of scans, do not.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from backproof.numerics.cost import Cost, cost_of
from backproof.numerics.effort import EFFORT
from backproof.verification.points.sizes import LARGER, LENGTHS
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import point_of


class Costs(NamedTuple):
    """Holds the costs of autodiff and of the hand-written side at one point."""

    truth: Cost
    hand: Cost

    @property
    def work(self) -> int:
        """The work of judging one point, in entries: both sides are interpreted, and one is compiled."""
        return self.truth.interpreted + self.hand.interpreted + EFFORT.compiled * self.hand.operations


# The costs of both sides where an axis has a length; None where they do not exist there.
CostsAt = Callable[[str, int], Costs | None]


def longest(costs: CostsAt, axis: str) -> int | None:
    """Return the greatest of `LENGTHS` at which `axis` is worth trying, or None where there is none."""
    found, known = None, []
    for length in LENGTHS:
        most = dict(EFFORT.work)[length]
        if len(known) > 1 and _foreseen(known, length) > most:
            return found  # tracing it would cost more than it is worth
        cost = costs(axis, length)
        if cost is None or cost.work > most:
            return found
        found, known = length, [*known, (length, cost.work)]
    return found


def _foreseen(known: list[tuple[int, int]], length: int) -> float:
    """Return the work at a length, extrapolated from the last two known ones as a power of the length."""
    (few, less), (more, much) = known[-2:]
    growth = math.log((1 + much) / (1 + less)) / math.log(more / few)
    return much * (length / more) ** growth


def cut_short(costs: CostsAt, lengths: dict[str, int | None]) -> list[str]:
    """Return a note on each axis that is never as long as the longest block, because that costs too much."""
    short = {axis: found for axis, found in lengths.items() if found != LENGTHS[-1]}
    costly = [axis for axis, found in short.items() if costs(axis, _next_to(found)) is not None]
    return [
        f"axis {axis} was tried only up to length {short[axis] or max(LARGER)}: longer ones cost too much; "
        f"to reach further, write a number in its place, e.g. {LENGTHS[-1]}"
        for axis in costly
        if (short[axis] or 0) < LENGTHS[1]
    ]


def _next_to(length: int | None) -> int:
    return LENGTHS[LENGTHS.index(length) + 1 if length else 0]


def affordable(costs: CostsAt, axis: str, length: int) -> bool:
    """Return whether `axis` may have this length for a sum that saturates: the work stays small."""
    known: list[tuple[int, int]] = []
    for shorter in LENGTHS:
        if len(known) > 1 and _foreseen(known, shorter) > EFFORT.saturating:
            return False
        cost = costs(axis, shorter)
        if cost is None:
            return False
        # at this length the hand-written side runs compiled, so its operations count when they are compiled
        work = cost.truth.interpreted + cost.hand.entries + EFFORT.compiled * cost.hand.operations
        known.append((shorter, work))
    return _foreseen(known, length) <= EFFORT.saturating


def costs_of(evaluators: Evaluators, axis: str, length: int) -> Costs | None:
    """Return the costs of both sides at a length of an axis; None where they do not exist there."""
    drawn = evaluators.claim.points.longer(axis, length, 0)
    on_host = evaluators.claim.host or evaluators.claim.by_point
    if drawn is None or (on_host and length > LENGTHS[0]) or evaluators.claim.differences:
        return None  # what a longer axis costs in NumPy code, which may loop over it, is not known
    try:
        point = point_of(evaluators.claim, drawn)
        programs = evaluators.truth.program(point), evaluators.hand.program(point)
    except Exception:
        # Not every function exists at every size; what it raises at the sizes of the menu is reported there.
        return None
    return Costs(*(cost_of(program.jaxpr) for program in programs))
