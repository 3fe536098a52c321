"""One function of arguments and direction, evaluated in float64 with the rounding noise of every entry.

It is interpreted, and its noise is measured; only where arrays are large it is compiled.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import one_sided, run
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import PyTree, all_numbers, is_inexact
from backproof.numerics.noise import Measured, measure_program
from backproof.numerics.tolerance import RESOLUTION
from backproof.numerics.tracing import Program, trace
from backproof.verification.running.compiled import Compiled, Function
from backproof.verification.running.point import Point, unstack
from backproof.verification.running.programs import Programs, stacked

# The value first, then the perturbed replicas of it.
Varied = list[Any]


class Evaluator:
    """Evaluates one function of arguments and direction; called at a point, it returns value and noise.

    It is a class because it remembers its programs, and its last measurements.
    """

    def __init__(self, function: Function, tracing: Callable[..., Program] = trace) -> None:
        """Prepare to evaluate `function`; nothing is traced yet.

        Args:
            function: the function.
            tracing: how it is traced, in float64 or else under the current settings of JAX.
        """
        self._programs = Programs(function, tracing)
        self._plain = Compiled(function)
        self._remembered: dict[tuple[bool, int], tuple[Point, Measured]] = {}

    def __call__(self, point: Point, *, wide: bool = False) -> Measured:
        """Return the result at one point with its noise; in long double where `wide`."""
        key = (wide, id(point))
        if key not in self._remembered:
            while len(self._remembered) >= (EFFORT.large_remembered if point.is_large else EFFORT.remembered):
                self._remembered.pop(next(iter(self._remembered)))
            # the point is kept as well, so that no other can take over its identity
            self._remembered[key] = point, self._measured(point, wide)
        return self._remembered[key][1]

    def _measured(self, point: Point, wide: bool) -> Measured:
        """Return the result at one point with its noise, by the program for several if that is traced."""
        if not wide and self._programs.is_heavy(point, 1 + EFFORT.replicas):
            return self._programs.compiled_at(point)(point)
        if not self._programs.serves(point):
            return measure_program(self._programs.program(point), point, wide=wide)
        return Measured(*unstack(tuple(self._programs.together(_measuring(wide=wide), [point])), 1)[0])

    def watch(self, points: Sequence[Point], witness: Witness) -> None:
        """Write down which answers comparisons give at points of one shape.

        Args:
            points: the points.
            witness: where to write them.
        """
        if not self._programs.is_heavy(points[0]):
            self.values(points, witness=witness)
            return
        for point in points:
            self._programs.compiled_at(point).watch(point, witness)

    def release(self) -> None:
        """Free the measurements that are kept; the programs stay."""
        self._remembered.clear()

    def each(self, points: Sequence[Point], witness: Witness | None = None) -> list[Measured]:
        """Return the result with its noise at each point of one shape.

        Args:
            points: the points.
            witness: where to write which decisions are met, if somewhere.
        """
        if len(points) == 1 and witness is None:
            return [self(points[0])]  # this one is remembered
        if self._programs.is_heavy(points[0], 1 + EFFORT.replicas):
            if witness is not None:
                self.watch(points, witness)
            return [self(point) for point in points]
        many = self._programs.together(_measuring(witness=witness), [*points])
        return [Measured(*one) for one in unstack(tuple(many), len(points))]

    def limits(self, points: Sequence[Point], moved: Sequence[Point]) -> PyTree:
        """Return the limits of the result at points of one shape, each from one side, stacked.

        Where a limit is NaN at the point itself, the result next to it stands for it, unless that changes
        on the way to the point.

        Args:
            points: the points.
            moved: for each, a point next to it, on the side that is meant.
        """
        if not self._programs.has_sides(points):
            values = [self(point).value for point in points]
            if all(map(all_numbers, values)):
                return jax.tree.map(stacked, *values)
        next_to, limit = self._one_sided(points, moved)
        if all_numbers(limit):
            return limit
        halfway = [
            Point(jax.tree.map(_between, here.args, there.args), here.direction)
            for here, there in zip(points, moved, strict=True)
        ]
        return jax.tree.map(_or_next_to, limit, next_to, self._one_sided(points, halfway)[0])

    def _one_sided(self, points: Sequence[Point], moved: Sequence[Point]) -> tuple[PyTree, PyTree]:
        """Return the results at the moved points and their limits at the points, stacked."""
        return self._programs.together(one_sided, [*points], [*moved])

    def value(self, point: Point, *, wide: bool = False) -> PyTree:
        """Return the result at one point without its noise."""
        if not wide and self._programs.is_heavy(point):
            return self._plain(point)
        return run(self._programs.program(point), point, wide=wide)[0]

    def values(
        self, points: Sequence[Point], *, wide: bool = False, witness: Witness | None = None
    ) -> PyTree:
        """Return the results at points of one shape, stacked and without their noise.

        Args:
            points: the points.
            wide: whether the program runs in long double.
            witness: where to write which decisions are met, if somewhere.
        """

        def first(program: Program, args: Any) -> PyTree:
            return run(program, args, wide=wide, witness=witness)[0]

        if not wide and self._programs.is_heavy(points[0]):
            return jax.tree.map(stacked, *map(self._plain, points))
        return self._programs.together(first, [*points])

    def runs(self, points: Sequence[Point], *, replicas: int = 0, crossing: bool = False) -> list[Varied]:
        """Return the result at each point of one shape, followed by perturbed replicas of it.

        Args:
            points: the points.
            replicas: how many.
            crossing: whether each replica takes its own decisions.
        """
        if self._programs.is_heavy(points[0], 1 + replicas):  # whose decisions are those of the first run
            return [self._programs.compiled_at(point).runs(point, replicas) for point in points]

        def several(program: Program, args: Any) -> PyTree:
            return run(program, args, replicas=replicas, crossing=crossing)

        return unstack(self._programs.together(several, [*points]), len(points))

    def program(self, point: Point) -> Program:
        """Return the traced program at the shapes of a point."""
        return self._programs.program(point)

    def noise_again(self, point: Point) -> PyTree:
        """Return the noise at a point, measured with more perturbed runs and another seed."""
        if self._programs.is_heavy(point, 1 + EFFORT.more_replicas):
            return self._programs.compiled_at(point)(point, EFFORT.more_replicas, seed=1).noise
        program = self._programs.program(point)
        return measure_program(program, point, seed=1, replicas=EFFORT.more_replicas).noise


def _between(here: Any, there: Any) -> Any:
    return here if here is there else here + (there - here) / 2


def _or_next_to(limit: Any, next_to: Any, halfway: Any) -> Any:
    """Return a limit, and where it is NaN the result next to it, if that is the same nearer to the point."""
    if not is_inexact(limit):
        return limit
    with np.errstate(all="ignore"):
        steady = np.abs(next_to - halfway) <= RESOLUTION * np.abs(halfway)
    return np.where(np.isnan(limit), np.where(steady, halfway, np.nan), limit)


def _measuring(**how: Any) -> Callable[..., PyTree]:
    return functools.partial(measure_program, **how)
