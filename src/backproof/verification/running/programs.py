"""The programs of one function: traced once a shape, and run on many points at once.

So that one program serves any number of points, they are run in batches of a few sizes under `vmap`. Where
the arrays are so large that each operation of NumPy passes over memory for seconds, programs are compiled.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.compiled_noise import CompiledNoise
from backproof.numerics.cost import cost_of
from backproof.numerics.coverage import runs_other_code
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import has_sides
from backproof.numerics.leaves import PyTree, is_key, shapes_of
from backproof.numerics.tracing import Program, trace
from backproof.verification.running.compiled import Function
from backproof.verification.running.point import Point, stack

NARROWER = {np.dtype(np.longdouble): np.float64, np.dtype(np.clongdouble): np.complex128}


class Programs:
    """Holds the programs of one function; it is a class because it remembers those that it traced."""

    def __init__(self, function: Function, tracing: Callable[..., Program] = trace) -> None:
        """Prepare to trace `function`; nothing is traced yet.

        Args:
            function: the function.
            tracing: how it is traced, in float64 or else under the current settings of JAX.
        """
        self._function = function
        self._trace = tracing
        self._programs: dict[Any, Program] = {}
        self._cheap: dict[Any, bool] = {}
        self._sided: dict[Any, bool] = {}
        self._entries: dict[Any, int] = {}
        self._compiled: dict[Any, CompiledNoise] = {}
        self._cannot_be_mapped = False

    def serves(self, point: Point) -> bool:
        """Return whether a program for several points of this shape is known, and cheap to run."""
        return self._cheap.get(shapes_of(tuple(point)), False)

    def program(self, point: Point) -> Program:
        """Return the traced program at the shapes of a point."""
        return self._traced("alone", self._function, point)

    def has_sides(self, points: Sequence[Point]) -> bool:
        """Return whether the result may differ from side to side at points of one shape."""
        key = shapes_of(tuple(points[0]))
        if key not in self._sided:
            program = self._for_several(points[0], self._batch_size(points)) or self.program(points[0])
            self._sided[key] = has_sides(program.jaxpr)
        return self._sided[key]

    def is_heavy(self, point: Point, runs: int = 1) -> bool:
        """Return whether so many runs cost more where they are interpreted than where they are compiled."""
        if not point.is_large:
            return False
        key = shapes_of(tuple(point))
        if key not in self._entries:
            self._entries[key] = cost_of(self.program(point).jaxpr).entries
        return self._entries[key] * runs > EFFORT.interpreted

    def compiled_at(self, point: Point) -> CompiledNoise:
        """Return the compiled measurement at the shapes of a large point."""
        key = shapes_of(tuple(point))
        if key not in self._compiled:
            self._compiled[key] = CompiledNoise(self.program(point))
        return self._compiled[key]

    def together(self, go: Callable[..., PyTree], *several: list[Point]) -> PyTree:
        """Return what a run of the program gives at points of one shape, stacked.

        The last batch is filled up with repeated points.

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
        program = self._for_several(several[0][0], size)
        if program is None:
            alone = self.program(several[0][0])
            rows = [go(alone, *places) for places in zip(*several, strict=True)]
            return jax.tree.map(lambda *leaves: stacked(*leaves), *rows)
        filled = [[*points, *points[-1:] * (size - count)] for points in several]
        whole = go(program, *map(stack, filled))
        return whole if size == count else jax.tree.map(lambda leaf: leaf[:count], whole)

    def _for_several(self, point: Point, size: int) -> Program | None:
        """Return the program that runs so many points at once; None where they run one by one."""
        return self._mapped(point, size) if size > 1 else None

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
            return self._traced("mapped", jax.vmap(self._function), _repeated(point, size))
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


def _repeated(point: Point, count: int) -> Point:
    """Return the shapes of so many points like one."""

    def shaped(leaf: Any) -> Any:
        held = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        return jax.ShapeDtypeStruct((count, *held.shape), held.dtype)

    return jax.tree.map(shaped, point)


def stacked(*rows: Any) -> Any:
    """Return results along a new first axis."""
    return jnp.stack(rows) if is_key(rows[0]) else np.stack(rows)


def _joined(*parts: Any) -> Any:
    return jnp.concatenate(parts) if is_key(parts[0]) else np.concatenate(parts)


def _narrow(point: Point) -> Point:
    """Return a point in float64, the dtype in which programs are traced."""

    def narrowed(leaf: Any) -> Any:
        dtype = NARROWER.get(getattr(leaf, "dtype", None))
        if dtype is None:
            return leaf
        is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jax.ShapeDtypeStruct(leaf.shape, dtype) if is_shape else leaf.astype(dtype)

    return jax.tree.map(narrowed, point)
