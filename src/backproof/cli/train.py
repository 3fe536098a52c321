"""`backproof train`: a network on labelled samples, shown epoch by epoch."""

import argparse
import difflib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backproof import datasets, losses, rules
from backproof.cli.devices import described, layout, prepare, together
from backproof.cli.processes import has_children, supervise
from backproof.errors import DataError, UsageError, message
from backproof.network import mlp
from backproof.rule import Rule
from backproof.training import OPTIMIZERS, Data, Epoch, Fit, fit, load, split, standardise


def run(arguments: argparse.Namespace) -> int:
    """Train as `arguments` say, print loss and test accuracy of every epoch, and return 0.

    Raises:
        DataError: the data cannot be used.
        UsageError: a name is unknown.
        DivergedError: the loss is not finite any more.
        ProcessLostError: another process was ended from outside.
    """
    if has_children(arguments):
        return supervise(arguments)
    prepare(arguments)
    where = layout(arguments)
    data, classes = _data(arguments)
    sizes = (data.x_train.shape[1], *arguments.layers, classes)
    network = mlp(sizes, _activation(arguments.activation))
    choice = OPTIMIZERS[arguments.optimizer]
    learning_rate = choice.learning_rate if arguments.learning_rate is None else arguments.learning_rate
    console = Console(highlight=False, soft_wrap=True, quiet=bool(arguments.process))
    console.print(
        f"{len(data.y_train)} samples to learn from, {len(data.y_test)} held out; layers "
        f"{'-'.join(map(str, sizes))}, {arguments.activation}; {arguments.optimizer}, "
        f"learning rate {learning_rate:g}, batches of {arguments.batch_size}, seed {arguments.seed}"
    )
    if where is not None:
        console.print(f"on {described(where)}")
    begun = time.perf_counter()
    with shown(console, arguments.epochs) as show, together(arguments):
        outcome = fit(
            network,
            losses.mean(losses.softmax_cross_entropy),
            data,
            choice.make(learning_rate),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            on_epoch=show,
            layout=where,
        )
    console.print(_summary(outcome, time.perf_counter() - begun))
    return 0


def _data(arguments: argparse.Namespace) -> tuple[Data, int]:
    """Return the standardised data and the number of classes."""
    paths = arguments.data
    if len(paths) > 2:
        raise DataError(
            message(
                must="data are one .npz file, or two IDX files",
                found=f"{len(paths)} files",
                where="--data",
                do="pass file.npz, or the images and then the labels",
            )
        )
    x, y = datasets.digits() if not paths else load(paths[0] if len(paths) == 1 else tuple(paths))
    return standardise(split(x, y, arguments.seed)), int(y.max()) + 1


def _activation(name: str) -> Rule:
    """Return the rule called `name`, or raise `UsageError` with the list of those there are."""
    known = {rule.name: rule for rule in rules.ACTIVATIONS}
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    raise UsageError(
        message(
            must=f"the activation must be one of {', '.join(sorted(known))}",
            found=name,
            where="--activation",
            do=f"did you mean {close[0]}?" if close else "choose one of them",
        )
    )


@contextmanager
def shown(console: Console, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """Yield what prints an epoch; below the lines stands a progress bar if `console` is a terminal."""
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=epochs)

        def show(epoch: Epoch) -> None:
            number = f"{epoch.number:>{len(str(epochs))}}/{epochs}"
            console.print(f"epoch {number}   loss {epoch.loss:.6f}   test accuracy {epoch.metric:7.2%}")
            progress.advance(task)

        yield show


def _summary(outcome: Fit, seconds: float) -> str:
    return (
        f"test accuracy {outcome.history[-1].metric:.2%} in {seconds:.1f} s of training, compilation included"
    )
