"""The history of training as event files, which TensorBoard shows; the only file with tensorboardX."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboardX import SummaryWriter

from backproof.training import Epoch


class Events:
    """Writes each epoch as it ends; a class because the file stays open as long as training runs."""

    def __init__(self, writer: SummaryWriter, metric: str) -> None:
        """Write by `writer`; `metric` names what is measured on the samples that are held out."""
        self._writer, self._metric = writer, metric

    def __call__(self, epoch: Epoch) -> None:
        """Write the loss and the metric of an epoch."""
        self._writer.add_scalar("loss", epoch.loss, epoch.number)
        if epoch.metric is not None:
            self._writer.add_scalar(self._metric, epoch.metric, epoch.number)
        self._writer.flush()  # so that one can look while training runs


@contextmanager
def events_in(folder: Path, metric: str) -> Iterator[Events]:
    """Yield what writes epochs into a file in `folder`, beside those of earlier runs."""
    with SummaryWriter(str(folder)) as writer:
        yield Events(writer, metric)
