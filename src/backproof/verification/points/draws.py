"""Draws of the arguments at which a claim is tried, and the points of a strategy that the user wrote.

`from_arguments.py` has the points of specifications and examples.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from backproof.numerics.leaves import PyTree, shapes_of, widen
from backproof.numerics.tracing import float64
from backproof.verification.points.values import Style, plain

SEEDS = st.integers(0, 2**32 - 1)


class Drawn(NamedTuple):
    """Holds one drawn argument tuple, not yet built, and the seed of everything drawn with it.

    Attributes:
        build: makes the arguments, the same each time, in their declared dtypes.
        shapes: the shapes and dtypes of the arguments, as text.
        size: how many entries they have.
        empty: whether an argument has no entry.
        seed: the seed of the direction that goes with them.
        tree: their tree, as text.
        kind: the kind of the direction, None where it is drawn as well.
        varied: whether integers of an example differ from the given ones, for which the caller did not ask:
            a point at which the function does not exist then says nothing.
        exact: makes them for float64, in which formulas are judged, where rounding to the declared dtype
            would break an equation that they satisfy; None where it does not.
        dims: the size of each named axis.
    """

    build: Callable[[], tuple[PyTree, ...]]
    shapes: str
    size: int
    empty: bool
    seed: int
    tree: str = ""
    kind: str | None = None
    varied: bool = False
    exact: Callable[[], tuple[PyTree, ...]] | None = None
    dims: tuple[tuple[str, Any], ...] = ()

    def widened(self) -> tuple[PyTree, ...]:
        """Return the arguments in float64."""
        return widen((self.exact or self.build)())


class Long(NamedTuple):
    """Holds a draw of numbers near 1 with one long axis, in which sums have many terms, and a shorter one."""

    long: Drawn
    short: Drawn
    size: int
    short_size: int


def drawn(build: Callable[[], tuple[PyTree, ...]], shapes: PyTree, seed: int) -> Drawn:
    """Return a draw whose arguments have `shapes`."""
    leaves = jax.tree.leaves(shapes)
    sizes = [
        int(np.size(leaf)) if not hasattr(leaf, "shape") else int(np.prod(leaf.shape, dtype=int))
        for leaf in leaves
    ]
    return Drawn(build, text_of_shapes(shapes), sum(sizes), 0 in sizes, seed, str(jax.tree.structure(shapes)))


def widened_by_shape(draws: Iterable[Drawn]) -> list[list[tuple[PyTree, ...]]]:
    """Return the argument tuples of draws without an empty axis, in float64, by shape, the smallest first."""
    kept = sorted((one for one in draws if not one.empty), key=lambda one: one.size)
    groups: dict[Any, list[tuple[PyTree, ...]]] = {}
    with float64():
        for args in (one.widened() for one in kept):
            groups.setdefault(shapes_of(args), []).append(args)
    return list(groups.values())


def text_of_shapes(args: PyTree) -> str:
    """Return the dtypes and shapes of arguments in words."""
    leaves = jax.tree.leaves(args)
    return " ".join(f"{jnp.result_type(leaf)}{list(np.shape(leaf))}" for leaf in leaves)


class Points:
    """Draws the arguments of a claim; here with the user's own strategy, whose sizes are not known.

    It is a class because `FromArguments` knows more about its draws and remembers it.

    Attributes:
        strategy: the Hypothesis strategy; it yields lists of draws, or seeds from which `made` makes them.
        block: how many draws result from one value of the strategy.
        axes: the names of the axes.
        held: what is the same at every point although the caller may not mean it to be, in words.
        related: whether integers of several examples vary, each on its own, so that what holds between them
            (a permutation and its inverse, lengths and offsets) may be broken.
    """

    block: int = 1
    axes: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    related: bool = False

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
        """Return draws of plain numbers, one at each size; integers of examples are as given."""
        return self.styled(Style(plain, ordinary=True), seed)

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

    def sizes_at(self, args: tuple[PyTree, ...]) -> dict[str, Any]:
        """Return the size of each named axis at an argument tuple; none if the user drew the numbers."""
        del args
        return {}

    def not_empty(self, axis: str) -> str:
        """Return how a specification says that a named axis is never empty."""
        return f"{axis}>=1"

    def landmarks(self, args: tuple[PyTree, ...]) -> dict[str, bool]:
        """Return, for each value that a specification names, whether it is met in an argument tuple."""
        del args
        return {}

    def plainer(self, args: tuple[PyTree, ...]) -> list[tuple[int, list[np.ndarray]]]:
        """Return, for the leaves of `args` that have a structure, their number and the plainest members."""
        del args
        return []

    def free(self, args: tuple[PyTree, ...]) -> tuple[int, ...] | None:
        """Return the arguments that can move in every direction and stay in the domain; None for all.

        A formula that is right for probabilities need not be right next to them, nor differentiate to what
        autodiff finds there.
        """
        del args
        return None
