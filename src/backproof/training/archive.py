"""An archive of arrays with a description: one `.npz` file, and no executable code.

In the file, `about` is JSON. NumPy cannot name dtypes such as bfloat16 in a file: arrays of such a dtype are
stored as whole numbers with the same bits.
"""

import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from zipfile import is_zipfile

import jax.numpy as jnp
import numpy as np

from backproof.errors import DataError, message
from backproof.training.files import UNREADABLE

FORMAT = 1


def write_archive(path: Path, kind: str, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and what is said about them, whole or not at all; a file that is there is replaced.

    Args:
        path: the file.
        kind: what is in it.
        about: what is said about the arrays; JSON can hold it.
        arrays: the arrays, by name.

    Raises:
        DataError: the file cannot be written.
    """
    require_place(path)
    said = {"kind": kind, "format": FORMAT, **about}
    said["dtypes"] = {name: array.dtype.name for name, array in arrays.items()}
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    stored = {name: _as_bits(array) for name, array in arrays.items()}
    try:
        _write_whole(path, lambda file: np.savez(file, about=text, **stored))  # pyright: ignore[reportArgumentType] - names are free
    except OSError as error:
        raise no_place(path, f"{type(error).__name__}: {error.strerror}") from error


def read_archive(
    path: Path, kind: str, assembled: Callable[[dict[str, Any], dict[str, np.ndarray]], Any]
) -> Any:
    """Return what is made of the description and the arrays in a file. Nothing in it is unpickled or run.

    Args:
        path: the file.
        kind: what must be in it.
        assembled: makes the result; it may raise where they do not fit.

    Raises:
        DataError: the file is missing, truncated, damaged, of another kind, or in a format that this version
            of backproof does not read.
    """
    try:
        with _opened(path) as file:
            about = _about(file, path, kind)
            stored = {name: file[name] for name in file.files if name != "about"}
            found = {name: _from_bits(stored[name], dtype) for name, dtype in about["dtypes"].items()}
            # a standardiser was once written without its dtype
            return assembled(about, {**{n: stored[n] for n in ("mean", "scale") if n in stored}, **found})
    except DataError:
        raise
    except (*UNREADABLE, KeyError, TypeError, AttributeError) as error:  # UsageError is a ValueError
        raise no_model(path, f"a damaged one ({type(error).__name__}: {error})") from error


def kind_of(path: Path) -> tuple[str, dict[str, Any]]:
    """Return what is in a file that `write_archive` wrote, and what is said about it.

    Raises:
        DataError: as for `read_archive`.
    """
    try:
        with _opened(path) as file:
            about = _about(file, path, None)
    except DataError:
        raise
    except UNREADABLE as error:
        raise no_model(path, f"a damaged one ({type(error).__name__}: {error})") from error
    return about["kind"], about


def _opened(path: Path) -> Any:
    """Return a file as NumPy reads it; errors are those of `read_archive`."""
    if not path.is_file():
        raise no_model(path, "a folder" if path.is_dir() else "no such file")
    try:
        content = io.BytesIO(path.read_bytes())  # in memory: NumPy leaves a damaged archive open
    except OSError as error:
        raise no_model(path, f"{type(error).__name__}: {error.strerror}") from error
    if not is_zipfile(content):
        raise no_model(path, "another kind of file, or an incomplete one")
    return np.load(content, allow_pickle=False)


def require_place(path: Path) -> None:
    """Raise `DataError` unless a file can be written at `path`; one that is there is left as it is.

    Something other than a file must not be replaced.
    """
    if path.exists() and not path.is_file():
        raise no_place(path, "a folder" if path.is_dir() else "a device")
    try:
        _write_whole(path, lambda _: None, keep=False)
    except OSError as error:
        raise no_place(path, f"{type(error).__name__}: {error.strerror}") from error


def _about(file: Any, path: Path, kind: str | None) -> dict[str, Any]:
    """Return what is said about the arrays in a file, which must be of a kind, if one is given."""
    if "about" not in file.files:
        raise no_model(path, f"an archive of {', '.join(sorted(file.files)[:4])}")
    try:
        about = json.loads(file["about"].tobytes())
    except ValueError:
        about = None
    if not isinstance(about, dict) or "kind" not in about:
        raise no_model(path, "something that backproof did not write")
    if kind is not None and about["kind"] != kind:
        raise no_model(path, f"{about['kind']}, where {kind} is wanted")
    if about["format"] != FORMAT:
        raise DataError(
            message(
                must=f"the model must have format {FORMAT}",
                found=f"format {about['format']}",
                where=str(path),
                do="read it with the backproof that wrote it, or a newer one",
            )
        )
    return about


def _as_bits(array: np.ndarray) -> np.ndarray:
    """Return `array`, or its bits as whole numbers if an `.npz` cannot name its dtype."""
    return array if array.dtype.isbuiltin == 1 else array.view(f"u{array.dtype.itemsize}")


def _from_bits(array: np.ndarray, dtype: str) -> np.ndarray:
    wanted = np.dtype(getattr(jnp, dtype))
    if array.dtype == wanted:
        return array
    if array.dtype != np.dtype(f"u{wanted.itemsize}"):
        raise ValueError(f"{array.dtype} in the place of {dtype}")
    return array.view(wanted)


def _write_whole(path: Path, write: Callable[[IO[bytes]], None], *, keep: bool = True) -> None:
    """Write next to `path` and rename at the end, so that readers find either the old file or the new one.

    If it is not to be kept, the file is removed instead.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if keep:
            os.replace(beside, path)
        else:
            beside.unlink()
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def no_model(path: Path, found: str) -> DataError:
    """Return the error that a file is no model."""
    return DataError(
        message(
            must="the model must be a whole file that backproof wrote",
            found=found,
            where=str(path),
            do="write it with backproof train --save, or with training.save_model",
        )
    )


def no_place(path: Path, found: str) -> DataError:
    """Return the error that no model can be written there."""
    return DataError(
        message(
            must="the model must be written to a file", found=found, where=str(path), do="name another file"
        )
    )
