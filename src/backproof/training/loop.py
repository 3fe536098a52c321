"""`fit`: it puts an experiment together from its parts, checks it, and runs it."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer

from backproof.errors import UsageError, message
from backproof.rule import Loss, PyTree, Rule, require_whole_number
from backproof.training.checkpoints import Checkpoints
from backproof.training.data import Data, digest
from backproof.training.devices import Layout, divided, placed
from backproof.training.extras import saver
from backproof.training.history import Epoch, Recorder, table_of
from backproof.training.kept import kept
from backproof.training.progress import bar
from backproof.training.run import Run, trained
from backproof.training.segment import Carry, Experiment, Metric, begin
from backproof.training.start import require_seed, start
from backproof.training.step import Optimizer, Step, training_step
from backproof.training.stopping import Stop, never
from backproof.training.stream import Stream

DEFAULT_OPTIMIZER = optax.sgd(0.1)


@dataclass(frozen=True, repr=False)
class Fit:
    """Holds the outcome of `fit`.

    Attributes:
        params: the trained parameters; under `stop=patience(…)` those of the best epoch.
        memory: the state of the optimizer at the end.
        history: one `Epoch` for each epoch.
        stopped: whether `stop` ended training before the last epoch.
    """

    params: PyTree
    memory: PyTree
    history: tuple[Epoch, ...]
    stopped: bool = False

    def __str__(self) -> str:
        """Return the history as a table."""
        return table_of(self.history, "stopped before the last epoch" if self.stopped else "")

    def __repr__(self) -> str:
        """Return how far training came, without the parameters."""
        leaves = jax.tree.leaves(self.params)
        count = sum(int(np.size(leaf)) for leaf in leaves)
        last = f", loss {self.history[-1].loss:.6g}" if self.history else ""
        return f"Fit({len(self.history)} epochs{last}; {count} parameters in {len(leaves)} arrays)"


def fit(
    network: Rule,
    loss: Loss,
    data: Data | Stream,
    optimizer: Optimizer | None = None,
    *,
    epochs: int = 40,
    batch_size: int = 32,
    seed: int = 0,
    params: PyTree = None,
    metric: Metric | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    stop: Stop | None = None,
    checkpoints: Checkpoints | None = None,
    layout: Layout | None = None,
    progress: bool | None = None,
) -> Fit:
    """Return the outcome of training `network` on `data` with its hand-written gradients.

    Every epoch visits each sample once, in an order of its own. If `batch_size` does not divide the number of
    samples, the epoch ends with one smaller batch. The same arguments give the same parameters bit for bit on
    the same machine and mesh, even if training was interrupted and resumed from `checkpoints`. Samples in
    memory are copied when training begins, so that later changes to those arrays have no effect.

    The compiled programs of the last few experiments are kept until `training.forget()`. A later call reuses
    them if network, loss, optimizer, metric and stop are the same objects and the data have the same shapes.
    These five must be pure functions: anything else that they read is read only once, during compilation.

    Args:
        network: the rule to train.
        loss: the loss to descend on, summed over the batch unless it is `losses.mean(…)`.
        data: the samples: a `Data` in memory, or a `Stream`, which is read during training and visited in the
            same order. The test part is optional.
        optimizer: any optax optimizer, or `in_sweep_sgd(…)`; `optax.sgd(0.1)` if None.
        epochs: the number of passes over the training part.
        batch_size: samples per step; a number larger than that of the samples means all of them.
        seed: determines the first parameters and the order of the samples.
        params: the first parameters; taken from `network.init` if None. The arrays stay intact.
        metric: `(prediction, target) -> scalar`, evaluated on the test part; if None, `accuracy`
            if the targets are labels of which `loss` ignores none, else `loss`.
        on_epoch: called on the host with each `Epoch`, while the device already works on the next one.
        stop: when to stop before the last epoch: `training.settled(epsilon)` or `training.patience(epochs)`.
        checkpoints: where to save; if checkpoints are there, training resumes. Needs orbax-checkpoint.
        layout: the devices to train on, and what is divided among them: `training.data_parallel()` or
            `training.tensor_parallel(model)`; one device if None. The trained parameters stay on them.
        progress: whether a bar on standard error shows how far training is; if None, where that is a terminal
            and there is no `on_epoch`.

    Raises:
        DataError: `data` is empty, not finite, or its labels do not fit the prediction; for a stream, raised
            when such a record is read.
        UsageError: a number is out of range, or shapes do not fit.
        DivergedError: a loss, or a parameter after a segment, is not finite.
        CheckpointError: the checkpoints belong to another experiment, or none of them can be read.
    """
    epochs = require_whole_number(epochs, "epochs", "fit")
    batch_size = require_whole_number(batch_size, "batch_size", "fit")
    optimizer = DEFAULT_OPTIMIZER if optimizer is None else optimizer
    stop = never() if stop is None else stop
    require_data(data, "fit", (Data, Stream))
    _require_stop(stop, data)
    step = _step(network, loss, optimizer)
    seed = require_seed(seed, "fit")
    start_key, order_key = jax.random.split(jax.random.key(seed))
    stream = data if isinstance(data, Stream) else None
    in_memory = data.sample() if isinstance(data, Stream) else data
    first, on_device, labelled = start(network, loss, in_memory, start_key, params)
    metric = metric_for(metric, loss, labelled)
    count = len(jax.tree.leaves(in_memory.x_train)[0]) if stream is None else len(stream)
    experiment = Experiment(network, step, metric, stop, count, min(batch_size, count))
    carry = _copied(begin(experiment, first, on_device))
    carry, order_key, on_device = placed(layout, (carry, order_key, on_device))
    experiment = _divided(layout, experiment)
    late = 1 if stop.may_stop is False else 0
    longest = None if checkpoints is None else checkpoints.every_steps
    if stream is not None:
        longest = min(longest or stream.steps, stream.steps)

    def identity() -> dict[str, Any]:
        about = _identity(network, loss, experiment, data, carry, seed, longest)
        return about | _first_step(step, first, in_memory)

    with (
        bar(epochs, progress, on_epoch) as told,
        nullcontext() if checkpoints is None else saver(checkpoints, identity()) as opened,
    ):
        recorder = Recorder(experiment.steps, told, late=late)
        run = Run(
            experiment, order_key, on_device, epochs, longest, recorder, opened, stream, labelled, layout
        )
        carry = trained(run, carry)
    params = stop.outcome(carry.stop, carry.state.params)
    return Fit(params, carry.state.memory, tuple(recorder.epochs), recorder.stopped)


_step = kept(training_step)
_divided = kept(divided)


@kept
def metric_for(metric: Metric | None, loss: Loss, labelled: bool) -> Metric:
    """Return `metric`; if None, `accuracy` if the targets are labels, else `loss`."""
    return metric or (accuracy if labelled else lambda *args: loss.forward(*args)[0])


def accuracy(prediction: Float[Array, "*batch n"], labels: Integer[Array, "*batch"]) -> Float[Array, ""]:
    """Return the fraction of samples for which the largest entry of `prediction` is the one at the label."""
    return jnp.mean(prediction.argmax(-1).astype(labels.dtype) == labels, dtype=jnp.float32)


def _identity(
    network: Rule,
    loss: Loss,
    experiment: Experiment,
    data: Data | Stream,
    carry: Carry,
    seed: int,
    every_steps: int | None,
) -> dict[str, Any]:
    """Return a description, which JSON can hold, that distinguishes this experiment from others.

    The number of epochs is not part of it, because it may change from call to call. Neither is the optimizer,
    whose settings cannot be read from it: `_first_step` describes the optimizer by what it does.
    """
    shapes = {
        jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(carry)
    }
    return {
        "network": network.name,
        "loss": loss.name,
        "stop": experiment.stop.name,
        "batch_size": experiment.batch_size,
        "every_steps": every_steps,
        "seed": seed,
        "data": data.fingerprint() if isinstance(data, Stream) else digest(data),
        "arrays": shapes,
        "tree": re.sub(r" at 0x[0-9a-f]+", "", str(jax.tree.structure(carry))),
    }


def _first_step(step: Step, params: PyTree, samples: Data) -> dict[str, Any]:
    """Return the sizes of the first parameters and of the first step, which is taken on one sample.

    The sizes have three digits, because these are the same on every kind of device.
    """
    one = jax.tree.map(lambda leaf: leaf[:1], (samples.x_train, samples.y_train))
    after = _after_one(step)(params, *one)
    moved = jax.tree.map(lambda new, old: np.asarray(new, float) - np.asarray(old, float), after, params)

    def size(leaf: PyTree) -> str:
        return f"{np.abs(np.asarray(leaf, float)).sum():.3g}"

    return {
        "first parameters": [size(leaf) for leaf in jax.tree.leaves(params)],
        "first step": [size(leaf) for leaf in jax.tree.leaves(moved)],
    }


@kept
def _after_one(step: Step) -> Callable[[PyTree, PyTree, PyTree], PyTree]:
    """Return the compiled function from parameters and one batch to the parameters after the first step."""
    return jax.jit(lambda params, x, target: step.take(step.start(params), x, target)[0].params)


def _copied(carry: Carry) -> Carry:
    """Return `carry` in new buffers, one for each leaf, because they are donated to the first segment."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), carry)


def require_data(data: object, where: str, kinds: tuple[type, ...] = (Data,)) -> None:
    """Raise `UsageError` unless `data` is an instance of one of `kinds`."""
    if not isinstance(data, kinds):
        raise UsageError(
            message(
                must=f"data must be a {' or a '.join(f'training.{kind.__name__}' for kind in kinds)}",
                found=f"a {type(data).__name__}",
                where=where,
                do="pass Data(x, y), or the result of training.split(x, y, seed)",
            )
        )


def _require_stop(stop: Stop, data: Data | Stream) -> None:
    if not isinstance(stop, Stop):
        raise UsageError(
            message(
                must="stop must be a training.Stop",
                found=f"stop={stop!r}",
                where="fit",
                do="pass training.settled(1e-5) or training.patience(5)",
            )
        )
    if stop.asks_metric and data.x_test is None:
        raise UsageError(
            message(
                must=f"stop={stop.name} needs a test part, on which the metric is measured",
                found="none",
                where="fit",
                do="pass Data(x, y, x_test, y_test), or stop=training.settled(…)",
            )
        )
