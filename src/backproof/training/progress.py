"""A bar that shows how far training is, on standard error, where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backproof.training.history import Epoch

OnEpoch = Callable[[Epoch], None]


@contextmanager
def bar(
    epochs: int, wanted: bool | None, on_epoch: OnEpoch | None, console: Console | None = None
) -> Iterator[OnEpoch | None]:
    """Yield what is to be called with each epoch, `on_epoch` included; None if there is nothing to call.

    Args:
        epochs: the number of epochs.
        wanted: whether a bar is shown; None where standard error is a terminal and nothing else is shown.
        on_epoch: the caller's own function, which may print.
        console: where the bar is shown; on standard error if None.
    """
    if not (wanted or (wanted is None and on_epoch is None and sys.stderr.isatty())):
        yield on_epoch
        return
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=epochs)

        def told(epoch: Epoch) -> None:
            measured = "" if epoch.metric is None else f"  metric {epoch.metric:.4g}"
            progress.update(task, completed=epoch.number, description=f"loss {epoch.loss:.4g}{measured}")
            if on_epoch is not None:
                on_epoch(epoch)

        yield told
