"""One function of arguments and direction, evaluated in float64 with the rounding noise of every entry.

`Evaluator` interprets it: nothing is compiled, and the noise is measured. `Compiled` runs it as its users do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import one_sided, run
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import PyTree, all_numbers, is_inexact, shapes_of
from backproof.numerics.noise import Measured, measure_program
from backproof.numerics.tolerance import RESOLUTION
from backproof.numerics.tracing import Program, float64, trace
from backproof.verification.running.point import Point, stack, unstack

Function = Callable[[Any, Any], PyTree]
NARROWER = {np.dtype(np.longdouble): np.float64, np.dtype(np.clongdouble): np.complex128}


class Evaluator:
    """Evaluates one function of arguments and direction; called at a point, it returns value and noise.

    It is a class because it remembers the programs that it traced, and its last measurements.
    """

    def __init__(self, function: Function) -> None:
        """Prepare to evaluate `function`; nothing is traced yet."""
        self.function = function
        self._programs: dict[Any, Program] = {}
        self._remembered: dict[tuple[bool, int], tuple[Point, Measured]] = {}

    def __call__(self, point: Point, *, wide: bool = False) -> Measured:
        """Return the result at one point with its noise; in long double where `wide`."""
        key = (wide, id(point))
        if key not in self._remembered:
            if len(self._remembered) >= EFFORT.remembered:
                self._remembered.pop(next(iter(self._remembered)))
            # the point is kept as well, so that no other can take over its identity
            self._remembered[key] = point, measure_program(self.program(point), point, wide=wide)
        return self._remembered[key][1]

    def each(self, points: Sequence[Point], witness: Witness | None = None) -> list[Measured]:
        """Return the result with its noise at each point of one shape.

        Args:
            points: the points.
            witness: where to write which decisions are met, if somewhere.
        """
        if len(points) == 1 and witness is None:
            return [self(points[0])]  # this one is remembered
        stacked = stack(points)
        program = self._mapped(stacked)
        if program is None:
            return [measure_program(self.program(point), point, witness=witness) for point in points]
        many = measure_program(program, stacked, witness=witness)
        return [Measured(*one) for one in unstack(tuple(many), len(points))]

    def watched(self, points: Sequence[Point], witness: Witness) -> None:
        """Write down which decisions are met at points of one shape; no noise is measured."""
        stacked = stack(points)
        program = self._mapped(stacked)
        if program is not None:
            run(program, stacked, witness=witness)
            return
        for point in points:
            run(self.program(point), point, witness=witness)

    def limits(self, points: Sequence[Point], moved: Sequence[Point]) -> PyTree:
        """Return the limits of the result at points of one shape, each from one side, stacked.

        Where a limit is NaN at the point itself, the result next to it stands for it, unless that changes
        on the way to the point.

        Args:
            points: the points.
            moved: for each, a point next to it, on the side that is meant.
        """
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
        places = stack(points), stack(moved)
        program = self._mapped(places[0])
        if program is not None:
            return one_sided(program, *places)
        pairs = zip(points, moved, strict=True)
        rows = [one_sided(self.program(point), point, there) for point, there in pairs]
        return tuple(
            jax.tree.map(lambda *leaves: np.stack(leaves), *side) for side in zip(*rows, strict=True)
        )

    def value(self, point: Point, *, wide: bool = False) -> PyTree:
        """Return the result at one point without its noise."""
        return run(self.program(point), point, wide=wide)[0]

    def values(self, points: Sequence[Point], *, wide: bool = False) -> PyTree:
        """Return the results at points of one shape, stacked and without their noise."""
        stacked = stack(points)
        program = self._mapped(_narrow(stacked))
        if program is not None:
            return run(program, stacked, wide=wide)[0]
        single = [run(self.program(_narrow(point)), point, wide=wide)[0] for point in points]
        return jax.tree.map(lambda *rows: np.stack(rows), *single)

    def noise_again(self, point: Point) -> PyTree:
        """Return the noise at a point, measured with more perturbed runs and another seed."""
        program = self.program(point)
        return measure_program(program, point, seed=1, replicas=EFFORT.more_replicas).noise

    def program(self, point: Point) -> Program:
        """Return the traced program at the shapes of a point."""
        return self._traced("alone", self.function, point)

    def _mapped(self, stacked: Point) -> Program | None:
        """Return the program under `vmap`; None where that cannot be traced."""
        try:
            return self._traced("mapped", jax.vmap(self.function), stacked)
        except Exception:
            # Not every user's code can be vmapped; run at one point at a time it raises its own errors.
            return None

    def _traced(self, how: str, function: Function, point: Point) -> Program:
        key = (how, shapes_of(tuple(point)))
        if key not in self._programs:
            self._programs[key] = trace(function, *point)
        return self._programs[key]


class Compiled:
    """Runs one function compiled by `jax.jit`, as its users do; it is a class to keep the programs."""

    def __init__(self, function: Function) -> None:
        """Prepare to compile `function`; nothing is compiled yet."""
        self._alone = jax.jit(function)
        self._many = jax.jit(jax.vmap(function))

    def __call__(self, point: Point) -> PyTree:
        """Return the result at one point."""
        with float64():
            return jax.device_get(self._alone(*point))

    def each(self, points: Sequence[Point]) -> list[PyTree]:
        """Return the result at each point of one shape: vmapped, or one by one."""
        mapped = self.together(points) if len(points) > 1 else None
        return [self(point) for point in points] if mapped is None else mapped

    def together(self, points: Sequence[Point]) -> list[PyTree] | None:
        """Return the result at points of one shape, run as one under `vmap`; None if that fails."""
        if not jax.tree.leaves(tuple(points[0])):
            return None
        try:
            with float64():
                many = jax.device_get(self._many(*stack(points)))
        except Exception:
            # Not every user's code can be vmapped; run alone it raises its own errors.
            return None
        return unstack(many, len(points))


class OnHost:
    """Runs NumPy code by hand as its users do, one point at a time; a `Compiled` without a compiler."""

    def __init__(self, code: Function) -> None:
        """Prepare to call `code`."""
        self._code = code

    def __call__(self, point: Point) -> PyTree:
        """Return the result at one point."""
        with float64():
            return self._code(*point)

    def each(self, points: Sequence[Point]) -> list[PyTree]:
        """Return the result at each point."""
        return [self(point) for point in points]

    def together(self, points: Sequence[Point]) -> list[PyTree] | None:
        """Return None: NumPy code has no batching rule."""
        del points


def _between(here: Any, there: Any) -> Any:
    return here if here is there else here + (there - here) / 2


def _or_next_to(limit: Any, next_to: Any, halfway: Any) -> Any:
    """Return a limit, and where it is NaN the result next to it, if that is the same nearer to the point."""
    if not is_inexact(limit):
        return limit
    with np.errstate(all="ignore"):
        steady = np.abs(next_to - halfway) <= RESOLUTION * np.abs(halfway)
    return np.where(np.isnan(limit), np.where(steady, halfway, np.nan), limit)


def inner_products(one: PyTree, other: PyTree, direction: PyTree, count: int) -> np.ndarray:
    """Return ⟨direction, one − other⟩ for each row of stacked values.

    The values are subtracted first, so that outputs which did not move cancel exactly.
    """
    products = jax.tree.map(_inner, one, other, direction)
    return np.sum([np.zeros(count), *jax.tree.leaves(products)], axis=0)


def _inner(one: Any, other: Any, cotangent: Any) -> Any:
    """Return ⟨one − other, cotangent⟩ of each row; 0 where the value has no cotangent."""
    if not jnp.issubdtype(one.dtype, jnp.inexact):
        return np.zeros(len(one))
    with np.errstate(all="ignore"):
        return np.real((one - other) * cotangent).reshape(len(one), -1).sum(1)


def _narrow(point: Point) -> Point:
    """Return a point in float64, the dtype in which programs are traced."""
    wide = lambda leaf: leaf.dtype in NARROWER  # noqa: E731 - a PRNG key has a dtype of its own and stays
    return jax.tree.map(lambda leaf: leaf.astype(NARROWER[leaf.dtype]) if wide(leaf) else leaf, point)
