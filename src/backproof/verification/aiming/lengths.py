"""The lengths to which axes are extended: just beyond the blocks in which kernels work, where that is cheap.

A carry lost between two blocks, or a remainder that is dropped, is invisible while an axis fits into one
block. Code that unrolls a loop over an axis grows with the axis, so it is tried only a little beyond small
blocks. A branch that is taken beyond some length adds only a few operations, so longer axes are still tried.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr

from backproof.numerics.effort import EFFORT
from backproof.numerics.tracing import inner_programs
from backproof.verification.points.sizes import LARGER, LENGTHS
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import point_of


class Cost(NamedTuple):
    """Holds the cost of a program: operations written, operations run, and entries computed."""

    operations: int
    run: int
    entries: int

    @property
    def interpreted(self) -> int:
        """The work of the interpreter, in entries."""
        return self.entries + EFFORT.operation * self.run


class Costs(NamedTuple):
    """Holds the costs of autodiff and of the hand-written side at one point."""

    truth: Cost
    hand: Cost

    @property
    def operations(self) -> int:
        """The operations written in both."""
        return self.truth.operations + self.hand.operations


# The costs of both sides where an axis has a length; None where they do not exist there.
CostsAt = Callable[[str, int], Costs | None]


def longest(costs: CostsAt, axis: str) -> int | None:
    """Return the greatest of `LENGTHS` at which `axis` is worth trying, or None where there is none."""
    found, before, work = None, None, dict(EFFORT.work)
    for length in LENGTHS:
        cost = costs(axis, length)
        if cost is None or sum(side.interpreted for side in cost) > work[length]:
            return found
        if before and cost.operations > before.operations + EFFORT.branch:
            return found
        found, before = length, cost
    return found


def cut_short(costs: CostsAt, lengths: dict[str, int | None]) -> list[str]:
    """Return a note on each axis that is never longer than a block of 128, because that costs too much."""
    short = {axis: found for axis, found in lengths.items() if found != LENGTHS[-1]}
    following = {axis: LENGTHS[LENGTHS.index(found) + 1 if found else 0] for axis, found in short.items()}
    costly = [axis for axis, n in following.items() if n < LENGTHS[-1] and costs(axis, n) is not None]
    return [
        f"axis {axis} was tried only up to length {lengths[axis] or max(LARGER)}: longer ones cost too much"
        for axis in costly
    ]


def affordable(costs: CostsAt, axis: str, length: int) -> bool:
    """Return whether `axis` may have this length: neither side grows with it, and the work stays small.

    The work is extrapolated from two shorter lengths, as a power of the length.
    """
    few, more = (costs(axis, n) for n in LENGTHS[:2])
    if few is None or more is None or more.operations > few.operations + EFFORT.branch:
        return False
    # at this length the hand-written side runs compiled, so its operations count for nothing
    less, much = (1 + cost.truth.interpreted + cost.hand.entries for cost in (few, more))
    growth = math.log(much / less) / math.log(LENGTHS[1] / LENGTHS[0])
    if much * (length / LENGTHS[1]) ** growth > EFFORT.saturating:
        return False
    # a branch adds operations once; code that is unrolled in blocks keeps growing
    most = more if more.operations == few.operations else costs(axis, LENGTHS[2])
    return most is not None and most.operations == more.operations


def costs_of(evaluators: Evaluators, axis: str, length: int) -> Costs | None:
    """Return the costs of both sides at a length of an axis; None where they do not exist there."""
    drawn = evaluators.claim.points.longer(axis, length, 0)
    on_host = evaluators.claim.host or evaluators.claim.by_point
    if drawn is None or (on_host and length > LENGTHS[0]):
        return None  # what a longer axis costs in NumPy code, which may loop over it, is not known
    try:
        point = point_of(evaluators.claim, drawn)
        programs = evaluators.truth.program(point), evaluators.hand.program(point)
    except Exception:
        # Not every function exists at every size; what it raises at the sizes of the menu is reported there.
        return None
    return Costs(*(_cost_of(program.jaxpr) for program in programs))


def _cost_of(program: ClosedJaxpr | Jaxpr) -> Cost:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    operations = run = entries = 0
    for eqn in jaxpr.eqns:
        inner = [_cost_of(one) for one in inner_programs(eqn.params)]
        times = eqn.params.get("length", 1)
        operations += 1 + sum(cost.operations for cost in inner)
        run += 1 + times * sum(cost.run for cost in inner)
        entries += sum(math.prod(getattr(var.aval, "shape", ())) for var in eqn.outvars)
        entries += times * sum(cost.entries for cost in inner)
    return Cost(operations, run, entries)
