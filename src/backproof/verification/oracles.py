"""Runs a claim: the hand-written derivative as its users run it, and autodiff of the primal in float64.

`hand_values` compiles the checked code (jit, and vmap over many points where the code allows it).
The interpreted forms below need no compilation and measure their own rounding noise.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification import noise
from backproof.verification.claim import Claim
from backproof.verification.directions import direction
from backproof.verification.interpreter import run
from backproof.verification.noise import Measured
from backproof.verification.points import Drawn
from backproof.verification.tracing import Program, float64, trace

PyTree = Any
# Measurements kept, the oldest forgotten first: one point is asked again and again while it is judged.
REMEMBERED = 64
# Points with more numbers are large: what would look at them again and again looks once.
LARGE = 2**16
NARROWER = {np.dtype(np.longdouble): np.float64, np.dtype(np.clongdouble): np.complex128}


class Point(NamedTuple):
    """Holds one place of judgement: arguments widened to float64, and a direction."""

    args: tuple[PyTree, ...]
    direction: PyTree


def entries(point: Point) -> int:
    """Return how many numbers a point holds, its direction included."""
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(tuple(point)))


def widen(tree: PyTree) -> PyTree:
    """Return `tree` with floating leaves held exactly in float64 and complex ones in complex128."""

    def one(leaf: Any) -> Any:
        dtype = dtype_of(leaf)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            return np.asarray(leaf, np.complex128)
        return np.asarray(leaf, np.float64) if jnp.issubdtype(dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)


def point_of(claim: Claim, drawn: Drawn, kind: str | None = None) -> Point:
    """Return the point at a drawn argument tuple, its direction of `kind` or as its seed has it."""
    return points_of(claim, [drawn], kind)[0]


def points_of(claim: Claim, draws: Sequence[Drawn], kind: str | None = None) -> list[Point]:
    """Return the points at draws of one shape; the shape of a direction is asked for once."""
    with float64():
        tuples = [widen(one.build()) for one in draws]
        like = claim.direction_like(tuples[0])
        pairs = zip(tuples, draws, strict=True)
        return [Point(args, direction(like, one.seed, kind or one.kind)) for args, one in pairs]


def shapes_of(tree: PyTree) -> tuple[Any, ...]:
    """Return what two points must share to be run together."""
    leaves, structure = jax.tree.flatten(tree)
    return (structure, *((np.shape(leaf), str(dtype_of(leaf))) for leaf in leaves))


def dtype_of(leaf: Any) -> Any:
    """Return the dtype of an array, or the one that JAX gives a Python number."""
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def stack(points: Sequence[Point]) -> Point:
    """Return the points of one shape along a new first axis."""
    return Point(*jax.tree.map(_stacked, *points))


def _stacked(*leaves: Any) -> Any:
    if len(leaves) == 1:
        one = leaves[0] if hasattr(leaves[0], "dtype") else np.asarray(leaves[0])
        return one[None]  # a view: a large point is not copied
    is_key = isinstance(leaves[0], jax.Array) and jnp.issubdtype(leaves[0].dtype, jax.dtypes.extended)
    return jnp.stack(leaves) if is_key else np.stack(leaves)


class Runner:
    """Runs one claim at many points, and remembers what it compiled and traced.

    A class because the caches must live exactly as long as one verification does.
    """

    def __init__(self, claim: Claim, row_in_float32: Callable[[Point], Any] = lambda _: None) -> None:
        """Prepare to run `claim`; `row_in_float32` gives the row that errs most in that precision, if any."""
        self.claim, self.row_in_float32 = claim, row_in_float32
        self._compiled = jax.jit(claim.hand)
        self._compiled_many = jax.jit(jax.vmap(claim.hand))
        self._programs: dict[Any, Program] = {}
        self._remembered: dict[tuple[str, bool, int], tuple[Point, Measured]] = {}

    def hand_values(self, points: Sequence[Point]) -> list[PyTree]:
        """Return the compiled hand-written derivative at each point: vmapped, or one by one."""
        mapped = self.vmapped(points) if len(points) > 1 else None
        return [self.compiled(point) for point in points] if mapped is None else mapped

    def vmapped(self, points: Sequence[Point]) -> list[PyTree] | None:
        """Return the compiled derivative at points of one shape, run as one; None if it cannot be vmapped."""
        if not jax.tree.leaves(tuple(points[0])):
            return None
        try:
            with float64():
                many = jax.device_get(self._compiled_many(*stack(points)))
        except Exception:
            # Not every user's code can be vmapped; run alone it raises what is its own.
            return None
        return [jax.tree.map(lambda leaf, i=i: leaf[i], many) for i in range(len(points))]

    def mapped_over(
        self, axes: tuple[int | None, int | None], points: Sequence[Point]
    ) -> list[PyTree] | None:
        """Return the derivative at points that share arguments or direction, interpreted as one under vmap.

        Args:
            axes: 0 for arguments or direction where the points differ, None where they share it.
            points: the points.

        Returns:
            one result for each point, or None where the code cannot be vmapped like this.
        """
        stacked = stack(points)
        sides = zip(axes, stacked, points[0], strict=True)
        shared = Point(*(alone if axis is None else many for axis, many, alone in sides))
        if not all(jax.tree.leaves(side) for side in shared):
            return None
        try:
            program = self._program(f"over {axes}", jax.vmap(self.claim.hand, axes), shared)
        except Exception:
            # Not every user's code can be vmapped; run alone it raises what is its own.
            return None
        many = run(program, shared)[0]
        return [jax.tree.map(lambda leaf, i=i: leaf[i], many) for i in range(len(points))]

    def compiled(self, point: Point) -> PyTree:
        """Return the compiled hand-written derivative at one point."""
        with float64():
            return jax.device_get(self._compiled(*point))

    def traced_anew(self, point: Point) -> PyTree:
        """Return the hand-written derivative at one point, traced again and interpreted."""
        anew = lambda args, direction: self.claim.hand(args, direction)  # noqa: E731 - jax caches by function
        return run(trace(anew, *point), point)[0]

    def paired_differences(
        self, ahead: Sequence[Point], behind: Sequence[Point], *, wide: bool
    ) -> np.ndarray:
        """Return ⟨direction, primal ahead − primal behind⟩ for each pair of points of one shape.

        The values are subtracted first, so that outputs which did not move cancel exactly.
        """
        one, other = (self._many("primal", self._primal, points, wide=wide) for points in (ahead, behind))
        products = jax.tree.map(_inner, one, other, stack(ahead).direction)
        return np.sum([np.zeros(len(ahead)), *jax.tree.leaves(products)], axis=0)

    def truths(self, points: Sequence[Point]) -> list[Measured]:
        """Return autodiff of the primal at each point, with its rounding noise."""
        if len(points) == 1:
            return [self.truth(points[0])]  # which is remembered
        program = self._mapped("truth", self.claim.truth, stack(points))
        if program is None:
            return [self._measured("truth", self.claim.truth, point, wide=False) for point in points]
        many = noise.measure_program(program, stack(points))
        return [Measured(*jax.tree.map(lambda leaf, i=i: leaf[i], tuple(many))) for i in range(len(points))]

    def program_of_truth(self, point: Point) -> Program:
        """Return the traced program of autodiff at the shapes of a point."""
        return self._program("truth", self.claim.truth, point)

    def program_of_hand(self, point: Point) -> Program:
        """Return the traced program of the hand-written derivative at the shapes of a point."""
        return self._program("hand", self.claim.hand, point)

    def in_float32(self, point: Point) -> bool:
        """Return whether the hand-written side computes in float32 though no argument is declared wider."""
        return not self._declared_wide and self.program_of_hand(point).in_float32

    @functools.cached_property
    def _declared_wide(self) -> bool:
        built = [one.build() for one in self.claim.points.plain()[:1]]
        return any(dtype_of(leaf) in NARROWER.values() for leaf in jax.tree.leaves(built))

    def truth(self, point: Point, *, wide: bool = False) -> Measured:
        """Return autodiff of the primal at one point, with its rounding noise."""
        return self._measured("truth", self.claim.truth, point, wide)

    def hand(self, point: Point, *, wide: bool = False) -> Measured:
        """Return the hand-written derivative, interpreted, with its rounding noise."""
        return self._measured("hand", self.claim.hand, point, wide)

    def noise_of_both(self, point: Point) -> PyTree:
        """Return the noise of each entry of the difference of the two sides at one point."""
        return jax.tree.map(np.add, self.truth(point).noise, self.hand(point).noise)

    def wide_values(self, point: Point) -> tuple[PyTree, PyTree]:
        """Return hand and truth in the widest arithmetic, without their noise."""
        return tuple(
            run(self._program(kind, f, point), point, wide=True)[0]
            for kind, f in (("hand", self.claim.hand), ("truth", self.claim.truth))
        )

    def noise_again(self, point: Point) -> PyTree:
        """Return the noise of hand and truth together, from more and other perturbed runs."""
        programs = self.program_of_hand(point), self.program_of_truth(point)
        again = [
            noise.measure_program(program, point, seed=1, replicas=noise.MORE_REPLICAS).noise
            for program in programs
        ]
        return jax.tree.map(np.add, *again)

    def _measured(self, kind: str, f: Callable[..., Any], point: Point, wide: bool) -> Measured:
        """Return `f` at `point` with its noise, remembered for the points that were looked at last."""
        key = (kind, wide, id(point))
        if key not in self._remembered:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            # the point is kept as well, so that no other can take over its identity
            measured = noise.measure_program(self._program(kind, f, point), point, wide=wide)
            self._remembered[key] = point, measured
        return self._remembered[key][1]

    def finite(self, points: Sequence[Point]) -> list[bool]:
        """Return whether the primal itself is finite at each point; elsewhere nothing can be judged."""
        values = jax.tree.leaves(self._many("primal", self._primal, points))
        real = [leaf for leaf in values if jnp.issubdtype(leaf.dtype, jnp.inexact)]
        return [all(bool(np.all(np.isfinite(leaf[i]))) for leaf in real) for i in range(len(points))]

    def value(self, point: Point) -> PyTree:
        """Return the value of the primal."""
        return run(self._program("primal", self._primal, point), point)[0]

    def values(self, points: Sequence[Point]) -> tuple[PyTree, PyTree]:
        """Return the value of the rule's own forward, and that of the primal, at points of one shape."""
        return self._many("forward", self._forward, points), self._many("primal", self._primal, points)

    def _primal(self, args: PyTree, _: PyTree) -> PyTree:
        return self.claim.primal(*args)

    def _forward(self, args: PyTree, _: PyTree) -> PyTree:
        return (self.claim.value or self.claim.primal)(*args)

    def many(self, kind: str, points: Sequence[Point]) -> PyTree:
        """Return `hand` or `truth` at many points of one shape, stacked and without noise."""
        return self._many(kind, self.claim.hand if kind == "hand" else self.claim.truth, points)

    def _many(
        self, kind: str, f: Callable[..., Any], points: Sequence[Point], *, wide: bool = False
    ) -> PyTree:
        """Return `f` at many points of one shape, stacked: as one under `vmap`, or one by one."""
        stacked = stack(points)
        program = self._mapped(kind, f, _narrow(stacked))
        if program is not None:
            return run(program, stacked, wide=wide)[0]
        single = [run(self._program(kind, f, _narrow(point)), point, wide=wide)[0] for point in points]
        return jax.tree.map(lambda *rows: np.stack(rows), *single)

    def _mapped(self, kind: str, f: Callable[..., Any], stacked: Point) -> Program | None:
        """Return the program of `f` under `vmap`; None where that cannot be traced."""
        try:
            return self._program(f"many {kind}", jax.vmap(f), stacked)
        except Exception:
            # Not every user's code can be vmapped; run one by one it raises what is its own.
            return None

    def _program(self, kind: str, f: Callable[..., Any], point: Point) -> Program:
        key = (kind, shapes_of(tuple(point)))
        if key not in self._programs:
            self._programs[key] = trace(f, *point)
        return self._programs[key]


def _narrow(point: Point) -> Point:
    """Return a point in float64, in which programs are traced."""
    wide = lambda leaf: leaf.dtype in NARROWER  # noqa: E731 - a PRNG key has a dtype of its own and stays
    return jax.tree.map(lambda leaf: leaf.astype(NARROWER[leaf.dtype]) if wide(leaf) else leaf, point)


def _inner(one: Any, other: Any, cotangent: Any) -> Any:
    """Return ⟨one − other, cotangent⟩ of each row; 0 where the value has no cotangent."""
    if not jnp.issubdtype(one.dtype, jnp.inexact):
        return np.zeros(len(one))
    with np.errstate(all="ignore"):
        return np.real((one - other) * cotangent).reshape(len(one), -1).sum(1)
