"""Arrays as small matrices: rows of cells, of which some are marked."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.leaves import has_direction, is_inexact, is_key, leaves_with_paths

# A matrix shows at most so many rows and columns; examples are smaller, as a rule.
MOST = 8
# A leaf of more than two axes is shown as at most so many matrices.
LAYERS = 4
DOTS = "⋯"
# How many significant digits a number has: first so many, and more where that does not tell two apart.
DIGITS, MORE_DIGITS = 6, (9, 13, 17)


class Cell(NamedTuple):
    """Holds the text of one entry, and whether it is marked."""

    text: str
    differs: bool = False


class Grid(NamedTuple):
    """Holds a leaf as matrices.

    Attributes:
        name: the name of the leaf.
        shape: its shape in words, such as `2 × 4`; empty for a single number.
        layers: the matrices, each a sequence of rows; one, unless the leaf has more than two axes.
        places: for each matrix, its index along the leading axes; empty where there is one matrix.
    """

    name: str
    shape: str
    layers: Sequence[Sequence[Sequence[Cell]]]
    places: Sequence[str] = ()

    @property
    def has_marks(self) -> bool:
        """Whether an entry is marked."""
        return any(cell.differs for layer in self.layers for row in layer for cell in row)


def grids(tree: Any, name: str, marks: Mapping[str, Any] | None = None) -> list[Grid]:
    """Return the leaves of a pytree as matrices, a vector as a row.

    Args:
        tree: the pytree.
        name: its name, to which the path of a leaf is added.
        marks: masks of the entries to mark, by the path of the leaf.
    """
    found = []
    for path, leaf in leaves_with_paths(tree):
        if hasattr(leaf, "dtype") and not is_key(leaf) and has_direction(leaf):
            found.append(grid(leaf, f"{name}{path}", (marks or {}).get(path)))
        elif not hasattr(leaf, "dtype") or is_key(leaf):
            shown = jax.random.key_data(leaf) if hasattr(leaf, "dtype") else leaf
            text = str(np.asarray(shown).tolist()) if hasattr(shown, "dtype") else repr(leaf)
            found.append(Grid(f"{name}{path}", "", [[[Cell(text)]]]))
    return found


def grid(
    array: Any, name: str, marks: Any = None, *, column: bool | None = None, digits: int = DIGITS
) -> Grid:
    """Return one array as a matrix, or as several if it has more than two axes.

    Args:
        array: the array.
        name: its name.
        marks: a mask of the entries to mark, of its shape.
        column: whether a vector is a column of a matrix, or a row of one; by default it is no matrix.
        digits: how many significant digits of a number are shown.
    """
    values = np.asarray(array)
    mask = np.zeros(values.shape, bool) if marks is None else np.asarray(marks)
    shape = " × ".join(map(str, values.shape))
    if values.size == 0:
        return Grid(name, shape, [[[Cell("no entry")]]])
    shown = values.shape
    if values.ndim < 2:
        shown = (values.size, 1) if column else (1, values.size)
        values, mask = values.reshape(shown), mask.reshape(shown)
        shape = shape if column is None or not shape else " × ".join(map(str, shown))
    leading = list(np.ndindex(values.shape[:-2]))
    leading.sort(key=lambda at: not np.any(mask[at]))  # those with marks come first
    kept = sorted(leading[:LAYERS])
    layers = [_matrix(values[at], mask[at], digits) for at in kept]
    index = [f"[{', '.join(map(str, at))}]" for at in kept] if len(leading) > 1 else []
    return Grid(name, shape, layers, index)


def compared(one: Any, other: Any, name: str, marks: Any) -> tuple[Grid, Grid]:
    """Return two arrays of one shape, with so many digits that entries which are marked look different."""
    pair = grid(one, name, marks), grid(other, name, marks)
    for digits in MORE_DIGITS:
        if all(_tells(a, b) for a, b in zip(pair[0].layers, pair[1].layers, strict=True)):
            break
        pair = grid(one, name, marks, digits=digits), grid(other, name, marks, digits=digits)
    return pair


def _tells(one: Sequence[Sequence[Cell]], other: Sequence[Sequence[Cell]]) -> bool:
    cells = zip((cell for row in one for cell in row), (cell for row in other for cell in row), strict=True)
    return not any(a.differs and a.text == b.text for a, b in cells)


def _matrix(values: np.ndarray, mask: np.ndarray, digits: int) -> list[list[Cell]]:
    rows, columns = _window(np.any(mask, axis=1)), _window(np.any(mask, axis=0))
    return [[_cell(values, mask, at, to, digits) for to in columns] for at in rows]


def _window(marked: Any) -> list[int | None]:
    """Return the places along an axis that are shown, around the first marked one; None stands for dots."""
    size = len(marked)
    if size <= MOST:
        return list(range(size))
    first = int(np.argmax(marked)) if marked.any() else 0
    start = min(max(first - MOST // 2, 0), size - MOST)
    shown: list[int | None] = list(range(start, start + MOST))
    return [*([None] if start else []), *shown, *([None] if start + MOST < size else [])]


def _cell(values: np.ndarray, mask: np.ndarray, at: int | None, to: int | None, digits: int) -> Cell:
    if at is None or to is None:
        return Cell(DOTS)
    return Cell(number(values[at, to], digits), bool(mask[at, to]))


def number(value: Any, digits: int = DIGITS) -> str:
    """Return a number as short text, with a true minus sign."""
    if not is_inexact(value):
        return str(value.item()).replace("-", "−")
    plain = complex(value) if np.iscomplexobj(value) else float(value)
    return f"{plain:.{digits}g}".replace("-", "−")
