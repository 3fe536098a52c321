"""Samples that do not fit into memory: read during training, in the order they would have in memory.

The order of an epoch depends only on the seed and the number of the epoch. The epoch and the step therefore
say how far a stream has been read, and a checkpoint needs to save nothing else about it.
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
    """Says where to read samples that do not all fit into memory.

    At most 4 · `steps` batches are in memory: those that the device is working on, those that come next, and
    as many again that are being read. The order of an epoch takes four more bytes for each record.

    Attributes:
        source: an object with `len(source)` records, where `source[i]` is the pair (x, y). If it has a method
            `rows(indices)`, many records are read at once. `training.Arrays(x, y)` and
            `training.shards_in(folder)` are such sources. Several threads read from the source at once.
        x_test, y_test: inputs and targets held out, in memory; None if there is no test part.
        standardiser: applied to every input, also in the test part; None leaves the inputs as they are.
        steps: the number of steps handed to the device at once; an epoch may be interrupted after them.
        threads: the number of threads that read.

    Raises:
        UsageError: `source` is not a source, or a number is out of range.
        DataError: the source has no records.
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
        """Return this stream with a standardiser, which is fitted in one pass over the records.

        Raises:
            DataError: a record cannot be used.
        """
        return replace(self, standardiser=Standardiser.fitted_on(self))

    def inputs(self) -> Iterator[np.ndarray]:
        """Yield the inputs from first to last, in parts, not standardised.

        Raises:
            DataError: a record cannot be used.
        """
        reader = Reader(self)
        for first in range(0, len(self), IN_ONE_PASS):
            yield reader.raw(np.arange(first, min(first + IN_ONE_PASS, len(self))))[0]

    def sample(self) -> Data:
        """Return `Data` with the first record as the training part, and the test part, both standardised."""
        x, y = Reader(self).batch(np.arange(1))
        x_test = self.x_test
        if x_test is not None and self.standardiser is not None:
            x_test = self.standardiser.apply(x_test)
        return Data(x, y, x_test, self.y_test)

    def fingerprint(self) -> str:
        """Return a text that distinguishes these data from others, without reading all of them.

        The text depends on the number of records, on at most 64 records that are spread evenly from the first
        to the last, on the source's own fingerprint (for `shards_in` the names and sizes of the files), on
        the test part and on the standardiser. A change in any other record goes unnoticed.
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
    """Reads batches of a stream and checks every record, because data on disk may change during training."""

    def __init__(self, stream: Stream, classes: int | None = None) -> None:
        """Read the first record, whose form all must have; labels must be below `classes`, if given."""
        self._source, self._count = stream.source, len(stream)
        self._standardiser, self._classes = stream.standardiser, classes
        self._form = _form(self._one(0))

    def batch(self, indices: np.ndarray) -> tuple[PyTree, PyTree]:
        """Return x (standardised) and y of these records, stacked along the first axis.

        Raises:
            DataError: a record is not finite, overflows in JAX's dtypes, differs from the first in shape or
                dtype, has a label that is not a class, or cannot be read; or their number has changed.
        """
        x, y = self.raw(indices)
        x = x if self._standardiser is None else self._standardiser.apply(x)
        for name, part in (("x", x), ("y", y)):
            require_fitting(name, part, f"records {indices.min()} to {indices.max()}")
        return x, y

    def raw(self, indices: np.ndarray) -> tuple[PyTree, PyTree]:
        """Return what `batch` returns, but with x not standardised."""
        if len(self._source) != self._count:
            found = f"{len(self._source)} records instead of {self._count}"
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
        except Exception as error:  # a user's source may raise anything; the error must name the records
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
        except Exception as error:  # a user's source may raise anything; the error must name it
            found = f"{type(error).__name__}: {error}"
            raise _changed("a record must be readable as a pair (x, y)", found, f"record {index}") from error
        return jax.tree.map(np.asarray, (x, y))

    def _require_good(self, x: PyTree, y: PyTree, indices: np.ndarray) -> None:
        """Raise `DataError`, naming the record, if a record holds a value that no experiment can use."""
        for row, index in enumerate(indices) if self._is_bad(x, y) else ():
            one_x, one_y = (jax.tree.map(lambda leaf, row=row: leaf[row][None], part) for part in (x, y))
            require_samples(one_x, one_y, f"record {index}")
            if self._classes is not None and not 0 <= one_y[0] < self._classes:
                raise _changed(
                    f"labels must lie between 0 and {self._classes - 1}", f"y={one_y[0]}", f"record {index}"
                )

    def _is_bad(self, x: PyTree, y: PyTree) -> bool:
        """Return whether the batch holds an unusable value; this checks whole arrays, which is fast."""
        try:
            require_samples(x, y, "batch")
        except DataError:
            return True
        return self._classes is not None and bool(((y < 0) | (y >= self._classes)).any())


def _form(record: PyTree) -> str:
    """Return a text with the dtype and shape of every leaf of a record."""
    named = jax.tree_util.tree_leaves_with_path(dict(zip("xy", record, strict=True)))
    return ", ".join(
        f"{path[0].key}{jax.tree_util.keystr(path[1:])}: {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in named
    )


def _changed(must: str, found: str, where: str) -> DataError:
    return DataError(message(must=must, found=found, where=where, do="repair the data, or leave it out"))
