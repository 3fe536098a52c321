"""A line and the value before it, as a claim of the verifier: what must equal what, and at which points.

So a line that does not follow is judged at its kinks, explained and mended as a backward pass is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.derivations.judgement import State
from backproof.derivations.lines import LineError
from backproof.derivations.table import Table
from backproof.derivations.walk import assumed, walk
from backproof.numerics.noise import Measured
from backproof.verification.claims.claim import Claim
from backproof.verification.diagnosis.diagnosis import Diagnosis, diagnose
from backproof.verification.judging.judge import Judgement, Outcome, first_look, judge_all
from backproof.verification.points.draws import Points
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point

RIGHT = (Outcome.AGREES, Outcome.CONFIRMED)


class Link(NamedTuple):
    """Holds one line and the line that it must equal.

    Attributes:
        evaluators: the evaluators of the claim that they are equal.
        judged: the judgement of each point at which the two were compared, up to a few that are wrong.
        looks: both sides at these points.
    """

    evaluators: Evaluators
    judged: list[Judgement]
    looks: list[Look]

    @property
    def is_choice(self) -> bool:
        """Whether the line agrees everywhere, but for another choice at kinks."""
        return {one.outcome for one in self.judged} <= {*RIGHT, Outcome.SUBGRADIENT}

    def strictly(self) -> "Link":
        """Return the same with whatever does not agree held against the line, as an erratum may do."""
        strict = (one if one.outcome in RIGHT else one._replace(outcome=Outcome.WRONG) for one in self.judged)
        return self._replace(judged=list(strict))

    def diagnosis(self) -> Diagnosis | None:
        """Return what is known about the failure; None if there is none."""
        return diagnose(self.evaluators, self.judged, self.looks, Clock())


def link(function: Callable[..., Any], points: Points, table: Table, number: int, other: int) -> Link:
    """Return a line and the line before it at the points of a table, of which some are judged.

    Args:
        function: the generator function.
        points: where it can be tried.
        table: its lines at the drawn points.
        number: the number of the line.
        other: the number of the value that it must equal.
    """
    later = [n for n in range(number + 1, len(table.lines)) if _is_right(table, n, other)]
    evaluators = Evaluators(_claim(function, points, number, other, later))
    following: list[Look] = []
    failing: list[Look] = []
    for run in table.runs:
        if len(run.lines) <= max(number, other):
            continue
        here, before = (run.values[table.lines[n]] for n in (number, other))
        for i, state in enumerate(table.seen(run, number, other).states):
            if state == State.SKIPPED:
                continue
            mine, _, true, noise = (
                jax.tree.map(lambda leaf, i=i: _number(leaf)[i], part) for part in (*here, *before)
            )
            look = Look(Point(run.points[i], ()), mine, Measured(true, noise), tied=False)
            (following if state == State.FOLLOWS else failing).append(look)
    # a line that follows in real numbers may lose its digits
    agreeing = [first_look(*look[:3])._replace(outcome=Outcome.AGREES) for look in following]
    return Link(evaluators, agreeing + judge_all(evaluators, failing, Clock()), following + failing)


def _is_right(table: Table, number: int, other: int) -> bool:
    """Return whether a later value equals the value before the wrong line, wherever it was judged."""
    if not table.is_value(number):
        return False
    row = table.row(number, other)
    return bool(row.judged) and not (row.fails or row.broken)


def _claim(
    function: Callable[..., Any], points: Points, number: int, other: int, later: Sequence[int]
) -> Claim:
    def line(args: tuple[Any, ...], direction: Any) -> Any:
        return _line(function, args, number)[0]

    def before(args: tuple[Any, ...], direction: Any) -> Any:
        return _line(function, args, other)[0]

    def admitted(*args: Any) -> Any:
        """Return the line before; NaN where an assumption does not hold, so that no such point counts."""
        value, admits = _line(function, args, other)
        return jax.tree.map(lambda leaf: jnp.where(admits, leaf, jnp.nan), value)

    name = f"line {number} of {function.__name__}"
    claim = Claim(name, admitted, line, before, forward=True, points=points, is_directed=False)
    beside = tuple(lambda *args, n=n: _line(function, args, n)[0] for n in later)
    # as for a tangent, at a kink every value between those on its sides is right
    return claim._replace(result="the line", meant="the line before", beside=beside)


def _line(function: Callable[..., Any], args: tuple[Any, ...], number: int) -> tuple[Any, Any]:
    """Return the value of a line, as real or complex numbers, and whether the assumptions hold.

    The lines after it are run too, since a mend may take from them.
    """
    walked = walk(function, args, only=number)
    if walked.ended and walked.ended.number <= number:
        raise LineError(walked.ended.text, walked.ended.row, walked.ended.number)
    lines = [step.payload for step in walked.steps if step.is_line]
    return jax.tree.map(_number, lines[number]), assumed(walked.steps)


def _number(value: Any) -> Any:
    return value if jnp.issubdtype(value.dtype, np.inexact) else value.astype(np.float64)
