"""The training loop: an epoch is one program on the device, shuffled there and scanned batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Integer

from backproof.errors import DivergedError, UsageError, message
from backproof.rule import Loss, PyTree, Rule, require_whole_number
from backproof.training.data import Data
from backproof.training.start import require_seed, start
from backproof.training.step import Optimizer, State, Step, all_finite, training_step

Metric = Callable[[PyTree, PyTree], jax.Array]


class Epoch(NamedTuple):
    """Holds what one pass over the training part showed.

    Attributes:
        number: which epoch, from 1.
        loss: the loss of the batches before their updates, averaged with the batch sizes as weights.
        metric: the metric of the test part after the epoch; None where there is no test part.
    """

    number: int
    loss: float
    metric: float | None


@dataclass(frozen=True)
class Fit:
    """Holds the outcome of `fit`.

    Attributes:
        params: the trained parameters.
        memory: what the optimizer remembers at the end.
        history: one `Epoch` for each epoch.
    """

    params: PyTree
    memory: PyTree
    history: tuple[Epoch, ...]


class EpochResult(NamedTuple):
    """Holds what one epoch hands to the host: the loss of each step, and what follows from it."""

    values: Float[Array, " steps"]
    loss: Float[Array, ""]
    metric: Float[Array, ""] | None
    params_finite: Array


def fit(
    network: Rule,
    loss: Loss,
    data: Data,
    optimizer: Optimizer | None = None,
    *,
    epochs: int = 40,
    batch_size: int = 32,
    seed: int = 0,
    params: PyTree = None,
    metric: Metric | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fit:
    """Return `network` trained on `data` by the gradients written by hand.

    Every epoch visits each sample once in an order of its own; where `batch_size` does not divide
    the number of samples, the epoch ends with one smaller batch. The same arguments give the same
    parameters bit for bit on the same machine.

    Args:
        network: the rule to train.
        loss: the loss to descend on, summed over the batch unless it is `losses.mean(…)`.
        data: the samples; a test part is not needed.
        optimizer: any optax optimizer, or `in_sweep_sgd(…)`; `optax.sgd(0.1)` if None.
        epochs: how often the training part is visited.
        batch_size: samples per step; more than there are means all of them.
        seed: from it come the first parameters and the order of the samples.
        params: where to start; taken from `network.init` if None. The arrays stay intact.
        metric: `(prediction, target) -> scalar`, evaluated on the test part; if None, `accuracy`
            where targets are labels, else `loss`.
        on_epoch: called on the host with each `Epoch` as it ends.

    Raises:
        DataError: `data` is empty, not finite, or its labels do not fit the prediction.
        UsageError: a number is out of range, or shapes do not fit.
        DivergedError: a loss, or a parameter after an epoch, is not finite.
    """
    epochs = require_whole_number(epochs, "epochs", "fit")
    batch_size = require_whole_number(batch_size, "batch_size", "fit")
    _require_data(data)
    step = training_step(network, loss, optax.sgd(0.1) if optimizer is None else optimizer)
    start_key, order_key = jax.random.split(jax.random.key(require_seed(seed, "fit")))
    first, on_device, labelled = start(network, data, start_key, params)
    metric = metric or (accuracy if labelled else lambda *args: loss.forward(*args)[0])
    state = _copied(step.start(first))
    run_epoch = jax.jit(partial(_epoch, network, step, metric, batch_size), donate_argnums=0)
    history = []
    for number in range(1, epochs + 1):
        state, result = run_epoch(state, jax.random.fold_in(order_key, number), on_device)
        _require_finite(result, number)
        measured = None if result.metric is None else float(result.metric)
        history.append(Epoch(number, float(result.loss), measured))
        if on_epoch is not None:
            on_epoch(history[-1])
    return Fit(state.params, state.memory, tuple(history))


def accuracy(prediction: Float[Array, "*batch n"], labels: Integer[Array, "*batch"]) -> Float[Array, ""]:
    """Return the fraction of samples whose largest entry of `prediction` stands at their label."""
    return jnp.mean(prediction.argmax(-1).astype(labels.dtype) == labels, dtype=jnp.float32)


def _epoch(
    network: Rule, step: Step, metric: Metric, batch_size: int, state: State, key: jax.Array, data: Data
) -> tuple[State, EpochResult]:
    """Visit every sample once: full batches in one scan, then what is left as a batch of its own."""

    def visit(state: State, chosen: Integer[Array, " b"]) -> tuple[State, jax.Array]:
        return step.take(state, _rows(data.x_train, chosen), _rows(data.y_train, chosen))

    count = len(jax.tree.leaves(data.x_train)[0])
    batch_size = min(batch_size, count)
    order = jax.random.permutation(key, count)
    full, rest = divmod(count, batch_size)
    state, values = lax.scan(visit, state, order[: full * batch_size].reshape(full, batch_size))
    total = batch_size * values.sum()
    if rest:
        state, value = visit(state, order[full * batch_size :])
        values, total = jnp.append(values, value), total + rest * value
    measured = None
    if data.x_test is not None:
        measured = metric(network.forward(state.params, data.x_test)[0], data.y_test)
    return state, EpochResult(values, total / count, measured, all_finite(state.params))


def _rows(tree: PyTree, chosen: Integer[Array, " b"]) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[chosen], tree)


def _copied(state: State) -> State:
    """Return `state` in buffers of its own, one for each leaf: the first epoch is given them for good."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)


def _require_finite(result: EpochResult, epoch: int) -> None:
    """Raise `DivergedError` unless the epoch's losses and its last parameters are finite."""
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
            where=f"epoch {epoch}, step {min(at + 1, len(values))} of {len(values)}",
            do="lower the learning rate",
        )
    )


def _require_data(data: object) -> None:
    if not isinstance(data, Data):
        raise UsageError(
            message(
                must="data must be a training.Data",
                found=f"a {type(data).__name__}",
                where="fit",
                do="pass Data(x, y), or what training.split(x, y, seed) returns",
            )
        )
