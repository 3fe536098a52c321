"""Tables of programs that compute the same in different ways; the first row is autodiff's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from backproof.benchmark.program import Maker, Program, compile_interleaved
from backproof.benchmark.timing import Run, Spread, interleaved, ratio
from backproof.rule import PyTree


@dataclass(frozen=True)
class Row:
    """Holds the figures of one way.

    Attributes:
        name: the name of the way.
        program: the figures of its program.
        time: its run time divided by that of the table's first row.
    """

    name: str
    program: Program
    time: Spread


@dataclass(frozen=True)
class Table:
    """Holds several ways to do what the title says, the first being autodiff's."""

    title: str
    rows: tuple[Row, ...]


class Way(NamedTuple):
    """Holds one way of computing what a table is about: a maker of its function, and the arguments."""

    name: str
    make: Maker
    args: tuple[PyTree, ...]


def table(
    title: str,
    ways: Sequence[Way],
    seconds: float,
    *,
    bound: Callable[..., Run] = partial,
    times: int = 1,
    **jit: int,
) -> Table:
    """Return the table of `ways`, compiled and timed in turn; `bound` makes a run of each."""
    args = [way.args for way in ways]
    compiled = compile_interleaved([way.make for way in ways], args, times=times, **jit)
    runs = [bound(one.run, *its_args) for one, its_args in zip(compiled, args, strict=True)]
    taken = interleaved(runs, seconds)
    rows = [
        Row(way.name, one.program, ratio(its_times, taken[0]))
        for way, one, its_times in zip(ways, compiled, taken, strict=True)
    ]
    return Table(title, tuple(rows))
