"""Where a claim is tried: the inputs at which gradients go wrong.

Hypothesis draws a shape from a short menu, a kind of value and a seed; the numbers are then made in
NumPy, outside jit. Values meet ties, signed zeros, large and tiny numbers,
mixed scales, and the edges of the declared domain.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from backproof.arguments import Dims, Specification, bind, names_of, shape_of
from backproof.errors import UsageError
from backproof.verification.sizes import menu, with_long
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
LONG = (16384, 1024)
SHORT = 64
SMALL_AT_MOST = 81
LARGEST = 2**18
# A draw that `where` refuses is made again from other seeds, or a shape with few that fit is never seen.
TRIES, RETRY = 8, 10_007
# Draws made at once where there is only one size.
FIXED = 8
# The style of the next size of a block, and of the next block, is as many further on; prime to their number.
STEP, STRIDE = 5, 8
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
        kind: the kind of the direction, None where it is drawn as well.
    """

    build: Callable[[], tuple[PyTree, ...]]
    shapes: str
    size: int
    empty: bool
    seed: int
    tree: str = ""
    kind: str | None = None


class Long(NamedTuple):
    """Holds a draw of numbers near 1 with one long axis, in which sums have many terms, and a shorter one."""

    axis: str
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


def anything(args: tuple[PyTree, ...]) -> bool:
    """Return True: where no domain is declared, every argument lies in it."""
    del args
    return True


def _none(axis: str, size: int, seed: int) -> None:
    """Return None: without named axes none can be made longer."""
    del axis, size, seed


def _none_large(affords: Callable[[str, int], bool]) -> list[Long]:
    del affords
    return []


def _no_draws(style: Style, seed: int) -> list[Drawn]:
    """Return nothing: what the user's own strategy draws has its own style."""
    del style, seed
    return []


class Points(NamedTuple):
    """Holds where a claim can be tried.

    Attributes:
        strategy: draws lists of argument tuples where they are the user's; otherwise seeds.
        made: returns the draws of block `number` from a seed, and from the seed of the first block.
        block: how many are drawn at a time.
        styled: returns draws of a style from a seed, one at each size.
        large: returns, for each axis, draws in which it is long and the others short; it is told
            which lengths of an axis are affordable.
        axes: the names of the axes.
        longer: returns a draw of plain numbers in which one axis has a given size and the others are
            short; None where there is none.
        small: returns draws at sizes from 1 to 3, the smallest first.
        admits: whether an argument tuple lies in the declared domain.
    """

    strategy: st.SearchStrategy[Any] = SEEDS
    made: Callable[[int, int, int], list[Drawn]] | None = None
    block: int = 1
    styled: Callable[[Style, int], list[Drawn]] = _no_draws
    large: Callable[[Callable[[str, int], bool]], list[Long]] = _none_large
    axes: tuple[str, ...] = ()
    longer: Callable[[str, int, int], Drawn | None] = _none
    small: Callable[[], list[Drawn]] = list
    admits: Callable[[tuple[PyTree, ...]], bool] = anything

    def plain(self, seed: int = 1) -> list[Drawn]:
        """Return draws of plain numbers, one at each size."""
        return self.styled(Style(plain), seed)


def from_arguments(
    arguments: PyTree,
    arrange: Callable[[PyTree], tuple[PyTree, ...]] = tuple,
    *,
    styles: Sequence[Style] = STYLES,
    sizes_of: Callable[[list[Specification]], list[dict[str, Any]]] = menu,
    in_turn: bool = True,
) -> Points:
    """Return the points that fit `arguments`.

    Hypothesis draws seeds; from each comes a block: a draw at every size of the menu, in a style of its own.

    Args:
        arguments: a pytree of specifications that share their names, and of example arrays, whose
            shapes are kept, whose numbers are varied and whose integers stay as given.
        arrange: makes the argument tuple from the pytree of leaves; what it adds (shapes of
            parameters) is drawn like any floating array.
        styles: the kinds of numbers that are drawn.
        sizes_of: gives the sizes that are tried for the names in the specifications.
        in_turn: whether the styles follow one another; otherwise the seed of a block chooses.
    """
    leaves, tree = jax.tree.flatten(arguments, is_leaf=is_specification)
    specs = [leaf for leaf in leaves if is_specification(leaf)]
    axes = tuple(dict.fromkeys(name for spec in specs for name in names_of(spec)))
    sizes = sizes_of(specs)
    arranged: dict[str, tuple[tuple[PyTree, ...], Drawn] | None] = {}
    checked = any(spec.where is not None or not spec.is_differentiable for spec in specs)

    def placed(dims: Dims) -> tuple[tuple[PyTree, ...], Drawn] | None:
        """Return the argument tuple at given sizes, its numbers not made yet, and what all draws share."""
        key = repr(sorted(dims.items()))
        if key not in arranged and any(n < 0 for spec in specs for n in shape_of(spec, dims)):
            arranged[key] = None  # an axis `n-1` of no entries less
        if key not in arranged:
            try:
                args = arrange(tree.unflatten([Holder(leaf, dims) for leaf in leaves]))
                arranged[key] = args, drawn(tuple, args, 0)
            except UsageError:
                arranged[key] = None  # parameters do not exist at these sizes: the rule is not meant for them
        return arranged[key]

    def at(dims: Dims, style: Style, seed: int, tries: int = TRIES) -> Drawn | None:
        """Return the draw at given sizes, in a given style; None where it does not satisfy `where`."""
        found = placed(dims)
        if found is None:
            return None
        args, like = found
        held, whole = jax.tree.flatten(args)

        def build() -> tuple[PyTree, ...]:
            return whole.unflatten([made(leaf, style, seed, place) for place, leaf in enumerate(held)])

        try:
            if not checked or _satisfied(leaves, build()):
                return like._replace(build=build, seed=seed)
        except NoSuchNumberError:
            return None
        return at(dims, style, seed + RETRY, tries - 1) if tries else None

    def every(choices: Iterable[tuple[Dims, Style, int]]) -> list[Drawn]:
        made = (at(*choice) for choice in choices)
        return [one for one in made if one is not None]

    def block(number: int, seed: int, first: int) -> list[Drawn]:
        places = enumerate(sizes * FIXED if len(sizes) == 1 else sizes)
        # in turn, so that every size meets every style, the next one far from the last
        turn = first + STRIDE * number if in_turn else seed
        return every((dims, styles[(turn + STEP * i) % len(styles)], seed + i) for i, dims in places)

    def longer(axis: str, size: int, seed: int) -> Drawn | None:
        found = at(with_long(specs, axis, size), Style(plain), seed)
        return found and found._replace(kind="random")

    def large(affords: Callable[[str, int], bool]) -> list[Long]:
        pairs = []
        for name in axes:
            fitting = (n for n in LONG if _entries(specs, with_long(specs, name, n)) <= LARGEST)
            size = next((n for n in fitting if affords(name, n)), SHORT)
            both = (at(with_long(specs, name, n), Style(positive), 1) for n in (size, SHORT))
            long, short = both
            if long is not None and short is not None and size > SHORT:
                pairs.append(Long(name, long, short, size, SHORT))
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
        made=block,
        block=len(sizes) if len(sizes) > 1 else FIXED,
        styled=lambda style, seed: every((dims, style, seed) for dims in sizes),
        large=large,
        axes=axes,
        longer=longer,
        small=small,
        admits=lambda args: _admitted(leaves, args),
    )


def _entries(specs: list[Specification], dims: Dims) -> int:
    return sum(int(np.prod(shape_of(spec, dims), dtype=int)) for spec in specs)


def _admitted(leaves: list[Any], values: tuple[PyTree, ...]) -> bool:
    """Return whether every bound and every `where=` holds at `values`, whatever their sizes."""
    built = jax.tree.leaves(values)[-len(leaves) :]
    pairs = list(zip(leaves, built, strict=True))
    dims: Dims = {}
    try:
        # names that stand alone first: an expression of one may fit several sizes of it
        for spec, value in sorted(pairs, key=_has_expressions):
            dims = bind(spec, np.shape(value), dims) if is_specification(spec) else dims
    except UsageError:
        return False  # sizes that cannot be told
    bounded = all(not is_specification(spec) or within(spec, value, dims) for spec, value in pairs)
    return bounded and _satisfied(leaves, values)


def _has_expressions(pair: tuple[Any, Any]) -> bool:
    spec = pair[0]
    return is_specification(spec) and not all(dim.lstrip("*").isidentifier() for dim in spec.dims)


def _satisfied(leaves: list[Any], values: tuple[PyTree, ...]) -> bool:
    """Return whether every `where=` holds; the arguments of the specifications come last, in order."""
    built = jax.tree.leaves(values)[-len(leaves) :]
    pairs = zip(leaves, built, strict=True)
    return all(not is_specification(spec) or spec.where is None or bool(spec.where(v)) for spec, v in pairs)
