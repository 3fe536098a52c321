"""The arguments at which a claim is tried, chosen to include those at which gradients go wrong.

Hypothesis draws seeds; each seed gives shapes from a short menu and, for each shape, numbers of some kind,
made in NumPy, outside jit. Among the numbers are ties, signed zeros, large and tiny ones, mixed scales, and
the edges of the declared domain.
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
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree
from backproof.verification.points.sizes import menu, with_long
from backproof.verification.points.values import (
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

LONG = (16384, 1024)
SHORT = 64
# A draw that `where` refuses is made again from a seed this much larger: few draws may fit a shape.
RETRY = 10_007
# Draws made from one seed where there is only one size.
FIXED = 8
# From one size of a block to the next the style moves on by STEP, and from one block to the next by STRIDE;
# both are prime to the number of styles.
STEP, STRIDE = 5, 8
SEEDS = st.integers(0, 2**32 - 1)


class Drawn(NamedTuple):
    """Holds one drawn argument tuple, not yet built, and the seed of everything drawn with it.

    Attributes:
        build: makes the arguments, the same each time.
        shapes: the shapes and dtypes of the arguments, as text.
        size: how many entries they have.
        empty: whether an argument has no entry.
        seed: the seed of the direction that goes with them.
        tree: their tree, as text.
        kind: the kind of the direction, None where it is drawn as well.
        dims: the size of each named axis.
    """

    build: Callable[[], tuple[PyTree, ...]]
    shapes: str
    size: int
    empty: bool
    seed: int
    tree: str = ""
    kind: str | None = None
    dims: tuple[tuple[str, Any], ...] = ()


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


class Points:
    """Draws the arguments of a claim; here with the user's own strategy, whose sizes are not known.

    It is a class because `FromArguments` knows more about its draws and remembers it.

    Attributes:
        strategy: the Hypothesis strategy; it yields lists of draws, or seeds from which `made` makes them.
        block: how many draws result from one value of the strategy.
        axes: the names of the axes.
    """

    block: int = 1
    axes: tuple[str, ...] = ()

    def __init__(self, strategy: st.SearchStrategy[Any]) -> None:
        """Hold the strategy."""
        self.strategy = strategy

    def made(self, drawn: Any, number: int, first: Any) -> list[Drawn]:
        """Return the draws that result from one value of the strategy.

        Args:
            drawn: that value.
            number: how many values were drawn before it.
            first: the first value that was drawn.
        """
        del number, first
        return drawn

    def styled(self, style: Style, seed: int) -> list[Drawn]:
        """Return draws of a style from a seed, one at each size; none if the user drew the numbers."""
        del style, seed
        return []

    def plain(self, seed: int = 1) -> list[Drawn]:
        """Return draws of plain numbers, one at each size."""
        return self.styled(Style(plain), seed)

    def longer(self, axis: str, size: int, seed: int) -> Drawn | None:
        """Return a draw of plain numbers in which one axis has a given size and the others are short."""
        del axis, size, seed
        return None

    def large(self, affords: Callable[[str, int], bool]) -> list[Long]:
        """Return, for each axis, draws in which it is long and the others short.

        Args:
            affords: whether an axis may have a given length.
        """
        del affords
        return []

    def small(self) -> list[Drawn]:
        """Return draws at sizes from 1 to 3, the smallest first."""
        return []

    def admits(self, args: tuple[PyTree, ...]) -> bool:
        """Return whether an argument tuple lies in the declared domain; True where none is declared."""
        del args
        return True

    def sizes_at(self, args: tuple[PyTree, ...]) -> Dims:
        """Return the size of each named axis at an argument tuple; none if the user drew the numbers."""
        del args
        return {}

    @property
    def held(self) -> tuple[str, ...]:
        """Return what is held fixed, in words."""
        return ()


class FromArguments(Points):
    """Draws the arguments of a claim for which specifications or examples are given.

    Hypothesis draws seeds; each gives a block: a draw at every size of the menu, each in a style of its own.
    """

    def __init__(
        self,
        arguments: PyTree,
        arrange: Callable[[PyTree], tuple[PyTree, ...]] = tuple,
        *,
        styles: Sequence[Style] = STYLES,
        sizes_of: Callable[[list[Specification]], list[dict[str, Any]]] = menu,
        in_turn: bool = True,
    ) -> None:
        """Hold the specifications and examples of the arguments.

        Args:
            arguments: a pytree of specifications that share their names, and of example arrays, whose
                shapes are kept, whose numbers are varied and whose integers stay as given.
            arrange: makes the argument tuple from the pytree of leaves; leaves that it adds (the shapes of
                parameters) are drawn like any floating array.
            styles: the kinds of numbers that are drawn.
            sizes_of: gives the sizes that are tried for the names in the specifications.
            in_turn: whether the styles are used in turn; otherwise the seed of a block chooses one.
        """
        super().__init__(SEEDS)
        self._leaves, self._tree = jax.tree.flatten(arguments, is_leaf=is_specification)
        self._specs = [leaf for leaf in self._leaves if is_specification(leaf)]
        self._arrange, self._styles, self._in_turn = arrange, styles, in_turn
        self._sizes = sizes_of(self._specs)
        self._arranged: dict[str, tuple[tuple[PyTree, ...], Drawn] | None] = {}
        self.axes = tuple(dict.fromkeys(name for spec in self._specs for name in names_of(spec)))
        self.block = len(self._sizes) if len(self._sizes) > 1 else FIXED

    def made(self, drawn: int, number: int, first: int) -> list[Drawn]:
        """Return a draw at every size, from a seed."""
        places = enumerate(self._sizes * FIXED if len(self._sizes) == 1 else self._sizes)
        # in turn, so that every size gets every style; neighbouring sizes get very different ones
        turn, styles = first + STRIDE * number if self._in_turn else drawn, self._styles
        return self._every((dims, styles[(turn + STEP * i) % len(styles)], drawn + i) for i, dims in places)

    def styled(self, style: Style, seed: int) -> list[Drawn]:
        """Return draws of a style from a seed, one at each size."""
        return self._every((dims, style, seed) for dims in self._sizes)

    def longer(self, axis: str, size: int, seed: int) -> Drawn | None:
        """Return a draw of plain numbers in which one axis has a given size and the others are short."""
        found = self._at(with_long(self._specs, axis, size), Style(plain), seed)
        return found and found._replace(kind="random")

    def large(self, affords: Callable[[str, int], bool]) -> list[Long]:
        """Return, for each axis, draws in which it is long and the others short."""
        pairs = []
        for axis in self.axes:
            fitting = (n for n in LONG if self._entries(with_long(self._specs, axis, n)) <= EFFORT.arguments)
            size = next((n for n in fitting if affords(axis, n)), SHORT)
            both = (self._at(with_long(self._specs, axis, n), Style(positive), 1) for n in (size, SHORT))
            long, short = both
            if long is not None and short is not None and size > SHORT:
                pairs.append(Long(long, short, size, SHORT))
        return pairs

    def small(self) -> list[Drawn]:
        """Return draws at sizes from 1 to 3, the smallest first."""
        names = sorted(self.axes)
        choices = [((), (1,), (2,)) if name.startswith("*") else (1, 2, 3) for name in names]
        rounds = itertools.islice(itertools.product(*choices), EFFORT.small)
        every_size = [dict(zip(names, one, strict=True)) for one in rounds] if names else []
        styles = enumerate((Style(plain), Style(None), Style(grid)), 1)
        made = self._every((dims, style, seed) for seed, style in styles for dims in every_size)
        return sorted(made, key=lambda one: one.size)

    def admits(self, args: tuple[PyTree, ...]) -> bool:
        """Return whether every bound and every `where=` holds at `args`, whatever their sizes."""
        pairs, dims = self._pairs(args), Dims()
        try:
            # axes that are plain names first: an expression may hold for several sizes of its name
            for spec, value in sorted(pairs, key=_has_expressions):
                dims = bind(spec, np.shape(value), dims)
        except UsageError:
            return False  # the sizes cannot be determined
        return all(within(spec, value, dims) for spec, value in pairs) and self._satisfied(args)

    def sizes_at(self, args: tuple[PyTree, ...]) -> Dims:
        """Return the size of each named axis at an argument tuple."""
        dims = Dims()
        for spec, value in sorted(self._pairs(args), key=_has_expressions):
            dims = bind(spec, np.shape(value), dims)
        return {name: size for name, size in dims.items() if name in self.axes}

    def _every(self, choices: Iterable[tuple[Dims, Style, int]]) -> list[Drawn]:
        made = (self._at(*choice) for choice in choices)
        return [one for one in made if one is not None]

    def _at(self, dims: Dims, style: Style, seed: int, tries: int = EFFORT.draws) -> Drawn | None:
        """Return the draw at given sizes, in a given style; None where it does not satisfy `where`."""
        found = self._placed(dims)
        if found is None:
            return None
        args, like = found
        held, whole = jax.tree.flatten(args)

        def build() -> tuple[PyTree, ...]:
            return whole.unflatten([made(leaf, style, seed, place) for place, leaf in enumerate(held)])

        try:
            if not self._checked or self._satisfied(build()):
                return like._replace(build=build, seed=seed)
        except NoSuchNumberError:
            return None
        return self._at(dims, style, seed + RETRY, tries - 1) if tries else None

    def _placed(self, dims: Dims) -> tuple[tuple[PyTree, ...], Drawn] | None:
        """Return the argument tuple at given sizes, its numbers not made yet, and a pattern for its draws."""
        key = repr(sorted(dims.items()))
        if key not in self._arranged:
            self._arranged[key] = self._arranged_at(dims)
        return self._arranged[key]

    def _arranged_at(self, dims: Dims) -> tuple[tuple[PyTree, ...], Drawn] | None:
        try:
            if any(n < 0 for spec in self._specs for n in shape_of(spec, dims)):
                return None  # an axis `n-1` where n is 0
            args = self._arrange(self._tree.unflatten([Holder(leaf, dims) for leaf in self._leaves]))
        except UsageError:
            return None  # parameters, or an axis `12//n`, do not exist at these sizes
        return args, drawn(tuple, args, 0)._replace(dims=tuple(dims.items()))

    def _entries(self, dims: Dims) -> int:
        return sum(int(np.prod(shape_of(spec, dims), dtype=int)) for spec in self._specs)

    @property
    def _checked(self) -> bool:
        """Whether a draw may exist at some sizes, or seeds, and not at others."""
        return any(
            spec.where is not None
            or not spec.is_differentiable
            or isinstance(spec.low, str)
            or isinstance(spec.high, str)
            for spec in self._specs
        )

    def _pairs(self, args: tuple[PyTree, ...]) -> list[tuple[Specification, Any]]:
        """Return each specification with its value; those of the arguments come last, in order."""
        built = jax.tree.leaves(args)[-len(self._leaves) :]
        pairs = zip(self._leaves, built, strict=True)
        return [(spec, value) for spec, value in pairs if is_specification(spec)]

    def _satisfied(self, args: tuple[PyTree, ...]) -> bool:
        """Return whether every `where=` holds."""
        return all(spec.where is None or bool(spec.where(value)) for spec, value in self._pairs(args))


def _has_expressions(pair: tuple[Specification, Any]) -> bool:
    return not all(dim.lstrip("*").isidentifier() for dim in pair[0].dims)
