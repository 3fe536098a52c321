"""The lines that a derivation may yield: an assumption, a value equal to the line before, or a claim."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.derivations.watching import Lemma, noted
from backproof.errors import UsageError

PyTree = Any


class Kind(StrEnum):
    """Names the kinds of yielded lines."""

    ASSUMED = "assume"
    VALUE = "value"
    AT_MOST = "at_most"
    LESS = "less"
    EQUAL = "equal"
    DIFFERS = "differ"
    DIFFERS_SOMEWHERE = "differ somewhere"
    HOLDS = "holds"
    OPEN = "open"


@dataclass(frozen=True)
class Assumption:
    """Holds a condition that restricts the points of a derivation, and its formula."""

    condition: Any
    latex: str


@dataclass(frozen=True)
class Stated:
    """Holds a claim, which is not compared with the line before: its kind and its sides."""

    kind: Kind
    sides: tuple[PyTree, ...]


class Said(NamedTuple):
    """Holds one line as it is yielded: a value or a claim, its formula, and why it follows."""

    value: Any
    latex: str
    reason: str


class End(NamedTuple):
    """Holds the line of a definition or of what ships, which the file does not yield itself.

    Attributes:
        latex: its formula.
        value: returns its value, which may be dear and is not always needed.
        reason: why it stands there.
        row: the line of the file on which its function stands.
        anchor: the autodiff that gives its value, if any.
        ships: the code that it runs, if any.
    """

    latex: str
    value: Callable[[], PyTree]
    reason: str
    row: int
    anchor: str = ""
    ships: str = ""

    def step(self, value: PyTree) -> "Step":
        """Return the step of this line with a value."""
        return Step(Kind.VALUE, value, self.latex, self.reason, self.row, self.anchor, self.ships)


class Step(NamedTuple):
    """Holds one yielded line.

    Attributes:
        kind: the kind of the line.
        payload: its arrays: a value, the sides of a claim, or the condition of an assumption.
        latex: its formula.
        reason: why it follows.
        row: the line of the file on which it is yielded.
        anchor: the autodiff that gives its value, where that is told and not read in the source.
        ships: the code that it runs, where that is told and not read in the source.
        cites: the derivations whose values were taken since the line before.
    """

    kind: Kind
    payload: PyTree
    latex: str
    reason: str
    row: int
    anchor: str = ""
    ships: str = ""
    cites: "tuple[Lemma, ...]" = ()

    @property
    def is_line(self) -> bool:
        """Whether it counts as a line; an assumption does not."""
        return self.kind is not Kind.ASSUMED


class LineError(UsageError):
    """Raised when a yielded value is not a line; `row` is the row of the file, `number` the line's index."""

    row: int
    number: int

    def __init__(self, text: str, row: int = 0, number: int = 0) -> None:
        """Store the text and the place."""
        super().__init__(text)
        self.row, self.number = row, number


class UnyieldedError(LineError):
    """Raised when an assumption or a claim was made and not yielded, so that it would have no effect."""


def line(latex: str, value: PyTree, because: str) -> Said:
    r"""Return a line: its value must equal that of the line before, at every drawn point.

    Args:
        latex: its formula.
        value: an array or a pytree of arrays; or a claim, such as `bp.at_most(left, right)`.
        because: why it follows.

    Raises:
        UsageError: the formula or the reason is no text.
    """
    if not (isinstance(latex, str) and isinstance(because, str)):
        texts = f"{_short(latex)} and {_short(because)}"
        raise UsageError(
            f"bp.line takes (latex, value, because), of which the first and last are texts, but found {texts}"
        )
    return noted(Said(value, latex, because))


def assume(condition: Any, latex: str) -> Assumption:
    """Return an assumption: the derivation is tried only at points where every entry of it is true."""
    return noted(Assumption(condition, latex))


def at_most(left: PyTree, right: PyTree) -> Stated:
    """Return the claim left ≤ right, entry by entry, at every point."""
    return noted(Stated(Kind.AT_MOST, (left, right)))


def at_least(left: PyTree, right: PyTree) -> Stated:
    """Return the claim left ≥ right, entry by entry, at every point."""
    return noted(Stated(Kind.AT_MOST, (right, left)))


def less(left: PyTree, right: PyTree) -> Stated:
    """Return the claim left < right, entry by entry, at every point."""
    return noted(Stated(Kind.LESS, (left, right)))


def equal(left: PyTree, right: PyTree) -> Stated:
    """Return the claim left = right, which is not compared with the line before."""
    return noted(Stated(Kind.EQUAL, (left, right)))


def differ(left: PyTree, right: PyTree, *, somewhere: bool = False) -> Stated:
    """Return the claim left ≠ right in some entry: at every point, or at some point if `somewhere`."""
    return noted(Stated(Kind.DIFFERS_SOMEWHERE if somewhere else Kind.DIFFERS, (left, right)))


def holds(condition: Any) -> Stated:
    """Return the claim that every entry of `condition` is true, at every point."""
    return noted(Stated(Kind.HOLDS, (condition,)))


def read(yielded: Any, row: int, number: int) -> Step:
    """Return the step that `yielded` stands for.

    Raises:
        LineError: `yielded` is neither an assumption nor a line.
    """
    if isinstance(yielded, End):
        return yielded.step(_arrays(yielded.value(), yielded.row, number))
    if isinstance(yielded, Assumption):
        return Step(Kind.ASSUMED, _arrays(yielded.condition, row, number), yielded.latex, "", row)
    if isinstance(yielded, Stated):
        text = "a claim is yielded with its formula and reason: bp.line(latex, claim, because)"
        raise LineError(text, row, number)
    if not (
        isinstance(yielded, tuple) and len(yielded) == 3 and all(isinstance(t, str) for t in yielded[1:])
    ):
        text = f"a line is yielded as bp.line(latex, value, because), but found {_short(yielded)}"
        raise LineError(text, row, number)
    value, latex, reason = yielded
    if value is ...:  # left open, because it raises
        return Step(Kind.OPEN, (), latex, reason, row)
    if isinstance(value, Stated):
        return Step(value.kind, _matched(value, row, number), latex, reason, row)
    return Step(Kind.VALUE, _arrays(value, row, number), latex, reason, row)


def _matched(stated: Stated, row: int, number: int) -> tuple[PyTree, ...]:
    """Return the sides of a claim; a number is broadcast to the shape of the other side."""
    sides = tuple(_arrays(side, row, number) for side in stated.sides)
    if len(sides) == 1:
        return sides
    left, right = sides
    if jax.tree.structure(left) == jax.tree.structure(right):
        pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
        if all(jnp.shape(a) == jnp.shape(b) or () in (jnp.shape(a), jnp.shape(b)) for a, b in pairs):
            pairs = jax.tree.map(jnp.broadcast_arrays, left, right)
            return jax.tree.transpose(jax.tree.structure(left), jax.tree.structure([0, 0]), pairs)
    raise LineError(
        f"the sides of a claim must have one tree and shape, but found {_form(left)} and {_form(right)}",
        row,
        number,
    )


def _arrays(value: PyTree, row: int, number: int) -> PyTree:
    """Return `value` with every leaf an array of numbers.

    Raises:
        LineError: `value` has no leaf, or a leaf is not an array of numbers.
    """
    leaves, tree = jax.tree.flatten(value)
    for leaf in leaves:
        dtype = getattr(leaf, "dtype", None) if not isinstance(leaf, bool | int | float | complex) else True
        if dtype is None or (dtype is not True and not _is_number(dtype)):
            raise LineError(
                f"a line is an array or a pytree of arrays, but found {_short(leaf)}", row, number
            )
    if not leaves:
        raise LineError(f"a line is an array or a pytree of arrays, but found {_short(value)}", row, number)
    return tree.unflatten([jnp.asarray(leaf) for leaf in leaves])


def _is_number(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, np.bool_)


def _form(value: PyTree) -> str:
    return str(jax.tree.map(lambda leaf: jnp.shape(leaf), value))


def _short(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:77] + '…'}"
