"""The history of training: one record for each epoch, read from the device while the next epoch runs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from backproof.errors import DivergedError, message
from backproof.training.segment import Result, Segment


class Epoch(NamedTuple):
    """Holds the record of one pass over the training part.

    Attributes:
        number: the number of the epoch, counted from 1.
        loss: the loss of the batches before their updates, averaged with the batch sizes as weights.
        metric: the metric of the test part after the epoch; None if there is no test part.
    """

    number: int
    loss: float
    metric: float | None


SHOWN = 6  # epochs at either end of a long history


def table_of(history: Sequence[Epoch], note: str = "") -> str:
    """Return a history as a table; of a long one, the first epochs and the last.

    Args:
        history: the records of the epochs.
        note: a last line, e.g. why training ended.
    """
    measured = any(epoch.metric is not None for epoch in history)
    lines = [f"{'epoch':>5}  {'loss':>12}" + (f"  {'metric':>10}" if measured else "")]
    rows = [
        f"{epoch.number:>5}  {epoch.loss:>12.6g}"
        + ("" if epoch.metric is None else f"  {epoch.metric:>10.4g}")
        for epoch in history
    ]
    if len(rows) > 2 * SHOWN + 1:
        rows = [*rows[:SHOWN], f"{'…':>5}", *rows[-SHOWN:]]
    return "\n".join([*lines, *rows, *([note] if note else [])])


class Recorder:
    """Collects the results of segments, with a delay, so that the device need not wait for the host.

    Attributes:
        epochs: the records of the epochs that have been read.
        stopped: whether the stopping rule has ended training.
    """

    def __init__(self, steps: int, on_epoch: Callable[[Epoch], None] | None, late: int) -> None:
        """Begin with no records; an epoch has `steps` steps, and the last `late` segments stay unread."""
        self.epochs: list[Epoch] = []
        self.stopped: bool = False
        self._steps, self._on_epoch, self._late = steps, on_epoch, late
        self._unread: list[tuple[Segment, Result]] = []

    def add(self, segment: Segment, result: Result) -> None:
        """Add the result of `segment`, and read the oldest results while more than `late` are unread.

        Raises:
            DivergedError: a loss, or a parameter after a segment, is not finite.
        """
        self._unread.append((segment, result))
        while len(self._unread) > self._late:
            self._read(*self._unread.pop(0))

    def read_all(self) -> None:
        """Wait for every segment and read its result; the errors are those of `add`."""
        while self._unread:
            self._read(*self._unread.pop(0))

    def _read(self, segment: Segment, result: Result) -> None:
        _require_finite(result, segment, self._steps)
        if not segment.ends_epoch:
            return
        measured = None if result.metric is None else float(result.metric)
        self.epochs.append(Epoch(segment.epoch, float(result.loss), measured))
        self.stopped = bool(result.stop)
        if self._on_epoch is not None:
            self._on_epoch(self.epochs[-1])


def _require_finite(result: Result, segment: Segment, steps: int) -> None:
    """Raise `DivergedError` unless the segment's losses and its last parameters are finite."""
    values = np.asarray(result.values)
    finite = np.isfinite(values)
    if finite.all() and result.params_finite:
        return
    at = int(np.argmin(finite)) if not finite.all() else len(values)
    found = f"loss={values[at]}" if at < len(values) else "a parameter that is not finite"
    raise DivergedError(
        message(
            must="the loss and the parameters must stay finite",
            found=found,
            where=f"epoch {segment.epoch}, step {segment.first + min(at + 1, len(values))} of {steps}",
            do="lower the learning rate",
        )
    )
