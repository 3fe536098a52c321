"""Samples larger than memory: read while training goes on, in the order they would have in memory.

The order of an epoch comes from the seed and the number of the epoch alone, so that epoch and step say where
a stream stands: nothing else of it needs a checkpoint.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import numpy as np

from backproof.errors import DataError, UsageError, message
from backproof.rule import PyTree, require_whole_number
from backproof.training.data import Data, digest, require_fitting, require_samples
from backproof.training.sources import Named, Rows, Source
from backproof.training.standardiser import Standardiser

LOOKED_AT = 64
IN_ONE_PASS = 1024


@dataclass(frozen=True, eq=False)
class Stream:
    """Says where samples come from that are not all in memory.

    At most four times `steps` batches are in memory: those the device is at, those it goes on with, and as
    many again being read. Every record costs four bytes more, for the order of the epoch.

    Attributes:
        source: `len(source)` records, `source[i]` the pair (x, y); with a method `rows(indices)` many are
            read at once. `training.Arrays(x, y)` and `training.shards_in(folder)` are such sources.
            Several threads ask at once.
        x_test, y_test: inputs and targets held out, in memory; None where nothing is.
        standardiser: done to every input, of the test part as well; None for nothing.
        steps: how many steps are handed to the device at once; an epoch may be interrupted between.
        threads: how many threads read.

    Raises:
        UsageError: the source is none, or a number is out of range.
        DataError: it has no record.
    """

    source: Source
    x_test: PyTree = None
    y_test: PyTree = None
    standardiser: Standardiser | None = None
    steps: int = 64
    threads: int = 2

    def __post_init__(self) -> None:
        require_whole_number(self.steps, "steps", "Stream")
        require_whole_number(self.threads, "threads", "Stream")
        whole = isinstance(self.source, tuple | list | dict | str | np.ndarray)
        if whole or not (hasattr(self.source, "__len__") and hasattr(self.source, "__getitem__")):
            raise UsageError(
                message(
                    must="source must have len(source) records, source[i] being the pair (x, y)",
                    found=f"a {type(self.source).__name__}",
                    where="Stream",
                    do="pass training.Arrays(x, y), training.shards_in(folder), or an object of your own",
                )
            )
        if len(self) == 0:
            raise DataError(
                message(must="there must be a record", found="none", where="Stream", do="pass some data")
            )

    def __len__(self) -> int:
        return len(self.source)

    def standardised(self) -> "Stream":
        """Return the stream with its standardiser, fitted by one pass over the records.

        Raises:
            DataError: a record cannot be used.
        """
        return replace(self, standardiser=Standardiser.fitted_on(self))

    def inputs(self) -> Iterator[np.ndarray]:
        """Yield the inputs from first to last, some at a time, not standardised.

        Raises:
            DataError: a record cannot be used.
        """
        reader = Reader(self)
        for first in range(0, len(self), IN_ONE_PASS):
            yield reader.raw(np.arange(first, min(first + IN_ONE_PASS, len(self))))[0]

    def sample(self) -> Data:
        """Return the first record as a training part of one, beside the test part, both standardised."""
        x, y = Reader(self).batch(np.arange(1))
        x_test = self.x_test
        if x_test is not None and self.standardiser is not None:
            x_test = self.standardiser.apply(x_test)
        return Data(x, y, x_test, self.y_test)

    def fingerprint(self) -> str:
        """Return what tells these data from others without reading them all.

        Looked at are the number of records, at most 64 of them spread evenly, first and last among them,
        what the source says of itself (`shards_in`: names and sizes of the files), the test part and the
        standardiser. A change within another record is not seen.
        """
        chosen = np.unique(np.linspace(0, len(self) - 1, LOOKED_AT).astype(int))
        itself = self.source.fingerprint() if isinstance(self.source, Named) else ""
        seen = digest(
            (
                Reader(self).raw(chosen),
                self.x_test,
                self.y_test,
                np.frombuffer(itself.encode(), np.uint8),
                None if self.standardiser is None else (self.standardiser.mean, self.standardiser.scale),
            )
        )
        return f"a stream of {len(self)} records, {seen}"


class Reader:
    """Reads batches of a stream and checks every record of them: data on disk may change under way."""

    def __init__(self, stream: Stream, classes: int | None = None) -> None:
        """Look at the first record, to which all must be alike; labels lie below `classes` where given."""
        self._source, self._count = stream.source, len(stream)
        self._standardiser, self._classes = stream.standardiser, classes
        self._form = _form(self._one(0))

    def batch(self, indices: np.ndarray) -> tuple[PyTree, PyTree]:
        """Return x, standardised, and y of these records, stacked along the first axis.

        Raises:
            DataError: a record is not finite, overflows in JAX's dtypes, is of another shape or dtype than
                the first, has a label without a class, or cannot be read; or there are more or fewer than
                at first.
        """
        x, y = self.raw(indices)
        x = x if self._standardiser is None else self._standardiser.apply(x)
        for name, part in (("x", x), ("y", y)):
            require_fitting(name, part, f"records {indices.min()} to {indices.max()}")
        return x, y

    def raw(self, indices: np.ndarray) -> tuple[PyTree, PyTree]:
        """Return the same, not standardised."""
        if len(self._source) != self._count:
            found = f"{len(self._source)} records, where there were {self._count}"
            raise _changed("the source must keep its length while it is read", found, "stream")
        source = self._source
        if isinstance(source, Rows) and callable(source.rows):
            x, y = self._rows(source, indices)
        else:
            x, y = self._stacked(indices)
        self._require_good(x, y, indices)
        return x, y

    def _rows(self, source: Rows, indices: np.ndarray) -> tuple[PyTree, PyTree]:
        try:
            rows = jax.tree.map(np.asarray, source.rows(indices))
            found = _form(jax.tree.map(lambda leaf: leaf[0], rows))
        except DataError:
            raise
        except Exception as error:  # whatever a user's source raises: the records are named
            where = f"records {indices.min()} to {indices.max()}"
            raise _changed("records must be readable", f"{type(error).__name__}: {error}", where) from error
        if found != self._form or any(len(leaf) != len(indices) for leaf in jax.tree.leaves(rows)):
            raise _changed(
                f"rows(indices) must give {len(indices)} records like the first, {self._form}",
                f"{jax.tree.map(np.shape, rows)} of {found}",
                f"records {indices.min()} to {indices.max()}",
            )
        return rows

    def _stacked(self, indices: np.ndarray) -> tuple[PyTree, PyTree]:
        records = [self._one(int(index)) for index in indices]
        for index, record in zip(indices, records, strict=True):
            if _form(record) != self._form:
                raise _changed(
                    f"every record must be like the first, {self._form}", _form(record), f"record {index}"
                )
        return jax.tree.map(lambda *leaves: np.stack(leaves), *records)

    def _one(self, index: int) -> tuple[PyTree, PyTree]:
        try:
            x, y = self._source[index]
        except DataError:
            raise
        except Exception as error:  # whatever a user's source raises: the record is named
            found = f"{type(error).__name__}: {error}"
            raise _changed("a record must be readable as a pair (x, y)", found, f"record {index}") from error
        return jax.tree.map(np.asarray, (x, y))

    def _require_good(self, x: PyTree, y: PyTree, indices: np.ndarray) -> None:
        """Raise `DataError` that names a record which holds a value no experiment can use."""
        for row, index in enumerate(indices) if self._is_bad(x, y) else ():
            one_x, one_y = (jax.tree.map(lambda leaf, row=row: leaf[row][None], part) for part in (x, y))
            require_samples(one_x, one_y, f"record {index}")
            if self._classes is not None and not 0 <= one_y[0] < self._classes:
                raise _changed(
                    f"labels must lie between 0 and {self._classes - 1}", f"y={one_y[0]}", f"record {index}"
                )

    def _is_bad(self, x: PyTree, y: PyTree) -> bool:
        """Return whether something is wrong with the batch, by whole arrays, which is quick."""
        try:
            require_samples(x, y, "batch")
        except DataError:
            return True
        return self._classes is not None and bool(((y < 0) | (y >= self._classes)).any())


def _form(record: PyTree) -> str:
    """Return in words the shape and dtype of every leaf of a record."""
    named = jax.tree_util.tree_leaves_with_path(dict(zip("xy", record, strict=True)))
    return ", ".join(
        f"{path[0].key}{jax.tree_util.keystr(path[1:])}: {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in named
    )


def _changed(must: str, found: str, where: str) -> DataError:
    return DataError(message(must=must, found=found, where=where, do="repair the data, or leave it out"))
