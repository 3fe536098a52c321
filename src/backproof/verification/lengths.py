"""How long an axis is made: just beyond the blocks in which kernels work, where that costs little.

A carry lost between two blocks, or a remainder that is dropped, is invisible while an axis fits into one
block. Code that unrolls a loop over an axis grows with it, and is tried a little beyond small blocks only;
a branch that is taken beyond some length adds a few operations, and is followed.
"""

import math
from typing import NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr

from backproof.verification.oracles import Runner, point_of
from backproof.verification.points import Drawn
from backproof.verification.sizes import LARGER
from backproof.verification.tracing import inner_programs

# Just beyond blocks of 32, 128 and 1,024, and no multiple of any; and beside each the blocks filled exactly.
LENGTHS = (37, 133, 1031)
FILLED = {37: 32, 133: 128, 1031: 1024}
# Entries that may be computed for one point: about a fifth of a second in the interpreter for lengths that
# a loop over the axis must reach to meet a second block, a twentieth for the longest.
WORK = {37: 2**22, 133: 2**22, 1031: 2**20}
# Entries that may be computed for a sum that saturates: half a second.
AFFORDABLE = 2**23
# How many operations more are a branch, or a few blocks; a loop unrolled entry by entry grows by more.
BRANCH = 64
# What an operation costs beside its entries, in entries.
OPERATION = 1000


class Cost(NamedTuple):
    """Holds what a program costs: operations written, operations run, and entries computed."""

    operations: int
    run: int
    entries: int

    @property
    def interpreted(self) -> int:
        """The work of the interpreter, in entries."""
        return self.entries + OPERATION * self.run


class Costs(NamedTuple):
    """Holds what autodiff and the hand-written side cost at one point."""

    truth: Cost
    hand: Cost

    @property
    def operations(self) -> int:
        """The operations written in both."""
        return self.truth.operations + self.hand.operations


def longest(runner: Runner, axis: str) -> int | None:
    """Return the greatest of `LENGTHS` at which `axis` is worth trying, or None where there is none."""
    found, before = None, None
    for length in LENGTHS:
        cost = _costs(runner, axis, length)
        if cost is None or sum(side.interpreted for side in cost) > WORK[length]:
            return found
        if before and cost.operations > before.operations + BRANCH:
            return found
        found, before = length, cost
    return found


def cut_short(runner: Runner, lengths: dict[str, int | None]) -> list[str]:
    """Return a sentence for each axis that is never beyond a block of 128, as that costs too much."""
    short = {axis: found for axis, found in lengths.items() if found != LENGTHS[-1]}
    following = {axis: LENGTHS[LENGTHS.index(found) + 1 if found else 0] for axis, found in short.items()}
    costly = [
        axis for axis, n in following.items() if n < LENGTHS[-1] and _costs(runner, axis, n) is not None
    ]
    return [
        f"axis {axis} was tried up to {lengths[axis] or max(LARGER)} long only: longer it costs too much"
        for axis in costly
    ]


def affordable(runner: Runner, axis: str, length: int) -> bool:
    """Return whether `axis` may be as long: no side grows with it, and what is computed stays small.

    The work is extrapolated from two shorter lengths, as the power of the length that it grows by.
    """
    few, more = (_costs(runner, axis, n) for n in LENGTHS[:2])
    if few is None or more is None or more.operations > few.operations + BRANCH:
        return False
    # the hand-written side runs compiled there
    less, much = (1 + cost.truth.interpreted + cost.hand.entries for cost in (few, more))
    growth = math.log(much / less) / math.log(LENGTHS[1] / LENGTHS[0])
    if much * (length / LENGTHS[1]) ** growth > AFFORDABLE:
        return False
    # a branch is taken once, what is unrolled in blocks goes on to grow
    most = more if more.operations == few.operations else _costs(runner, axis, LENGTHS[2])
    return most is not None and most.operations == more.operations


def long_draws(runner: Runner, lengths: dict[str, int | None], seed: int) -> list[Drawn]:
    """Return draws with each axis in turn as long as `lengths` says, and a little shorter."""
    both = [(axis, n) for axis, length in lengths.items() if length for n in (length, FILLED[length])]
    draws = [runner.claim.points.longer(axis, n, seed) for axis, n in both]
    return [one for one in draws if one is not None]


def _costs(runner: Runner, axis: str, length: int) -> Costs | None:
    """Return what both sides cost where an axis is as long; None where they do not exist there."""
    drawn = runner.claim.points.longer(axis, length, 0)
    if drawn is None:
        return None
    try:
        point = point_of(runner.claim, drawn)
        programs = runner.program_of_truth(point), runner.program_of_hand(point)
    except Exception:
        # Not every function exists at every size; what it raises at the sizes of the menu is told there.
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
