"""`backproof train`: a network on labelled samples, shown epoch by epoch."""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backproof import losses
from backproof.cli.devices import described, layout, prepare, together
from backproof.cli.extras import require_package, require_plot
from backproof.cli.networks import network_of, save
from backproof.cli.processes import has_children, supervise
from backproof.cli.samples import prepared_samples
from backproof.errors import CheckpointWarning, UsageError, message
from backproof.rule import Rule
from backproof.training import (
    OPTIMIZERS,
    Checkpoints,
    Data,
    Epoch,
    Fit,
    Layout,
    Sweep,
    fit,
    gathered,
    patience,
    sweep,
)
from backproof.training.archive import require_place
from backproof.training.model import CROSS_ENTROPY

LOSSES = {loss.name: losses.mean(loss) for loss in (losses.softmax_cross_entropy, losses.half_squared_error)}


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
    arguments.optimizer = arguments.optimizer or ("sgd" if arguments.loss == CROSS_ENTROPY else "adam")
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
    if arguments.plot is not None:
        require_plot(arguments.plot)
    if arguments.log is not None:
        require_package("tensorboardX", "tensorboard", "--log")
    prepared = prepared_samples(arguments)
    data, network, shape = prepared.data, *network_of(arguments, prepared)
    console = Console(highlight=False, soft_wrap=True, quiet=bool(arguments.process))
    console.print(
        f"{len(data.y_train)} samples to learn from, {len(data.y_test)} held out; {shape}; "
        f"{arguments.optimizer}, "
        f"learning rate {', '.join(f'{rate:g}' for rate in rates)}, batches of {arguments.batch_size}, "
        f"seed {arguments.seed}{f' and {arguments.seeds - 1} more' if arguments.seeds > 1 else ''}"
    )
    if is_sweep:
        outcome = _sweep(network, data, rates, arguments, console)
        _draw(outcome, shape, arguments)
        return 0
    if where is not None:
        console.print(f"on {described(where)}")
    outcome = _fit(network, data, rates[0], where, arguments, console)
    _draw(outcome, shape, arguments)
    if arguments.save is not None:
        params = gathered(outcome.params)
        if not arguments.process:
            save(arguments, network, params, prepared)
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
    measured = _measured(arguments)
    with (
        shown(console, arguments.epochs, measured) as show,
        _logged(arguments, measured, show) as each,
        warnings_in_words(),
        together(arguments),
    ):
        outcome = fit(
            network,
            LOSSES[arguments.loss],
            data,
            OPTIMIZERS[arguments.optimizer].make(rate),
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            on_epoch=each,
            stop=patience(arguments.patience, lower_is_better=measured.is_loss)
            if arguments.patience
            else None,
            checkpoints=Checkpoints(arguments.checkpoints) if arguments.checkpoints else None,
            layout=where,
            progress=False,
        )
    console.print(_summary(outcome, measured, bool(arguments.patience), time.perf_counter() - begun))
    return outcome


def _draw(outcome: Fit | Sweep, shape: str, arguments: argparse.Namespace) -> None:
    """Draw what training reached, if a figure is asked for."""
    if arguments.plot is None or arguments.process:
        return
    # matplotlib is an extra that no other option needs
    from backproof.reporting.curves import plot_fit, plot_sweep

    title, metric = f"{shape}; {arguments.optimizer}", _measured(arguments).name
    if isinstance(outcome, Fit):
        plot_fit(outcome.history, arguments.plot, title, metric)
    else:
        plot_sweep(outcome, arguments.plot, title, metric)


@contextmanager
def _logged(
    arguments: argparse.Namespace, measured: "Measured", show: Callable[[Epoch], None]
) -> Iterator[Callable[[Epoch], None]]:
    """Yield what shows an epoch, and writes it to event files if those are asked for."""
    if arguments.log is None or arguments.process:
        yield show
        return
    # tensorboardX is an extra that no other option needs
    from backproof.reporting.events import events_in

    with events_in(arguments.log, measured.name) as write:

        def both(epoch: Epoch) -> None:
            write(epoch)
            show(epoch)

        yield both


class Measured(NamedTuple):
    """Says what is measured on the samples that are held out."""

    name: str
    form: str
    is_loss: bool


ACCURACY, TEST_LOSS = Measured("test accuracy", "7.2%", False), Measured("test loss", ".6f", True)


def _measured(arguments: argparse.Namespace) -> Measured:
    return ACCURACY if arguments.loss == CROSS_ENTROPY else TEST_LOSS


def _require_no_more_than_a_sweep(arguments: argparse.Namespace, rates: int) -> None:
    for name in ("patience", "checkpoints", "save", "log", "devices", "tensor_parallel", "processes"):
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
) -> Sweep:
    begun = time.perf_counter()
    count = len(rates) * arguments.seeds
    with console.status(f"{count} experiments as one program …"):
        outcome = sweep(
            network,
            LOSSES[arguments.loss],
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
        f"{_measured(arguments).name} after {arguments.epochs} epochs; best median at learning rate "
        f"{best:g}; {count} experiments in {time.perf_counter() - begun:.1f} s, compilation included"
    )
    return outcome


@contextmanager
def shown(console: Console, epochs: int, measured: Measured = ACCURACY) -> Iterator[Callable[[Epoch], None]]:
    """Yield a function that prints an epoch; on a terminal, a progress bar is shown below the lines."""
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("training", total=epochs)

        def show(epoch: Epoch) -> None:
            number = f"{epoch.number:>{len(str(epochs))}}/{epochs}"
            metric = f"{measured.name} {format(epoch.metric or 0.0, measured.form)}"
            console.print(f"epoch {number}   loss {epoch.loss:.6f}   {metric}")
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


def _summary(outcome: Fit, measured: Measured, best_is_kept: bool, seconds: float) -> str:
    reached, early = outcome.history[-1].metric, ""
    if best_is_kept:
        sign = -1 if measured.is_loss else 1
        best = max(outcome.history, key=lambda epoch: sign * (epoch.metric or 0.0))
        reached, early = best.metric, f" at epoch {best.number}, the best of {len(outcome.history)},"
    said = format(reached or 0.0, measured.form).strip()
    return f"{measured.name} {said}{early} in {seconds:.1f} s of training, compilation included"
