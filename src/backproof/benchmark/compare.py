"""The measurement of one size: the hand sweep, autodiff of the same network, and the limit, interleaved."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import jax

from backproof.benchmark.estimate import LeftOut
from backproof.benchmark.grid import Size
from backproof.benchmark.limit import Layout, best_layout, limit
from backproof.benchmark.problem import Gradient, by_autodiff, by_hand, problem
from backproof.benchmark.program import Program, compile_interleaved, compile_ratio, quotient
from backproof.benchmark.timing import Spread, interleaved, ratio, spread
from backproof.rule import Loss, Rule

Side = Callable[[Rule, Loss], Gradient]
# The part of a size's time that is spent on finding the best layout.
LAYOUT_SHARE = 0.25


@dataclass(frozen=True)
class Comparison:
    """Holds the figures of one size; every ratio is by hand divided by autodiff: below 1, hand is less.

    Attributes:
        size: the network and the batch.
        hand, autodiff: the compiled programs.
        hand_seconds, autodiff_seconds, limit_seconds: the time of one call.
        time: the ratio of run times.
        compile: the ratio of compile times.
        memory: the ratio of temporary bytes, by XLA's analysis; None if there is no such ratio.
        flops: the ratio of floating-point operations, likewise.
        hand_of_limit, autodiff_of_limit: the fraction of the matrix-multiplication limit that is
            reached: 1 means that a step takes as long as its products alone.
    """

    size: Size
    hand: Program
    autodiff: Program
    hand_seconds: Spread
    autodiff_seconds: Spread
    limit_seconds: Spread
    time: Spread
    compile: Spread
    memory: float | None
    flops: float | None
    hand_of_limit: Spread
    autodiff_of_limit: Spread


def compare_each(sizes: Iterable[Size], seconds: float) -> Iterator[Comparison | LeftOut]:
    """Yield the comparison of each size, timed for about `seconds`; `LeftOut` if the device cannot run it."""
    known: dict[tuple[int, int, str], Layout] = {}
    for size in sizes:
        shape = size.width, size.batch, size.dtype
        try:
            if shape not in known:
                known[shape] = best_layout(*shape, seconds * LAYOUT_SHARE)
            yield compare(size, known[shape], seconds)
        except jax.errors.JaxRuntimeError as error:  # e.g. because memory does not suffice
            yield LeftOut(size, f"the device says: {str(error).splitlines()[0]}")


def compare(
    size: Size, layout: Layout, seconds: float, *, hand: Side = by_hand, autodiff: Side = by_autodiff
) -> Comparison:
    """Return the figures of one size.

    Args:
        size: the network and the batch.
        layout: how the matrices of the limit are stored.
        seconds: about how long the three are timed.
        hand: makes the gradient of one side from a network and a loss.
        autodiff: makes the gradient of the other side.
    """
    shared = problem(size)
    makers = [partial(side, shared.network, shared.loss) for side in (hand, autodiff)]
    sides = compile_interleaved(makers, [shared.args] * 2)
    runs = [partial(side.run, *shared.args) for side in sides]
    hand_times, autodiff_times, limit_times = interleaved([*runs, limit(size, layout)], seconds)
    programs = [side.program for side in sides]
    return Comparison(
        size=size,
        hand=programs[0],
        autodiff=programs[1],
        hand_seconds=spread(hand_times),
        autodiff_seconds=spread(autodiff_times),
        limit_seconds=spread(limit_times),
        time=ratio(hand_times, autodiff_times),
        compile=compile_ratio(*programs),
        memory=quotient(programs[0].temporary_bytes, programs[1].temporary_bytes),
        flops=quotient(programs[0].flops, programs[1].flops),
        hand_of_limit=ratio(limit_times, hand_times),
        autodiff_of_limit=ratio(limit_times, autodiff_times),
    )
