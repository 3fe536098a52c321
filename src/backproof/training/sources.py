"""Samples that stay on disk: arrays mapped into memory, and folders of shards, read some rows at a time.

An uncompressed `.npz` file holds each array in the form of an `.npy` file, so that both are mapped alike.
"""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer, Shaped

from backproof.errors import DataError, message
from backproof.rule import PyTree
from backproof.training.files import PathLike

OPEN_SHARDS = 128
MEMBER_HEADER = 30  # bytes before the name in the local header of a zip archive


class Source(Protocol):
    """The interface that a stream reads: `len(source)` records, each a pair (x, y) = `source[i]`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[PyTree, PyTree]: ...


@runtime_checkable
class Rows(Protocol):
    """A source that reads many records at once, stacked along the first axis; that is much faster."""

    def rows(self, indices: Integer[np.ndarray, " b"]) -> tuple[PyTree, PyTree]:
        """Return x and y of these records."""
        ...


@runtime_checkable
class Named(Protocol):
    """A source with a fingerprint of its own, e.g. the names and sizes of its files."""

    def fingerprint(self) -> str:
        """Return a text that is the same for the same data, and cheap to compute."""
        ...


@dataclass(frozen=True, eq=False)
class Arrays:
    """A source over two arrays, in memory or mapped: `Arrays(np.load("x.npy", mmap_mode="r"), y)`."""

    x: Shaped[np.ndarray, "m ..."]
    y: Shaped[np.ndarray, "m ..."]

    def __post_init__(self) -> None:
        for name, given in (("x", self.x), ("y", self.y)):
            if not hasattr(given, "shape"):
                raise _unfit("arrays", f"{name} a {type(given).__name__}")
        if self.x.ndim < 1 or self.y.ndim < 1 or len(self.x) != len(self.y):
            raise _unfit("arrays", f"x.shape={self.x.shape}, y.shape={self.y.shape}")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.x[index]), np.asarray(self.y[index])

    def rows(self, indices: Integer[np.ndarray, " b"]) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of these records."""
        return np.asarray(self.x[indices]), np.asarray(self.y[indices])


class Shard(NamedTuple):
    """Names the files of one shard (an `.npz` holds both x and y), with their sizes and times when opened."""

    x: Path
    y: Path
    seen: tuple[tuple[int, int], ...]
    samples: int


class Shards:
    """A source over a sequence of files, which reads only the rows that are requested."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Take shards that fit together; `shards_in` finds and checks them."""
        self._shards = tuple(shards)
        self._ends = np.cumsum([shard.samples for shard in shards])
        self._arrays = lru_cache(OPEN_SHARDS)(lambda at: _mapped_pair(self._shards[at]))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
        x, y = self.rows(np.array([index]))
        return x[0], y[0]

    def rows(self, indices: Integer[np.ndarray, " b"]) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y of these records.

        Raises:
            DataError: a file has changed since it was opened.
        """
        of_shard = np.searchsorted(self._ends, indices, side="right")
        x, y = (np.empty((len(indices), *one.shape[1:]), one.dtype) for one in self._arrays(0))
        for at in np.unique(of_shard):
            shard, mine = self._shards[at], of_shard == at
            _require_unchanged(shard)
            local = indices[mine] - (self._ends[at] - shard.samples)
            x[mine], y[mine] = (array[local] for array in self._arrays(int(at)))
        return x, y

    def fingerprint(self) -> str:
        """Return the names and sizes of the files, without their folder and their times."""
        sizes = [
            f"{path.name} {size}"
            for shard in self._shards
            for path, (size, _) in zip((shard.x, shard.y), shard.seen, strict=True)
        ]
        return "\n".join(sizes)


def shards_in(place: PathLike | Sequence[PathLike]) -> Shards:
    """Return the source over the shards in a folder, sorted by name, or over files in the order listed.

    A shard is an `.npz` with arrays `x` and `y`, not compressed, or two files `x….npy` and `y….npy` whose
    names are otherwise alike: `x.npy` and `y.npy`, `x_007.npy` and `y_007.npy`.

    Raises:
        DataError: there is no shard, one cannot be read or is compressed, or they do not fit together.
    """
    listed = _listed(place)
    files = [path for path in listed if _is_shard(path)]
    if not files:
        raise _unfit(str(place), "no .npz and no x….npy file")
    shards = [_opened(path) for path in files]
    forms = {shard.x: tuple((one.shape[1:], one.dtype) for one in _mapped_pair(shard)) for shard in shards}
    for path, form in forms.items():
        if form != forms[files[0]]:
            raise _unfit(str(path), f"rows of {form}, where {files[0].name} has {forms[files[0]]}")
    if not any(shard.samples for shard in shards):
        raise _unfit(str(place), "no sample in them")
    return Shards(shards)


def _is_shard(path: Path) -> bool:
    return path.suffix == ".npz" or (path.suffix == ".npy" and path.name[:1] == "x")


def _listed(place: PathLike | Sequence[PathLike]) -> list[Path]:
    if not isinstance(place, str | os.PathLike):
        listed = [Path(path) for path in place]
        for path in listed:
            is_y = path.suffix == ".npy" and path.name[:1] == "y"
            if not _is_shard(path) and not (is_y and path.with_name("x" + path.name[1:]) in listed):
                raise _unfit(str(path), "neither of these, or a y….npy whose x….npy is not listed")
        return listed
    folder = Path(place)
    if not folder.is_dir():
        raise _unfit(str(place), "no folder")
    return sorted(path for path in folder.iterdir() if path.suffix in (".npy", ".npz"))


def _opened(path: Path) -> Shard:
    y = path if path.suffix == ".npz" else path.with_name("y" + path.name[1:])
    for file in (path, y):
        if not file.is_file():
            raise _unfit(str(file), "no such file")
    shard = Shard(path, y, (_seen(path), _seen(y)), 0)
    x_rows, y_rows = _mapped_pair(shard)
    if x_rows.ndim < 1 or y_rows.ndim < 1 or len(x_rows) != len(y_rows):
        raise _unfit(str(path), f"x.shape={x_rows.shape}, y.shape={y_rows.shape}")
    return shard._replace(samples=len(x_rows))


def _seen(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def _require_unchanged(shard: Shard) -> None:
    """Raise `DataError` if a file changed: reading past the end of a mapped one would kill the process."""
    for path, seen in zip((shard.x, shard.y), shard.seen, strict=True):
        try:
            now = _seen(path)
        except OSError as error:
            now = error.strerror
        if now != seen:
            raise DataError(
                message(
                    must="a shard must stay as it is while it is read",
                    found="another size or time" if isinstance(now, tuple) else f"{now}",
                    where=str(path),
                    do="open it anew, or restore it",
                )
            )


def _mapped_pair(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    return _mapped(shard.x, "x"), _mapped(shard.y, "y")


def _mapped(path: Path, name: str) -> np.ndarray:
    """Return the array in `path`, or in an `.npz` file the one called `name`, mapped into memory."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".npz":
                _seek_member(file, path, f"{name}.npy")
            version = np.lib.format.read_magic(file)
            first = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            start = file.tell()
        if dtype.hasobject:
            raise ValueError("pickled objects")
        if 0 in shape:
            return np.zeros(shape, dtype)  # an empty array cannot be mapped
        return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _unfit(str(path), f"{type(error).__name__}: {error}") from error


def _seek_member(file: IO[bytes], path: Path, name: str) -> None:
    """Move to the beginning of a member's content, which must be stored uncompressed."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("it is compressed; write it with numpy.savez, or unpack it")
    file.seek(member.header_offset)
    header = file.read(MEMBER_HEADER)
    name_length, extra_length = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    file.seek(name_length + extra_length, os.SEEK_CUR)


def _unfit(where: str, found: str) -> DataError:
    return DataError(
        message(
            must="shards must be .npz files with x and y, or pairs x….npy and y….npy, "
            "all with rows of the same shape and dtype",
            found=found,
            where=where,
            do="write them with numpy.savez(path, x=…, y=…) or numpy.save",
        )
    )
