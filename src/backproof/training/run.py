"""The host's side of training: it runs one segment after another, reads the results, and saves."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from backproof.errors import CheckpointError, message
from backproof.rule import PyTree
from backproof.training.data import Data
from backproof.training.devices import Layout, results
from backproof.training.extras import feed
from backproof.training.history import Recorder
from backproof.training.kept import kept, looks_for_nans
from backproof.training.segment import (
    Carry,
    Experiment,
    Position,
    Result,
    Segment,
    after,
    order_of,
    run_fed,
    segments,
)
from backproof.training.segment import run as run_segment
from backproof.training.stream import Stream

if TYPE_CHECKING:
    from backproof.training.saving import Saver


class Run(NamedTuple):
    """Holds the values that the host needs to drive the segments of one experiment."""

    experiment: Experiment
    key: jax.Array
    data: Data
    epochs: int
    longest: int | None
    recorder: Recorder
    saver: "Saver | None"
    stream: Stream | None
    labelled: bool
    layout: Layout | None


Taker = Callable[[Segment, Carry], tuple[Carry, Result]]


def trained(run: Run, carry: Carry) -> Carry:
    """Run the segments that are left, save checkpoints when they are due, and return the last carry."""
    carry, position = _resumed(run, carry)
    with _taker(run, carry, position) as take:
        for part in segments(run.experiment, run.epochs, run.longest, position):
            if run.recorder.stopped:
                break
            carry, result = take(part, carry)
            run.recorder.add(part, result)
            position = after(part)
            if run.saver is not None and run.saver.is_due:
                _save(run, run.saver, carry, position)
    run.recorder.read_all()
    if run.saver is not None:
        _save(run, run.saver, carry, position)
    return carry


def _taker(run: Run, carry: Carry, position: Position) -> AbstractContextManager[Taker]:
    """Return a context with the function that runs one segment after another, from `position` on."""
    if run.stream is None:
        return nullcontext(_from_memory(run, carry))
    return _from_stream(run, run.stream, carry, position)


def _from_memory(run: Run, carry: Carry) -> Taker:
    compiled = _compiled(run_segment, 2, run.experiment, *_told(results(run.layout, carry)))
    orders: dict[int, jax.Array] = {}

    def take(part: Segment, carry: Carry) -> tuple[Carry, Result]:
        if part.epoch not in orders:
            orders.clear()
            orders[part.epoch] = order_of(run.key, np.int32(part.epoch), run.experiment.samples)
        order = orders[part.epoch]
        return compiled(part.steps, part.ends_epoch, carry, order, np.int32(part.first), run.data)

    return take


@contextmanager
def _from_stream(run: Run, stream: Stream, carry: Carry, position: Position) -> Iterator[Taker]:
    compiled = _compiled(run_fed, 1, run.experiment, *_told(results(run.layout, carry)))
    predicted = jax.eval_shape(run.experiment.network.forward, carry.state.params, run.data.x_train)[0]
    classes = predicted.shape[-1] if run.labelled else None
    with feed(stream, classes, run.experiment, run.key, run.epochs, position) as fed:
        yield lambda part, carry: compiled(part.ends_epoch, carry, *fed.take(part), run.data)


@kept
def _compiled(
    function: Callable[..., tuple[Carry, Result]],
    statics: int,
    experiment: Experiment,
    where: tuple[Any, ...],
    tree: Any,
) -> Callable[..., tuple[Carry, Result]]:
    """Return `function` with `experiment` bound, under jit; its next `statics` arguments are static.

    The carry, which comes after them, is donated, unless JAX is set to look for the source of a NaN: for that
    it runs the program a second time. `where` and `tree` are leaves and structure of the results' shardings.
    """
    return jax.jit(
        partial(function, experiment),
        static_argnums=tuple(range(statics)),
        donate_argnums=() if looks_for_nans() else statics,
        out_shardings=jax.tree.unflatten(tree, where),
    )


def _told(tree: PyTree) -> tuple[tuple[Any, ...], Any]:
    """Return the leaves and the structure of `tree`; unlike `tree` they can be hashed, as `kept` needs."""
    leaves, structure = jax.tree.flatten(tree)
    return tuple(leaves), structure


def _resumed(run: Run, carry: Carry) -> tuple[Carry, Position]:
    saved = run.saver and run.saver.resume(carry)
    if not saved:
        return carry, Position(1, 0)
    if saved.position > Position(run.epochs + 1, 0):
        raise CheckpointError(
            message(
                must="epochs must be at least the number of epochs that are saved",
                found=f"epochs={run.epochs}, and {len(saved.history)} saved",
                where="fit",
                do="ask for more epochs, or save to another folder",
            )
        )
    run.recorder.epochs, run.recorder.stopped = list(saved.history), saved.stopped
    return saved.carry, saved.position


def _save(run: Run, saver: "Saver", carry: Carry, position: Position) -> None:
    """Save `carry`, once every result so far has been read and found finite."""
    run.recorder.read_all()
    taken = (position.epoch - 1) * run.experiment.steps + position.step
    saver.save(carry, position, run.recorder.epochs, run.recorder.stopped, taken)
