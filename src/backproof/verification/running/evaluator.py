"""One function of arguments and direction, evaluated in float64 with the rounding noise of every entry.

`Evaluator` interprets it: nothing is compiled, and the noise is measured. `Compiled` runs it as its users do.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.compiled_noise import CompiledNoise
from backproof.numerics.cost import cost_of
from backproof.numerics.coverage import runs_other_code
from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import one_sided, run
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import PyTree, all_numbers, is_inexact, is_key, shapes_of
from backproof.numerics.noise import Measured, measure_program
from backproof.numerics.tolerance import RESOLUTION
from backproof.numerics.tracing import Program, float64, trace
from backproof.verification.running.point import Point, stack, unstack

Function = Callable[[Any, Any], PyTree]
# The value first, then the perturbed replicas of it.
Varied = list[Any]
NARROWER = {np.dtype(np.longdouble): np.float64, np.dtype(np.clongdouble): np.complex128}


class Evaluator:
    """Evaluates one function of arguments and direction; called at a point, it returns value and noise.

    It is a class because it remembers the programs that it traced, and its last measurements.
    """

    def __init__(self, function: Function, tracing: Callable[..., Program] = trace) -> None:
        """Prepare to evaluate `function`; nothing is traced yet.

        Args:
            function: the function.
            tracing: how it is traced, in float64 or else under the current settings of JAX.
        """
        self.function = function
        self._trace = tracing
        self._programs: dict[Any, Program] = {}
        self._cheap: dict[Any, bool] = {}
        self._entries: dict[Any, int] = {}
        self._compiled: dict[Any, CompiledNoise] = {}
        self._plain = Compiled(function)
        self._cannot_be_mapped = False
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
        if not wide and self._is_heavy(point, 1 + EFFORT.replicas):
            return self._compiled_at(point)(point)
        if not self._cheap.get(shapes_of(tuple(point))):
            return measure_program(self.program(point), point, wide=wide)
        return Measured(*unstack(tuple(self._together(_measuring(wide=wide), [point])), 1)[0])

    def watch(self, points: Sequence[Point], witness: Witness) -> None:
        """Write down which answers comparisons give at points of one shape.

        Args:
            points: the points.
            witness: where to write them.
        """
        if not self._is_heavy(points[0]):
            self.values(points, witness=witness)
            return
        for point in points:
            self._compiled_at(point).watch(point, witness)

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
        if self._is_heavy(points[0], 1 + EFFORT.replicas):
            if witness is not None:
                self.watch(points, witness)
            return [self(point) for point in points]
        many = self._together(_measuring(witness=witness), [*points])
        return [Measured(*one) for one in unstack(tuple(many), len(points))]

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
        return self._together(one_sided, [*points], [*moved])

    def value(self, point: Point, *, wide: bool = False) -> PyTree:
        """Return the result at one point without its noise."""
        if not wide and self._is_heavy(point):
            return self._plain(point)
        return run(self.program(point), point, wide=wide)[0]

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

        if not wide and self._is_heavy(points[0]):
            return jax.tree.map(_stacked, *map(self._plain, points))
        return self._together(first, [*points])

    def runs(self, points: Sequence[Point], *, replicas: int = 0, crossing: bool = False) -> list[Varied]:
        """Return the result at each point of one shape, followed by perturbed replicas of it.

        Args:
            points: the points.
            replicas: how many.
            crossing: whether each replica takes its own decisions.
        """
        if self._is_heavy(points[0], 1 + replicas):  # whose decisions are those of the first run
            return [self._compiled_at(point).runs(point, replicas) for point in points]

        def several(program: Program, args: Any) -> PyTree:
            return run(program, args, replicas=replicas, crossing=crossing)

        return unstack(self._together(several, [*points]), len(points))

    def noise_again(self, point: Point) -> PyTree:
        """Return the noise at a point, measured with more perturbed runs and another seed."""
        if self._is_heavy(point, 1 + EFFORT.more_replicas):
            return self._compiled_at(point)(point, EFFORT.more_replicas, seed=1).noise
        program = self.program(point)
        return measure_program(program, point, seed=1, replicas=EFFORT.more_replicas).noise

    def _is_heavy(self, point: Point, runs: int = 1) -> bool:
        """Return whether so many runs cost more where they are interpreted than where they are compiled."""
        if not point.is_large:
            return False
        key = shapes_of(tuple(point))
        if key not in self._entries:
            self._entries[key] = cost_of(self.program(point).jaxpr).entries
        return self._entries[key] * runs > EFFORT.interpreted

    def _compiled_at(self, point: Point) -> CompiledNoise:
        """Return the compiled measurement at the shapes of a large point."""
        key = shapes_of(tuple(point))
        if key not in self._compiled:
            self._compiled[key] = CompiledNoise(self.program(point))
        return self._compiled[key]

    def program(self, point: Point) -> Program:
        """Return the traced program at the shapes of a point."""
        return self._traced("alone", self.function, point)

    def _together(self, go: Callable[..., PyTree], *several: list[Point]) -> PyTree:
        """Return what a run of the program gives at points of one shape, stacked.

        So that one program serves any number of points, they are run in batches of a few sizes, and the last
        batch is filled up with repeated points.

        Args:
            go: runs a program, given what it is run on.
            several: the points; where a run needs several at a time, each of them.
        """
        size = self._batch_size(several[0])
        parts = []
        for start in range(0, len(several[0]), size):
            places = [points[start : start + size] for points in several]
            parts.append(self._batch(go, size, places))
        return parts[0] if len(parts) == 1 else jax.tree.map(_joined, *parts)

    def _batch(self, go: Callable[..., PyTree], size: int, several: Sequence[list[Point]]) -> PyTree:
        """Return what a run gives at no more than `size` points, as one under `vmap` or else one by one."""
        count = len(several[0])
        program = self._mapped(several[0][0], size) if size > 1 else None
        if program is None:
            alone = self.program(several[0][0])
            rows = [go(alone, *places) for places in zip(*several, strict=True)]
            return jax.tree.map(lambda *leaves: _stacked(*leaves), *rows)
        filled = [[*points, *points[-1:] * (size - count)] for points in several]
        whole = go(program, *map(stack, filled))
        return whole if size == count else jax.tree.map(lambda leaf: leaf[:count], whole)

    def _batch_size(self, points: Sequence[Point]) -> int:
        """Return how many points are run as one."""
        sizes = [size for size in EFFORT.batches if size * points[0].entries <= EFFORT.batched]
        fits = [size for size in sizes if size >= len(points)][:1] or sizes[-1:]
        if not fits or not self._is_cheap(points[0], fits[0]):
            return len(points)
        return fits[0]

    def _is_cheap(self, point: Point, size: int) -> bool:
        """Return whether more points cost little: the code runs no kernel and calls no NumPy."""
        key = shapes_of(tuple(point))
        if key not in self._cheap:
            program = self._mapped(point, size)
            self._cheap[key] = program is not None and not runs_other_code(program.jaxpr)
        return self._cheap[key]

    def _mapped(self, point: Point, size: int) -> Program | None:
        """Return the program for so many points under `vmap`; None where that cannot be traced."""
        if self._cannot_be_mapped:
            return None
        try:
            return self._traced("mapped", jax.vmap(self.function), _repeated(point, size))
        except Exception:
            # Not every user's code can be vmapped; run at one point at a time it raises its own errors.
            self._cannot_be_mapped = True
            return None

    def _traced(self, how: str, function: Function, point: Point) -> Program:
        narrow = _narrow(point)
        key = (how, shapes_of(tuple(narrow)))
        if key not in self._programs:
            self._programs[key] = self._trace(function, *narrow)
        return self._programs[key]


class Compiled:
    """Runs one function compiled by `jax.jit`, as its users do; it is a class to keep the programs."""

    def __init__(self, function: Function) -> None:
        """Prepare to compile `function`; nothing is compiled yet."""
        self._alone = jax.jit(function)

    def __call__(self, point: Point) -> PyTree:
        """Return the result at one point."""
        with float64():
            return jax.device_get(self._alone(*point))


class OnHost:
    """Runs NumPy code by hand as its users do, one point at a time; a `Compiled` without a compiler."""

    def __init__(self, code: Function) -> None:
        """Prepare to call `code`."""
        self._code = code

    def __call__(self, point: Point) -> PyTree:
        """Return the result at one point."""
        with float64():
            return self._code(*point)


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


def _repeated(point: Point, count: int) -> Point:
    """Return the shapes of so many points like one."""

    def shaped(leaf: Any) -> Any:
        held = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        return jax.ShapeDtypeStruct((count, *held.shape), held.dtype)

    return jax.tree.map(shaped, point)


def _stacked(*rows: Any) -> Any:
    return jnp.stack(rows) if is_key(rows[0]) else np.stack(rows)


def _joined(*parts: Any) -> Any:
    return jnp.concatenate(parts) if is_key(parts[0]) else np.concatenate(parts)


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

    def narrowed(leaf: Any) -> Any:
        dtype = NARROWER.get(getattr(leaf, "dtype", None))
        if dtype is None:
            return leaf
        is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jax.ShapeDtypeStruct(leaf.shape, dtype) if is_shape else leaf.astype(dtype)

    return jax.tree.map(narrowed, point)
