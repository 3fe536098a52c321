"""Replays a derivation at many points of one shape: every line with its value and its rounding noise.

The whole generator is traced once, under vmap over the points, and run by the verifier's NumPy
interpreter with its roundings varied; nothing is compiled, so a new shape costs milliseconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from backproof.derivations.lines import Step
from backproof.derivations.source import Source
from backproof.derivations.walk import Raised, Walked, bridged, walk
from backproof.numerics.leaves import shapes_of
from backproof.numerics.noise import Measured, measure_program
from backproof.numerics.tolerance import FLUSHED
from backproof.numerics.tracing import Program, float64, trace

PyTree = Any
Args = tuple[PyTree, ...]


@dataclass
class Replay:
    """Holds the lines of a derivation at points of one shape; the first axis of each array is the points.

    Attributes:
        points: the argument tuples.
        steps: the lines' kinds, formulas and reasons, without their arrays.
        raised: the errors that lines raise at this shape; these lines are left open.
        ended: the error that ended the derivation early at this shape, or None.
        values: each step's arrays and their noise.
        program: the traced derivation, or None if it was run without tracing.
    """

    points: Sequence[Args]
    steps: list[Step]
    raised: tuple[Raised, ...]
    ended: Raised | None
    values: list[Measured]
    program: Program | None
    _wide: list[Measured] | None = field(default=None, repr=False)

    @property
    def lines(self) -> list[int]:
        """The positions in `steps` of the lines, which leaves out assumptions."""
        return [i for i, step in enumerate(self.steps) if step.is_line]

    def wide(self) -> list[Measured]:
        """Return each step's arrays and noise in long double; `values` if nothing was traced."""
        if self.program is None:
            return self.values
        if self._wide is None:
            self._wide = _measured(self.program, self.points, wide=True)
        return self._wide


class Replayer:
    """Replays one function, and keeps its traced programs.

    This is a class because the traced programs must live exactly as long as one verification does.
    """

    function: Callable[..., Any]
    source: Source | None
    until: int | None

    def __init__(self, function: Callable[..., Any], source: Source | None, until: int | None = None) -> None:
        """Prepare to replay `function` up to line `until`; with `source`, lines that raise are left open."""
        self.function, self.source, self.until = function, source, until
        self._traced: dict[Any, tuple[Program, Walked]] = {}

    def at(self, points: Sequence[Args]) -> Replay:
        """Return the lines at `points`, all of one shape.

        Raises:
            LineError: a yielded value is not a line.
        """
        key = (len(points), shapes_of(points[0]))
        if key not in self._traced:
            self._traced[key] = self.trace(points)
        program, walked = self._traced[key]
        values = _measured(program, points, wide=False)
        return Replay(points, walked.steps, walked.raised, walked.ended, values, program)

    def trace(self, points: Sequence[Args]) -> tuple[Program, Walked]:
        """Return the function traced anew at the shape of `points`, and its lines without their arrays."""
        programs: list[Program] = []

        def once(function: Callable[..., Any]) -> Walked:
            found: list[Walked] = []

            def payloads(*args: PyTree) -> list[PyTree]:
                found[:] = [walk(function, args, self.until)]
                return [step.payload for step in found[0].steps]

            programs.append(trace(jax.vmap(payloads, axis_size=len(points)), *stacked(points)))
            return _bare(found[0])

        walked = bridged(self.function, self.source, once)
        return programs[-1], walked


def replay_as_it_stands(function: Callable[..., Any], source: Source | None) -> Replay:
    """Return the lines of a function without arguments, run once without tracing.

    Roundings cannot be varied here, so the noise of an entry is taken as one unit in its last place.
    """
    with float64():
        walked = bridged(function, source, lambda one: walk(one, ()))
        held = [jax.tree.map(lambda leaf: np.asarray(leaf)[None], step.payload) for step in walked.steps]
    values = [Measured(value, jax.tree.map(_last_place, value)) for value in held]
    return Replay([()], _bare(walked).steps, walked.raised, walked.ended, values, None)


def retraced(function: Callable[..., Any], eager: Replay) -> Replay:
    """Return the lines of a function without arguments, traced to measure noise; else `eager`."""
    again = Replayer(function, None).at([()])
    return eager if again.ended else again


def _at_least_last_place(noise: Any, value: Any) -> Any:
    return np.where(noise == 0, _last_place(value), noise)


def _bare(walked: Walked) -> Walked:
    """Return the walk without the arrays of its lines."""
    return walked._replace(steps=[step._replace(payload=None) for step in walked.steps])


def stacked(points: Sequence[Args]) -> Args:
    """Return the points of one shape along a new first axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *points)


def _measured(program: Program, points: Sequence[Args], *, wide: bool) -> list[Measured]:
    value, noise = measure_program(program, stacked(points), wide=wide)
    spread = jax.tree.map(_at_least_last_place, noise, value)
    return [Measured(*pair) for pair in zip(value, spread, strict=True)]


def _last_place(value: Any) -> Any:
    """Return a unit in the last place of each entry, for whole numbers that of float64."""
    dtype = value.dtype if value.dtype.kind in "fc" else np.dtype(np.float64)
    with np.errstate(all="ignore"):
        size = np.abs(value.astype(dtype)) if dtype.kind != "c" else np.abs(value)
        return np.finfo(dtype).eps * size + FLUSHED * np.finfo(np.float64).tiny
