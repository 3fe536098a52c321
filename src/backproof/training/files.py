"""Samples from files: an `.npz` with arrays `x` and `y`, a `.csv` with a header, or a pair of IDX files.

IDX is the format of MNIST: two zero bytes, a byte for the dtype, a byte for the number of axes, each axis as
a big-endian uint32, then the elements, big-endian (http://yann.lecun.com/exdb/mnist). IDX files may be
gzipped. Nothing in a file is ever unpickled.
"""

import gzip
import math
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from backproof.errors import DataError, message
from backproof.training.data import require_samples
from backproof.training.tables import Columns, is_table, read_table

Samples = tuple[Shaped[np.ndarray, "m n"], np.ndarray]
PathLike = str | os.PathLike[str]

UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, MemoryError, zlib.error, zipfile.BadZipFile)
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
TEXTS = "US"


def load(
    source: PathLike | tuple[PathLike, PathLike], *, target: str | None = None, numbers: bool = False
) -> Samples:
    """Return `(x, y)`: one row of numbers for each sample, and its label or its target.

    Args:
        source: an `.npz` file with arrays `x` (samples first; further axes become one row) and `y`, a `.csv`
            file with a header, or a pair of IDX files `(images, labels)`.
        target: the column of a `.csv` file that is y; if None, the one named `y`, else the last.
        numbers: whether y holds the numbers to be predicted, which become rows, and not labels: whole numbers
            from 0, or texts.

    Raises:
        DataError: a file is missing, truncated, of another kind, or holds pickled objects; or its
            values are not finite, not labels, empty, or of differing lengths.
    """
    if isinstance(source, tuple):
        images, labels = (Path(path) for path in source)
        x, y = _read_idx(images), _read_idx(labels)
    elif is_table(Path(source)):
        x, y, *_ = read_table(Path(source), target)
    else:
        x, y = _read_npz(Path(source), needed=("x", "y"))
    assert y is not None
    where = _named(source)
    if numbers:
        y = _as_rows(y, where)
    _require_rows(x, y, where)
    require_samples(x, _numbered(y), where)
    if not numbers:
        _require_labels(y, where)
    return x.reshape(len(x), -1), y


def load_inputs(
    source: PathLike | tuple[PathLike, PathLike],
    *,
    target: str | None = None,
    known: Columns | None = None,
    width: int | None = None,
) -> tuple[Shaped[np.ndarray, "m n"], np.ndarray | None]:
    """Return `(x, y)` as `load` does, for a model that is already trained; y is None if there are no labels.

    Args:
        source: an `.npz` file with an array `x` and optionally `y`, a `.csv` file, an IDX file of images, or
            a pair of IDX files `(images, labels)`.
        target: the column of a `.csv` file that is y.
        known: the columns of a `.csv` file that the model was trained on, which are taken by their names.
        width: how many numbers the model needs, where its columns have no names.

    Raises:
        DataError: as for `load`, except that every kind of label or target is accepted.
    """
    if isinstance(source, tuple):
        x, y = (_read_idx(Path(path)) for path in source)
    elif is_table(Path(source)):
        x, y, *_ = read_table(Path(source), target, known, width)
    elif _is_idx(Path(source)):
        x, y = _read_idx(Path(source)), None
    else:
        x, y = _read_npz(Path(source), needed=("x",))
    where = _named(source)
    _require_rows(x, y, where)
    require_samples(x, np.zeros(len(x), int) if y is None else _numbered(y), where)
    return x.reshape(len(x), -1), y


def columns_of(source: PathLike | tuple[PathLike, PathLike], target: str | None = None) -> Columns | None:
    """Return the names of the columns of a `.csv` file; None for other files.

    Raises:
        DataError: as for `load`.
    """
    if isinstance(source, tuple) or not is_table(Path(source)):
        return None
    table = read_table(Path(source), target)
    return Columns(table.features, table.target)


def numbered(y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels as whole numbers, and the text of each; no text where they are numbers already."""
    if y.dtype.kind not in TEXTS:
        return y, ()
    names, numbers = np.unique(y.astype(str), return_inverse=True)
    return numbers, tuple(map(str, names))


def _numbered(y: np.ndarray) -> np.ndarray:
    return numbered(y)[0]


def _as_rows(y: np.ndarray, where: str) -> np.ndarray:
    """Return targets as one row of numbers for each sample."""
    if y.ndim not in (1, 2) or y.dtype.kind not in "biuf":
        raise DataError(
            message(
                must="the target must hold one number, or one row of numbers, for each sample",
                found=f"y of shape {y.shape} and dtype {y.dtype}",
                where=where,
                do="convert it to numbers; for labels leave --loss out",
            )
        )
    return y.reshape(len(y), -1).astype(np.float64)


def _named(source: PathLike | tuple[PathLike, PathLike]) -> str:
    return ", ".join(map(str, source)) if isinstance(source, tuple) else str(source)


def _require_rows(x: np.ndarray, y: np.ndarray | None, where: str) -> None:
    """Raise `DataError` unless x holds real numbers and y, if given, has one label for each sample."""
    if x.ndim < 1 or (y is not None and y.ndim not in (1, 2)):
        found = f"x.shape={x.shape}" + ("" if y is None else f", y.shape={y.shape}")
        raise DataError(
            message(
                must="x must have one entry per sample and y one label per sample",
                found=found,
                where=where,
                do="pass the images first, then the labels as whole numbers along one axis",
            )
        )
    if x.dtype.kind not in "biuf":
        raise DataError(
            message(
                must="x must hold real numbers",
                found=f"x.dtype={x.dtype}",
                where=where,
                do="convert it first",
            )
        )


def _read_npz(path: Path, needed: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the arrays `x` and `y`; y is None if it is absent and not `needed`."""
    _require_file(path)
    if not zipfile.is_zipfile(path):
        raise _bad_file(
            path, "the file must be a complete .npz archive", "another kind of file, or an incomplete one"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if set(needed) - set(arrays.files):
                named = "arrays named x and y" if len(needed) == 2 else "an array named x"
                raise _bad_file(path, f"the archive must hold {named}", f"{sorted(arrays.files)}")
            return np.asarray(arrays["x"]), np.asarray(arrays["y"]) if "y" in arrays.files else None
    except DataError:
        raise
    except UNREADABLE as error:
        raise _bad_file(path, "the archive must hold complete arrays of numbers", _said(error)) from error


def _is_idx(path: Path) -> bool:
    """Return whether the file begins like an IDX file or like gzipped data; no `.npz` file does."""
    _require_file(path)
    try:
        with path.open("rb") as file:
            return file.read(2) in (b"\0\0", GZIP_MAGIC)
    except OSError as error:
        raise _bad_file(path, "the file must be readable", _said(error)) from error


def _read_idx(path: Path) -> np.ndarray:
    _require_file(path)
    try:
        content = path.read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
    except UNREADABLE as error:
        raise _bad_file(path, "the file must be readable", _said(error)) from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_DTYPES:
        raise _bad_file(
            path, "an IDX file begins with 00 00, a dtype and a rank", f"{content[:4].hex(' ')!r}"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _bad_file(path, f"the header must have {start} bytes", f"{len(content)} bytes")
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4"))
    dtype = np.dtype(IDX_DTYPES[content[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise _bad_file(path, f"an IDX file of shape {shape} has {expected} bytes", f"{len(content)} bytes")
    return np.frombuffer(content[start:], dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise DataError(
            message(
                must="the data file must exist",
                found="a folder" if path.is_dir() else "no such file",
                where=str(path),
                do="check the path",
            )
        )


def _require_labels(y: np.ndarray, where: str) -> None:
    """Raise `DataError` unless y holds whole numbers from 0 to at most the number of samples minus one."""
    if y.ndim != 1:
        found = f"y.shape={y.shape}"
    elif y.dtype.kind in TEXTS:
        return
    elif not np.issubdtype(y.dtype, np.integer):
        found = f"y.dtype={y.dtype}"
    elif y.min() < 0 or y.max() >= len(y):
        at = int(np.argmax((y < 0) | (y >= len(y))))
        found = f"y[{at}]={y[at]} among {len(y)} samples"
    else:
        return
    raise _no_labels(found, where)


def _no_labels(found: str, where: str) -> DataError:
    return DataError(
        message(
            must="labels must be texts, or whole numbers 0, 1, …, fewer than there are samples",
            found=found,
            where=where,
            do="number the classes from 0 and store them as integers; "
            "for numbers that are to be predicted, train with --loss half_squared_error",
        )
    )


def _bad_file(path: Path, must: str, found: str) -> DataError:
    do = "write it with numpy.savez(path, x=…, y=…), pass a .csv, or a pair of IDX files, images first"
    return DataError(message(must=must, found=found, where=str(path), do=do))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
