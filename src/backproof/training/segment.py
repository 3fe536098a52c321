"""A segment: some steps of one epoch, which the device runs as one compiled program.

An epoch is cut into the same segments whether training runs without interruption or is resumed between two of
them. Both therefore run the same programs on the same numbers, and end with the same bits.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from backproof.rule import PyTree, Rule
from backproof.training.data import Data
from backproof.training.step import State, Step, all_finite
from backproof.training.stopping import Stop

Metric = Callable[[PyTree, PyTree], jax.Array]


class Segment(NamedTuple):
    """Names some steps of one epoch.

    Attributes:
        epoch: the number of the epoch, counted from 1.
        first: the first of the steps, counted from 0.
        steps: the number of steps; the last step of an epoch may take a smaller batch.
        ends_epoch: whether the epoch ends with these steps.
    """

    epoch: int
    first: int
    steps: int
    ends_epoch: bool


class Position(NamedTuple):
    """Says where training continues: the epoch, counted from 1, and the step in it, counted from 0."""

    epoch: int
    step: int


class Carry(NamedTuple):
    """Holds the arrays that one segment hands to the next on the device; a checkpoint saves them all.

    Attributes:
        state: the parameters and the state of the optimizer.
        total: the loss of this epoch so far, summed over its samples.
        stop: the memory of the stopping rule.
    """

    state: State
    total: Float[Array, ""]
    stop: PyTree


class Result(NamedTuple):
    """Holds the results of a segment for the host.

    Attributes:
        values: the loss of each step, before its update.
        loss: the mean loss of the epoch; before the epoch ends, the sum over its samples so far.
        metric: the metric of the test part; None before the epoch ends, or if there is no test part.
        params_finite: whether every parameter is finite.
        stop: whether training is to stop here.
    """

    values: Float[Array, " steps"]
    loss: Float[Array, ""]
    metric: Float[Array, ""] | None
    params_finite: Bool[Array, ""]
    stop: Bool[Array, ""]


class Experiment(NamedTuple):
    """Holds the parts of an experiment that do not change during training; none of them is an array.

    Attributes:
        network: the rule that is trained.
        step: one step of training.
        metric: the function that is evaluated on the test part.
        stop: the rule for stopping before the last epoch.
        samples: the number of samples in the training part.
        batch_size: the number of samples in a step, at most `samples`.
    """

    network: Rule
    step: Step
    metric: Metric
    stop: Stop
    samples: int
    batch_size: int

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
        return -(-self.samples // self.batch_size)


def segments(
    experiment: Experiment, epochs: int, longest: int | None, position: Position
) -> Iterator[Segment]:
    """Yield the segments from `position` to the end of `epochs` epochs, each of at most `longest` steps."""
    longest = longest or experiment.steps
    for epoch in range(position.epoch, epochs + 1):
        for first in range(position.step if epoch == position.epoch else 0, experiment.steps, longest):
            steps = min(longest, experiment.steps - first)
            yield Segment(epoch, first, steps, first + steps == experiment.steps)


def after(part: Segment) -> Position:
    """Return the position at which training continues after `part`."""
    return Position(part.epoch + 1, 0) if part.ends_epoch else Position(part.epoch, part.first + part.steps)


def begin(experiment: Experiment, params: PyTree, data: Data) -> Carry:
    """Return the carry for the first segment; losses are summed in float32 or a wider dtype."""
    state = experiment.step.start(params)
    one = jax.tree.map(lambda leaf: leaf[:1], (data.x_train, data.y_train))
    value = jax.eval_shape(experiment.step.take, state, *one)[1]
    total = jnp.zeros((), value.dtype if value.dtype.itemsize >= 4 else jnp.float32)
    return Carry(state, total, experiment.stop.start(params))


@partial(jax.jit, static_argnums=2)
def order_of(key: jax.Array, epoch: Integer[Array, ""], samples: int) -> Integer[Array, " samples"]:
    """Return the order in which `epoch` visits the samples."""
    return jax.random.permutation(jax.random.fold_in(key, epoch), samples)


def run(
    experiment: Experiment,
    steps: int,
    ends_epoch: bool,
    carry: Carry,
    order: Integer[Array, " samples"],
    first: Integer[Array, ""],
    data: Data,
) -> tuple[Carry, Result]:
    """Take `steps` steps, beginning with step `first` of the epoch that visits the samples in `order`.

    Full batches run in one scan; the samples left over at the end of an epoch form one smaller batch.
    """
    size = experiment.batch_size
    rest = experiment.samples % size if ends_epoch else 0
    full = steps - (rest > 0)

    def visit(carry: Carry, chosen: Integer[Array, " b"]) -> tuple[Carry, jax.Array]:
        batch = _rows(data.x_train, chosen), _rows(data.y_train, chosen)
        return _stepped(experiment, carry, batch)

    chosen = lax.dynamic_slice_in_dim(order, first * size, full * size).reshape(full, size)
    carry, values = lax.scan(visit, carry, chosen)
    if rest:
        carry, value = visit(carry, order[experiment.samples - rest :])
        values = jnp.append(values, value)
    return _ended(experiment, carry, values, data) if ends_epoch else _paused(carry, values)


def run_fed(
    experiment: Experiment, ends_epoch: bool, carry: Carry, full: PyTree, rest: PyTree, data: Data
) -> tuple[Carry, Result]:
    """Take one step on each batch (x, y) of `full`, stacked along the first axis, then one on `rest`.

    `full` may hold no batch, and `rest` may be None. This function is the counterpart of `run` for samples
    that are not in memory; it uses only the test part of `data`.
    """
    carry, values = lax.scan(partial(_stepped, experiment), carry, full)
    if rest is not None:
        carry, value = _stepped(experiment, carry, rest)
        values = jnp.append(values, value)
    return _ended(experiment, carry, values, data) if ends_epoch else _paused(carry, values)


def _stepped(experiment: Experiment, carry: Carry, batch: tuple[PyTree, PyTree]) -> tuple[Carry, jax.Array]:
    state, value = experiment.step.take(carry.state, *batch)
    total = carry.total + len(jax.tree.leaves(batch)[0]) * value.astype(carry.total.dtype)
    return carry._replace(state=state, total=total), value


def _ended(experiment: Experiment, carry: Carry, values: jax.Array, data: Data) -> tuple[Carry, Result]:
    params, measured = carry.state.params, None
    if data.x_test is not None:
        measured = experiment.metric(experiment.network.forward(params, data.x_test)[0], data.y_test)
    memory, stop = experiment.stop.judge(carry.stop, params, measured)
    result = Result(values, carry.total / experiment.samples, measured, all_finite(params), stop)
    return Carry(carry.state, jnp.zeros_like(carry.total), memory), result


def _paused(carry: Carry, values: jax.Array) -> tuple[Carry, Result]:
    return carry, Result(values, carry.total, None, all_finite(carry.state.params), jnp.bool(False))


def _rows(tree: PyTree, chosen: Integer[Array, " b"]) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[chosen], tree)
