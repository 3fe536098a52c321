"""`backproof train`: a network on labelled samples, shown epoch by epoch."""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backproof import datasets, losses
from backproof.cli.devices import described, layout, prepare, together
from backproof.cli.processes import has_children, supervise
from backproof.errors import CheckpointWarning, DataError, UsageError, message
from backproof.network import mlp
from backproof.rule import Rule
from backproof.training import (
    OPTIMIZERS,
    Checkpoints,
    Data,
    Epoch,
    Fit,
    Layout,
    Model,
    Standardiser,
    fit,
    gathered,
    load,
    patience,
    save_model,
    split,
    standardise,
    sweep,
)
from backproof.training.archive import require_place
from backproof.training.model import activation_named

LOSS = losses.mean(losses.softmax_cross_entropy)


def run(arguments: argparse.Namespace) -> int:
    """Train as `arguments` say, print loss and test accuracy of every epoch, and return 0.

    Several learning rates or seeds make a sweep, whose results are printed as a table.

    Raises:
        DataError: the data cannot be used.
        UsageError: a name is unknown, or settings exclude each other.
        DivergedError: the loss is no longer finite.
        CheckpointError: a checkpoint cannot be resumed.
        ProcessLostError: another process was ended from outside.
    """
    rates = arguments.learning_rate or (OPTIMIZERS[arguments.optimizer].learning_rate,)
    is_sweep = len(rates) > 1 or arguments.seeds > 1
    if is_sweep:
        _require_no_more_than_a_sweep(arguments, len(rates))
    if has_children(arguments):
        return supervise(arguments)
    prepare(arguments)
    where = layout(arguments)
    if arguments.save is not None:
        require_place(arguments.save)
    data, classes, standardiser = _data(arguments)
    sizes = (data.x_train.shape[1], *arguments.layers, classes)
    network = mlp(sizes, activation_named(arguments.activation, "--activation"))
    console = Console(highlight=False, soft_wrap=True, quiet=bool(arguments.process))
    console.print(
        f"{len(data.y_train)} samples to learn from, {len(data.y_test)} held out; layers "
        f"{'-'.join(map(str, sizes))}, {arguments.activation}; {arguments.optimizer}, "
        f"learning rate {', '.join(f'{rate:g}' for rate in rates)}, batches of {arguments.batch_size}, "
        f"seed {arguments.seed}{f' and {arguments.seeds - 1} more' if arguments.seeds > 1 else ''}"
    )
    if is_sweep:
        _sweep(network, data, rates, arguments, console)
        return 0
    if where is not None:
        console.print(f"on {described(where)}")
    outcome = _fit(network, data, rates[0], where, arguments, console)
    if arguments.save is not None:
        params = gathered(outcome.params)
        if not arguments.process:
            save_model(arguments.save, Model(sizes, arguments.activation, params, standardiser))
    return 0


def _fit(
    network: Rule,
    data: Data,
    rate: float,
    where: Layout | None,
    arguments: argparse.Namespace,
    console: Console,
) -> Fit:
    begun = time.perf_counter()
    with shown(console, arguments.epochs) as show, warnings_in_words(), together(arguments):
        outcome = fit(
            network,
            LOSS,
            data,
            OPTIMIZERS[arguments.optimizer].make(rate),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            on_epoch=show,
            stop=patience(arguments.patience) if arguments.patience else None,
            checkpoints=Checkpoints(arguments.checkpoints) if arguments.checkpoints else None,
            layout=where,
        )
    console.print(_summary(outcome, bool(arguments.patience), time.perf_counter() - begun))
    return outcome


def _require_no_more_than_a_sweep(arguments: argparse.Namespace, rates: int) -> None:
    for name in ("patience", "checkpoints", "save", "devices", "tensor_parallel", "processes"):
        flag = f"--{name.replace('_', '-')}"
        if getattr(arguments, name):
            raise UsageError(
                message(
                    must=f"{flag} needs one learning rate and one seed",
                    found=f"{rates} rates and {arguments.seeds} seeds, which are a sweep",
                    where="train",
                    do=f"drop {flag}, or train at the best point alone",
                )
            )


def _sweep(
    network: Rule, data: Data, rates: Sequence[float], arguments: argparse.Namespace, console: Console
) -> None:
    begun = time.perf_counter()
    count = len(rates) * arguments.seeds
    with console.status(f"{count} experiments as one program …"):
        outcome = sweep(
            network,
            LOSS,
            data,
            OPTIMIZERS[arguments.optimizer].make,
            {"learning_rate": rates},
            seeds=range(arguments.seed, arguments.seed + arguments.seeds),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
        )
        table = str(outcome)  # str waits for the device
    console.print(table, markup=False)
    (best,) = outcome.best().values()
    console.print(
        f"test accuracy after {arguments.epochs} epochs; best median at learning rate {best:g}; "
        f"{count} experiments in {time.perf_counter() - begun:.1f} s, compilation included"
    )


def _data(arguments: argparse.Namespace) -> tuple[Data, int, Standardiser]:
    """Return the standardised data, the number of classes, and the standardiser of the inputs."""
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
    data = split(x, y, arguments.seed)
    standardiser = Standardiser.fitted(data.x_train)
    return standardise(data, standardiser), int(y.max()) + 1, standardiser


@contextmanager
def shown(console: Console, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """Yield a function that prints an epoch; on a terminal, a progress bar is shown below the lines."""
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=epochs)

        def show(epoch: Epoch) -> None:
            number = f"{epoch.number:>{len(str(epochs))}}/{epochs}"
            console.print(f"epoch {number}   loss {epoch.loss:.6f}   test accuracy {epoch.metric:7.2%}")
            progress.update(task, completed=epoch.number)  # counted from the very first, also after resuming

        yield show


@contextmanager
def warnings_in_words() -> Iterator[None]:
    """Print each checkpoint warning as one line of text, and leave other warnings as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        plain = warnings.showwarning

        def show(text: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, CheckpointWarning):
                print(f"backproof: warning: {text}", file=sys.stderr)
            else:
                plain(text, category, *where, **more)

        warnings.showwarning = show
        yield


def _summary(outcome: Fit, best_is_kept: bool, seconds: float) -> str:
    reached, early = outcome.history[-1].metric, ""
    if best_is_kept:
        best = max(outcome.history, key=lambda epoch: epoch.metric or 0.0)
        reached, early = best.metric, f" at epoch {best.number}, the best of {len(outcome.history)},"
    return f"test accuracy {reached:.2%}{early} in {seconds:.1f} s of training, compilation included"
