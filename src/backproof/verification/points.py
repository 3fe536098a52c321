"""Where a claim is tried: the inputs at which gradients go wrong.

Hypothesis draws a shape from a short menu, a kind of value and a seed; the numbers are then made in
NumPy, outside jit. Axis sizes are pairwise different by default (a transposed gradient passes every
shape check on square arrays), then 1 and 0. Values meet ties, signed zeros, large and tiny numbers,
mixed scales, and the edges of the declared domain.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from backproof.arguments import Dims, Specification, bind, names_of, shape_of
from backproof.errors import UsageError
from backproof.verification.values import (
    STYLES,
    Holder,
    NoSuchNumberError,
    Style,
    grid,
    is_specification,
    made,
    plain,
    positive,
    within,
)

PyTree = Any
SIZES = (3, 2, 4, 5, 7, 6, 8)
BATCHES = ((), (5,), (1,), (2, 4), (0,))
LONG = (16384, 1024)
SHORT = 64
SMALL_AT_MOST = 81
LARGEST = 2**18
# Draws made at once where there is only one size.
FIXED = 8
SEEDS = st.integers(0, 2**32 - 1)


class Drawn(NamedTuple):
    """Holds one drawn argument tuple, not yet built, and the seed of everything drawn beside it.

    Attributes:
        build: makes the arguments, the same each time.
        shapes: the shapes and dtypes of the arguments, as text.
        size: how many entries they have.
        empty: whether an argument has none.
        seed: the seed of the direction that goes with them.
        tree: their tree, as text.
    """

    build: Callable[[], tuple[PyTree, ...]]
    shapes: str
    size: int
    empty: bool
    seed: int
    tree: str = ""


class Long(NamedTuple):
    """Holds a draw of numbers near 1 with one long axis, in which sums have many terms, and a shorter one."""

    long: Drawn
    short: Drawn
    size: int
    short_size: int


def drawn(build: Callable[[], tuple[PyTree, ...]], shapes: PyTree, seed: int) -> Drawn:
    """Return a draw whose arguments have `shapes`."""
    leaves = jax.tree.leaves(shapes)
    text = " ".join(f"{jnp.result_type(leaf)}{list(np.shape(leaf))}" for leaf in leaves)
    sizes = [
        int(np.size(leaf)) if not hasattr(leaf, "shape") else int(np.prod(leaf.shape, dtype=int))
        for leaf in leaves
    ]
    return Drawn(build, text, sum(sizes), 0 in sizes, seed, str(jax.tree.structure(shapes)))


def menu(specs: list[Specification]) -> list[dict[str, Any]]:
    """Return the sizes that are tried for the names in `specs`, the smallest first.

    All 1, each name 1 with the others distinct, all distinct in two orders, and, where no `*` axis
    is there to be empty, each name 0.
    """
    names = list(dict.fromkeys(name for spec in specs for name in names_of(spec)))
    if not names:
        return [{}]
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


def anything(args: tuple[PyTree, ...]) -> bool:
    """Return True: where no domain is declared, every argument lies in it."""
    del args
    return True


class Points(NamedTuple):
    """Holds where a claim can be tried.

    Attributes:
        strategy: draws lists of argument tuples, `block` of them at a time.
        block: how many.
        plain: returns draws of plain numbers, one at each size.
        large: returns, for each axis, draws in which it is long and the others short.
        small: returns draws at sizes from 1 to 3, the smallest first.
        admits: whether an argument tuple lies in the declared domain.
    """

    strategy: st.SearchStrategy[list[Drawn]]
    block: int = 1
    plain: Callable[[], list[Drawn]] = list
    large: Callable[[], list[Long]] = list
    small: Callable[[], list[Drawn]] = list
    admits: Callable[[tuple[PyTree, ...]], bool] = anything


def from_arguments(
    arguments: PyTree,
    arrange: Callable[[PyTree], tuple[PyTree, ...]] = tuple,
    *,
    styles: Sequence[Style] = STYLES,
    sizes_of: Callable[[list[Specification]], list[dict[str, Any]]] = menu,
) -> Points:
    """Return the points that fit `arguments`.

    Hypothesis draws a seed; from it comes a draw at every size of the menu, each in a style of its own.

    Args:
        arguments: a pytree of specifications that share their names, and of example arrays, whose
            shapes are kept, whose numbers are varied and whose integers stay as given.
        arrange: makes the argument tuple from the pytree of leaves; what it adds (shapes of
            parameters) is drawn like any floating array.
        styles: the kinds of numbers that are drawn.
        sizes_of: gives the sizes that are tried for the names in the specifications.
    """
    leaves, tree = jax.tree.flatten(arguments, is_leaf=is_specification)
    specs = [leaf for leaf in leaves if is_specification(leaf)]
    sizes = sizes_of(specs)
    arranged: dict[str, tuple[tuple[PyTree, ...], Drawn] | None] = {}
    checked = any(spec.where is not None or not spec.is_differentiable for spec in specs)

    def placed(dims: Dims) -> tuple[tuple[PyTree, ...], Drawn] | None:
        """Return the argument tuple at given sizes, its numbers not made yet, and what all draws share."""
        key = repr(sorted(dims.items()))
        if key not in arranged:
            try:
                args = arrange(tree.unflatten([Holder(leaf, dims) for leaf in leaves]))
                arranged[key] = args, drawn(tuple, args, 0)
            except UsageError:
                arranged[key] = None  # parameters do not exist at these sizes: the rule is not meant for them
        return arranged[key]

    def at(dims: Dims, style: Style, seed: int) -> Drawn | None:
        """Return the draw at given sizes, in a given style; None where it does not satisfy `where`."""
        found = placed(dims)
        if found is None:
            return None
        args, like = found
        held, whole = jax.tree.flatten(args)

        def build() -> tuple[PyTree, ...]:
            return whole.unflatten([made(leaf, style, seed, place) for place, leaf in enumerate(held)])

        try:
            fits = not checked or _satisfied(leaves, build())
        except NoSuchNumberError:
            return None
        return like._replace(build=build, seed=seed) if fits else None

    def every(choices: Iterable[tuple[Dims, Style, int]]) -> list[Drawn]:
        made = (at(*choice) for choice in choices)
        return [one for one in made if one is not None]

    @st.composite
    def draw(draw_one: Callable[[st.SearchStrategy[Any]], Any]) -> list[Drawn]:
        seed = draw_one(SEEDS)
        places = enumerate(sizes * FIXED if len(sizes) == 1 else sizes)
        made = every((dims, styles[(seed + i) % len(styles)], seed + i) for i, dims in places)
        assume(made)
        return made

    def large() -> list[Long]:
        pairs = []
        for name in dict.fromkeys(name for spec in specs for name in names_of(spec)):
            size = next((n for n in LONG if _entries(specs, with_long(specs, name, n)) <= LARGEST), SHORT)
            both = (at(with_long(specs, name, n), Style(positive), 1) for n in (size, SHORT))
            long, short = both
            if long is not None and short is not None and size > SHORT:
                pairs.append(Long(long, short, size, SHORT))
        return pairs

    def small() -> list[Drawn]:
        names = sorted({name for spec in specs for name in names_of(spec)})
        choices = [((), (1,), (2,)) if name.startswith("*") else (1, 2, 3) for name in names]
        rounds = itertools.islice(itertools.product(*choices), SMALL_AT_MOST)
        every_size = [dict(zip(names, one, strict=True)) for one in rounds] if names else []
        styles = enumerate((Style(plain), Style(None), Style(grid)), 1)
        made = every((dims, style, seed) for seed, style in styles for dims in every_size)
        return sorted(made, key=lambda one: one.size)

    return Points(
        draw(),
        block=len(sizes) if len(sizes) > 1 else FIXED,
        plain=lambda: every((dims, Style(plain), 1) for dims in sizes),
        large=large,
        small=small,
        admits=lambda args: _admitted(leaves, args),
    )


def with_long(specs: list[Specification], long: str, size: int) -> dict[str, Any]:
    """Return sizes with the axis `long` of this size and the others short."""
    names = list(dict.fromkeys(name for spec in specs for name in names_of(spec)))
    short = {
        name: (2,) if name.startswith("*") else n
        for name, n in zip(names, itertools.cycle(SIZES), strict=False)
    }
    return {**short, long: (size,) if long.startswith("*") else size}


def _entries(specs: list[Specification], dims: Dims) -> int:
    return sum(int(np.prod(shape_of(spec, dims), dtype=int)) for spec in specs)


def _admitted(leaves: list[Any], values: tuple[PyTree, ...]) -> bool:
    """Return whether every bound and every `where=` holds at `values`, whatever their sizes."""
    built = jax.tree.leaves(values)[-len(leaves) :]
    dims: Dims = {}
    for spec, value in zip(leaves, built, strict=True):
        if is_specification(spec):
            dims = bind(spec, np.shape(value), dims)
    pairs = zip(leaves, built, strict=True)
    bounded = all(not is_specification(spec) or within(spec, value, dims) for spec, value in pairs)
    return bounded and _satisfied(leaves, values)


def _satisfied(leaves: list[Any], values: tuple[PyTree, ...]) -> bool:
    """Return whether every `where=` holds; the arguments of the specifications come last, in order."""
    built = jax.tree.leaves(values)[-len(leaves) :]
    pairs = zip(leaves, built, strict=True)
    return all(not is_specification(spec) or spec.where is None or bool(spec.where(v)) for spec, v in pairs)
