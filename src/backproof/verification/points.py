"""Where a claim is tried: the inputs at which gradients go wrong.

Hypothesis draws a shape from a short menu, a kind of value and a seed; the numbers are then made in
NumPy, outside jit. Axis sizes are pairwise different by default (a transposed gradient passes every
shape check on square arrays), then 1 and 0. Values meet ties, signed zeros, large and tiny numbers,
mixed scales, and the edges of the declared domain.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from backproof.arguments import Specification, evaluate, names_of, shape_of
from backproof.errors import UsageError, message

PyTree = Any
SIZES = (3, 2, 4, 5, 7, 6, 8)
BATCHES = ((), (5,), (1,), (2, 4), (0,))
SEEDS = st.integers(0, 2**32 - 1)


class Drawn(NamedTuple):
    """Holds one drawn argument tuple and the seed of everything drawn beside it."""

    args: tuple[PyTree, ...]
    seed: int


def _plain(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def _grid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw small whole and half numbers: ties, zeros and points on kinks."""
    return rng.integers(-4, 5, shape) / 2


def _zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.where(rng.random(shape) < 0.5, rng.choice([0.0, -0.0], shape), rng.standard_normal(shape))


def _tied(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, rng.standard_normal())


def _large(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-60, 60, shape)


def _overflowing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-1000, 1000, shape)


def _tiny(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) * 1e-5


def _mixed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-4, 4, shape)


KINDS = (_plain, _grid, _zeros, _tied, _large, _overflowing, _tiny, _mixed)


def menu(specs: list[Specification]) -> list[dict[str, Any]]:
    """Return the sizes that are tried for the names in `specs`, the smallest first.

    All 1, each name 1 with the others distinct, all distinct in two orders, and, where no `*` axis
    is there to be empty, each name 0.
    """
    names = list(dict.fromkeys(name for spec in specs for name in names_of(spec)))
    stars = [name for name in names if name.startswith("*")]
    plain = [name for name in names if not name.startswith("*")]
    distinct = dict(zip(plain, itertools.cycle(SIZES), strict=False))
    rotated = dict(zip(plain, itertools.cycle(SIZES[1:] + SIZES[:1]), strict=False))
    sizes = [dict.fromkeys(plain, 1), *({**distinct, name: 1} for name in plain), distinct, rotated]
    if not stars:
        sizes += [{**distinct, name: 0} for name in plain]
        return _unique(sizes)
    batches = itertools.cycle(BATCHES)
    rounds = itertools.islice(itertools.cycle(_unique(sizes)), max(len(sizes), len(BATCHES)))
    return _unique([{**size, **dict.fromkeys(stars, next(batches))} for size in rounds])


def _unique(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for i, one in enumerate(sizes) if one not in sizes[:i]]


def from_specifications(
    specs: PyTree, arrange: Callable[[PyTree], tuple[PyTree, ...]]
) -> st.SearchStrategy[Drawn]:
    """Return the strategy of argument tuples that fit `specs`.

    Args:
        specs: a pytree of specifications that share their names.
        arrange: makes the argument tuple from the pytree of shapes; what it adds (parameters) is
            drawn like any floating array.
    """
    is_spec = lambda node: isinstance(node, Specification)  # noqa: E731 - a leaf predicate, used twice
    leaves, tree = jax.tree.flatten(specs, is_leaf=is_spec)
    sizes = menu(leaves)

    @st.composite
    def draw(draw_one: Callable[[st.SearchStrategy[Any]], Any]) -> Drawn:
        dims = draw_one(st.sampled_from(sizes))
        kind = draw_one(st.sampled_from(KINDS))
        seed = draw_one(SEEDS)
        shapes = [jax.ShapeDtypeStruct(shape_of(spec, dims), spec.dtype) for spec in leaves]
        args = arrange(tree.unflatten(shapes))
        bounded = iter(leaves)
        known = {id(shape): next(bounded) for shape in shapes}
        rng = np.random.default_rng(seed)
        values = jax.tree.map(lambda leaf: _value(known.get(id(leaf)), leaf, dims, kind, rng), args)
        for spec, value in zip(leaves, [v for v, s in _pairs(values, args) if id(s) in known], strict=True):
            assume(spec.where is None or bool(spec.where(value)))
        return Drawn(values, seed)

    return draw()


def from_examples(examples: tuple[PyTree, ...]) -> st.SearchStrategy[Drawn]:
    """Return the strategy of argument tuples with the shapes of `examples`; integers stay as given."""

    @st.composite
    def draw(draw_one: Callable[[st.SearchStrategy[Any]], Any]) -> Drawn:
        kind = draw_one(st.sampled_from((None, *KINDS)))
        seed = draw_one(SEEDS)
        rng = np.random.default_rng(seed)

        def vary(leaf: Any) -> Any:
            if kind is None or not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
                return leaf
            return np.asarray(kind(rng, jnp.shape(leaf))).astype(jnp.result_type(leaf))

        return Drawn(jax.tree.map(vary, examples), seed)

    return draw()


def _pairs(values: PyTree, shapes: PyTree) -> list[tuple[Any, Any]]:
    return list(zip(jax.tree.leaves(values), jax.tree.leaves(shapes), strict=True))


def _value(
    spec: Specification | None,
    leaf: jax.ShapeDtypeStruct,
    dims: dict[str, Any],
    kind: Callable[..., Any],
    rng: Any,
) -> np.ndarray:
    """Return an array for one leaf: of the drawn kind, moved into the declared domain."""
    if spec is None:
        return np.asarray(kind(rng, leaf.shape)).astype(leaf.dtype)
    low, high = evaluate(spec.low, dims), evaluate(spec.high, dims)
    if spec.dtype == "bool":
        return rng.random(leaf.shape) < 0.5
    if not spec.is_differentiable:
        return _whole(spec, low, high, leaf, rng)
    if "complex" in spec.dtype:
        return np.asarray(kind(rng, leaf.shape) + 1j * kind(rng, leaf.shape)).astype(leaf.dtype)
    values = np.asarray(kind(rng, leaf.shape)).astype(leaf.dtype)
    return values if low is None and high is None else _inside(values, spec, low, high, rng)


def _whole(spec: Specification, low: Any, high: Any, leaf: jax.ShapeDtypeStruct, rng: Any) -> np.ndarray:
    least = -4 if low is None else int(np.floor(low)) + spec.low_open
    most = least + 8 if high is None else int(np.ceil(high)) - spec.high_open
    if most < least and np.prod(leaf.shape, dtype=int):
        assume(False)  # no value exists at these sizes; others are drawn
    return rng.integers(least, max(most, least) + 1, leaf.shape).astype(leaf.dtype)


def _inside(values: np.ndarray, spec: Specification, low: Any, high: Any, rng: Any) -> np.ndarray:
    """Return `values` with those outside the bounds replaced by ones inside, edges among them."""
    dtype = values.dtype
    least = dtype.type(-np.inf if low is None else low)
    most = dtype.type(np.inf if high is None else high)
    least = np.nextafter(least, most) if spec.low_open else least
    most = np.nextafter(most, least) if spec.high_open else most
    if not least <= most:
        raise UsageError(
            message(
                must="low must not exceed high",
                found=f"low={low}, high={high}",
                where=str(spec),
                do="exchange the bounds",
            )
        )
    begin = float(least) if np.isfinite(least) else float(most) - 10
    end = float(most) if np.isfinite(most) else float(least) + 10
    drawn = rng.uniform(begin, end, values.shape)
    edge = rng.random(values.shape) < 0.1
    drawn = np.where(edge, rng.choice([begin, end], values.shape), drawn).astype(dtype)
    return np.clip(np.where((values < least) | (values > most), drawn, values), least, most)


def direction(like: PyTree, seed: int) -> PyTree:
    """Return a cotangent (or tangent): signed random, one-hot, ones, zero or of mixed scale; float64.

    Ones alone never count: they hide whatever sums to zero.
    """
    rng = np.random.default_rng([seed, 1])
    kind = ("random", "random", "one-hot", "mixed", "ones", "zero")[int(rng.integers(6))]

    def one(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        wide = np.complex128 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else np.float64
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return np.zeros(leaf.shape, jax.dtypes.float0)
        values = rng.standard_normal(leaf.shape).astype(wide)
        if wide is np.complex128:
            values = values + 1j * rng.standard_normal(leaf.shape)
        if kind == "one-hot":
            hot = np.arange(values.size) == rng.integers(max(values.size, 1))
            return hot.reshape(leaf.shape).astype(wide)
        if kind == "mixed":
            return values * 10.0 ** rng.uniform(-3, 3)
        return {"ones": np.ones_like(values), "zero": np.zeros_like(values)}.get(kind, values)

    return jax.tree.map(one, like)
