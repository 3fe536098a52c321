"""Batches of a stream: grain reads them in several threads, ahead of the device, in the epoch's order."""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import grain
import jax
import numpy as np

from backproof.rule import PyTree
from backproof.training.segment import Experiment, Position, Segment, order_of
from backproof.training.stream import Stream


class Fed(NamedTuple):
    """Holds the samples of one segment as (x, y).

    Attributes:
        full: the full batches, stacked along the first axis; there may be none.
        rest: the smaller batch that ends an epoch; None if the segment has no such batch.
    """

    full: PyTree
    rest: PyTree


class Feed:
    """A context manager that reads one segment after another; reading stops when the context ends."""

    def __init__(
        self,
        read: Callable[[np.ndarray], PyTree],
        stream: Stream,
        experiment: Experiment,
        key: jax.Array,
        epochs: int,
        begin: Position,
    ) -> None:
        """Begin to read at `begin`; every epoch has the order that it would have in memory."""
        self._read, self._experiment, self._key = read, experiment, key
        self._epochs = epochs
        self._orders: dict[int, jax.Array] = {}
        self._order_from(begin.epoch)
        first = (begin.epoch - 1) * experiment.steps + begin.step
        ahead = min(stream.steps, experiment.steps)  # at most one epoch ahead: only two orders are kept
        options = grain.ReadOptions(num_threads=min(stream.threads, ahead), prefetch_buffer_size=ahead)
        steps = grain.MapDataset.range(first, epochs * experiment.steps).map(self._batch)
        self._batches = iter(steps.to_iter_dataset(options))

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *raised: object) -> None:
        self._batches.close()

    def take(self, part: Segment) -> Fed:
        """Return the samples of `part`, which must be the segment after the one that was taken last.

        Raises:
            DataError: one of its records cannot be used.
        """
        self._order_from(part.epoch)
        batches = list(islice(self._batches, part.steps))
        size = self._experiment.batch_size
        rest = batches.pop() if part.ends_epoch and self._experiment.samples % size else None
        if not batches:
            none = jax.tree.map(lambda leaf: np.empty((0, size, *leaf.shape[1:]), leaf.dtype), rest)
            return Fed(none, rest)
        return Fed(jax.tree.map(lambda *leaves: np.stack(leaves), *batches), rest)

    def _order_from(self, epoch: int) -> None:
        """Keep the orders of `epoch` and of the next epoch: reading ahead goes no further."""
        for each in (epoch, epoch + 1):
            if each not in self._orders and each <= self._epochs:
                self._orders[each] = order_of(self._key, np.int32(each), self._experiment.samples)
        for each in [old for old in self._orders if old < epoch]:
            del self._orders[each]

    def _batch(self, step: int) -> PyTree:
        """Return the batch of `step`, where steps are counted from the start of the first epoch."""
        epoch, within = divmod(int(step), self._experiment.steps)
        first = within * self._experiment.batch_size
        order = self._orders[epoch + 1]
        return self._read(np.asarray(order)[first : first + self._experiment.batch_size])
