"""Runs a claim: the hand-written derivative as its users run it, and autodiff of the primal in float64.

`hand_values` compiles the checked code (jit, and vmap over many points where the code allows it).
The interpreted forms below need no compilation and measure their own rounding noise.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification import noise
from backproof.verification.claim import Claim
from backproof.verification.directions import direction
from backproof.verification.interpreter import Program, float64, run, trace
from backproof.verification.noise import Measured
from backproof.verification.points import Drawn

PyTree = Any


class Point(NamedTuple):
    """Holds one place of judgement: arguments widened to float64, and a direction."""

    args: tuple[PyTree, ...]
    direction: PyTree


def widen(tree: PyTree) -> PyTree:
    """Return `tree` with floating leaves held exactly in float64 and complex ones in complex128."""

    def one(leaf: Any) -> Any:
        dtype = jnp.result_type(leaf)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            return np.asarray(leaf, np.complex128)
        return np.asarray(leaf, np.float64) if jnp.issubdtype(dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)


def point_of(claim: Claim, drawn: Drawn) -> Point:
    """Return the point at a drawn argument tuple, with the direction that its seed stands for."""
    with float64():
        args = widen(drawn.build())
        return Point(args, direction(claim.direction_like(args), drawn.seed))


def shapes_of(tree: PyTree) -> tuple[Any, ...]:
    """Return what two points must share to be run together."""
    leaves, structure = jax.tree.flatten(tree)
    return (structure, *((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves))


def stack(points: Sequence[Point]) -> Point:
    """Return the points of one shape along a new first axis."""
    return Point(*jax.tree.map(_stacked, *points))


def _stacked(*leaves: Any) -> Any:
    is_key = isinstance(leaves[0], jax.Array) and jnp.issubdtype(leaves[0].dtype, jax.dtypes.extended)
    return jnp.stack(leaves) if is_key else np.stack(leaves)


class Runner:
    """Runs one claim at many points, and remembers what it compiled and traced.

    A class because the caches must live exactly as long as one verification does.
    """

    def __init__(self, claim: Claim) -> None:
        """Prepare to run `claim`; nothing is compiled yet."""
        self.claim = claim
        self._compiled = jax.jit(claim.hand)
        self._compiled_many = jax.jit(jax.vmap(claim.hand))
        self._programs: dict[Any, Program] = {}

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

    def compiled(self, point: Point) -> PyTree:
        """Return the compiled hand-written derivative at one point."""
        with float64():
            return jax.device_get(self._compiled(*point))

    def traced_anew(self, point: Point) -> Measured:
        """Return the hand-written derivative at one point, traced again and interpreted."""
        anew = lambda args, direction: self.claim.hand(args, direction)  # noqa: E731 - jax caches by function
        return noise.measure_program(trace(anew, *point), point)

    def paired_values(self, points: Sequence[Point]) -> np.ndarray:
        """Return ⟨direction, primal⟩ at points of one shape, in the widest arithmetic there is."""

        def pairing(args: PyTree, cotangent: PyTree) -> Any:
            products = jax.tree.map(_inner, self.claim.primal(*args), cotangent)
            return sum(jax.tree.leaves(products), jnp.zeros(()))

        stacked = stack(points)
        narrow = jax.tree.map(
            lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.longdouble else leaf, stacked
        )
        return run(self._program("pairing", jax.vmap(pairing), narrow), stacked, wide=True)[0]

    def truths(self, points: Sequence[Point]) -> list[Measured]:
        """Return autodiff of the primal at each point, with its rounding noise."""
        many = noise.measure_program(
            self._program("truths", jax.vmap(self.claim.truth), stack(points)), stack(points)
        )
        return [Measured(*jax.tree.map(lambda leaf, i=i: leaf[i], tuple(many))) for i in range(len(points))]

    def truth(self, point: Point, *, wide: bool = False) -> Measured:
        """Return autodiff of the primal at one point, with its rounding noise."""
        return noise.measure_program(self._program("truth", self.claim.truth, point), point, wide=wide)

    def hand(self, point: Point, *, wide: bool = False) -> Measured:
        """Return the hand-written derivative, interpreted, with its rounding noise."""
        return noise.measure_program(self._program("hand", self.claim.hand, point), point, wide=wide)

    def finite(self, points: Sequence[Point]) -> list[bool]:
        """Return whether the primal itself is finite at each point; elsewhere nothing can be judged."""
        apply = jax.vmap(lambda args, _: self.claim.primal(*args))
        values = jax.tree.leaves(run(self._program("primals", apply, stack(points)), stack(points))[0])
        real = [leaf for leaf in values if jnp.issubdtype(leaf.dtype, jnp.inexact)]
        return [all(bool(np.all(np.isfinite(leaf[i]))) for leaf in real) for i in range(len(points))]

    def value(self, point: Point) -> PyTree:
        """Return the value of the primal."""
        apply = lambda args, _: self.claim.primal(*args)  # noqa: E731 - it takes a direction as the others do
        return run(self._program("value", apply, point), point)[0]

    def many(self, kind: str, points: Sequence[Point]) -> PyTree:
        """Return `hand` or `truth` at many points of one shape, stacked and without noise."""
        f = self.claim.hand if kind == "hand" else self.claim.truth
        stacked = stack(points)
        return run(self._program(f"many {kind}", jax.vmap(f), stacked), stacked)[0]

    def _program(self, kind: str, f: Callable[..., Any], point: Point) -> Program:
        key = (kind, shapes_of(tuple(point)))
        if key not in self._programs:
            self._programs[key] = trace(f, *point)
        return self._programs[key]


def _inner(value: Any, cotangent: Any) -> Any:
    """Return the sum of the products; 0 where the value has no cotangent."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
        return jnp.zeros(())
    return jnp.real(jnp.sum(value * cotangent))
