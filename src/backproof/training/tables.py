"""Samples from a CSV file with a header: one column is the target, every other a feature.

The target is the column that is asked for, else the one named `y`, else the last.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backproof.errors import DataError, did_you_mean, message

TARGET = "y"


class Table(NamedTuple):
    """Holds the columns of a file.

    Attributes:
        x: the features, one row for each sample.
        y: the targets: whole numbers, real numbers, or texts; None if the file has none.
        features: the names of the columns of `x`.
        target: the name of the column of `y`.
    """

    x: np.ndarray
    y: np.ndarray | None
    features: tuple[str, ...]
    target: str = ""


def is_table(path: Path) -> bool:
    """Return whether a file is named as CSV."""
    return path.suffix.lower() == ".csv"


class Columns(NamedTuple):
    """Holds the names of the columns that a model was trained on."""

    features: tuple[str, ...]
    target: str


def read_table(
    path: Path, target: str | None = None, known: Columns | None = None, width: int | None = None
) -> Table:
    """Return the features and the targets of a CSV file.

    Args:
        path: the file. Its first row has the names of the columns.
        target: the name of the target's column.
        known: the columns that a model was trained on: they are taken by their names, in whatever order they
            stand, and the target only if it is there.
        width: how many features a model needs whose columns have no names: as many columns have no target.

    Raises:
        DataError: the file cannot be read, has no header, a row has another length, or a feature is not a
            number.
    """
    names, rows = _rows(path)
    if target is not None and target not in names:
        raise _bad(
            path, f"the file must have a column {target!r}", ", ".join(names), did_you_mean(target, names)
        )
    wanted = known.target if known else (TARGET if TARGET in names else names[-1])
    bare = not known and target is None and len(names) == width
    chosen = target or (None if bare or wanted not in names else wanted)
    features = known.features if known else tuple(name for name in names if name != chosen)
    missing = next((name for name in features if name not in names), None)
    if missing is not None:
        must = f"the file must have the column {missing!r}, on which the model was trained"
        raise _bad(path, must, ", ".join(names), f"add it; {did_you_mean(missing, names)}")
    if not features:
        do = "add one" if ";" not in names[0] else "separate the columns by commas"
        raise _bad(path, "the file must have a feature beside the target", f"one column, {names[0]!r}", do)
    columns = [names.index(name) for name in features]
    x = np.array([[_number(path, names, i, n, row[n]) for n in columns] for i, row in enumerate(rows)], float)
    y = None if chosen is None else _targets([row[names.index(chosen)].strip() for row in rows])
    return Table(x, y, features, chosen or "")


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns and the rows below them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = f"{type(error).__name__}: {error}"
        raise _bad(
            path, "the file must be readable as CSV in UTF-8", said, "export it again as CSV"
        ) from error
    if len(rows) < 2:
        found = f"{len(rows)} rows" if len(rows) != 1 else "1 row"
        raise _bad(path, "the file must have a header and at least one sample", found, "add samples")
    names, *samples = rows
    names = [name.strip() for name in names]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise _bad(path, "every column must have a name of its own", f"{twice!r} twice", "rename one")
    if all(_is_number(name) for name in names):
        found = ", ".join(names[:4])
        raise _bad(path, "the first row must name the columns", found, "add a row of names at the top")
    for number, row in enumerate(samples):
        if len(row) != len(names):
            found = f"{len(row)} in row {number + 2}"
            raise _bad(
                path, f"every row must have {len(names)} cells, as the header has", found, "mend that row"
            )
    return names, samples


def _number(path: Path, names: list[str], row: int, column: int, cell: str) -> float:
    if _is_number(cell):
        return float(cell)
    where = f"in row {row + 2}, column {names[column]!r}"
    if not cell.strip():
        raise _bad(
            path, "every feature must be a number", f"an empty cell {where}", "fill it, or leave out the row"
        )
    do = "turn texts into numbers, leave out the column, or name the target with --target"
    raise _bad(path, "every feature must be a number", f"{cell!r} {where}", do)


def _targets(cells: list[str]) -> np.ndarray:
    """Return whole numbers if all cells are such, else real numbers if all are, else the texts."""
    if not all(map(_is_number, cells)):
        return np.array(cells)
    numbers = np.array(cells, float)
    is_whole = all(cell.lstrip("+-").isdecimal() for cell in cells)
    return numbers.astype(np.int64) if is_whole else numbers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _bad(path: Path, must: str, found: str, do: str) -> DataError:
    return DataError(message(must=must, found=found, where=str(path), do=do))
