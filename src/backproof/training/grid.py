"""Many experiments as one program: a grid of hyperparameters at several seeds, by `vmap`, compiled once.

A hyperparameter that varies must be a number that the optimizer accepts as an array: a learning rate, a
momentum, a weight decay. One that changes a shape (a width, a batch size) needs another program, and so
another sweep.
"""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from backproof.errors import UsageError, message
from backproof.rule import Loss, PyTree, Rule, parameter_dtype, require_number, require_whole_number
from backproof.training.data import Data
from backproof.training.kept import kept
from backproof.training.loop import metric_for, require_data
from backproof.training.segment import Experiment, Metric, begin, order_of, run
from backproof.training.start import require_seed, start
from backproof.training.step import Optimizer, training_step
from backproof.training.stopping import never


class Curves(NamedTuple):
    """Holds the values of every experiment: loss and metric of each epoch, and the last parameters.

    Attributes:
        loss: the mean loss of the epoch, as `fit` reports it.
        metric: the metric of the test part; None if there is no test part.
        finite: whether the parameters were finite after every epoch.
        params: the last parameters, stacked along the axes points and seeds.
    """

    loss: Float[Array, "points seeds epochs"]
    metric: Float[Array, "points seeds epochs"] | None
    finite: Bool[Array, "points seeds"]
    params: PyTree


@dataclass(frozen=True)
class Sweep:
    """Holds the outcome of `sweep`.

    Attributes:
        names: the hyperparameters, in the order of `points`.
        points: the grid, one tuple of values for each point.
        seeds: the seeds at which each point ran.
        curves: loss and metric after each epoch, and the last parameters, of every experiment.
        lower_is_better: whether `best` looks for the lowest value.
    """

    names: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]
    seeds: tuple[int, ...]
    curves: Curves
    lower_is_better: bool

    def diverged(self) -> np.ndarray:
        """Return which experiments met a loss or parameters that are not finite: booleans (points, seeds)."""
        finite = np.isfinite(np.asarray(self.curves.loss)).all(axis=-1)
        return np.logical_not(finite & np.asarray(self.curves.finite))

    def final(self) -> np.ndarray:
        """Return the last metric, or else the last loss, of every experiment; NaN if it diverged."""
        curve = self.curves.loss if self.curves.metric is None else self.curves.metric
        last = np.asarray(curve)[..., -1].astype(np.float64)
        return np.where(self.diverged(), np.nan, last)

    def best(self) -> dict[str, float]:
        """Return the hyperparameters whose median over the seeds is best; a diverged run counts as worst."""
        worst = np.inf if self.lower_is_better else -np.inf
        medians = np.median(np.where(np.isnan(self.final()), worst, self.final()), axis=1)
        at = int(np.argmin(medians) if self.lower_is_better else np.argmax(medians))
        return dict(zip(self.names, self.points[at], strict=True))

    def params(self, point: int, seed: int) -> PyTree:
        """Return the parameters that the experiment at `points[point]` and `seeds[seed]` reached."""
        return jax.tree.map(lambda leaf: leaf[point, seed], self.curves.params)

    def __str__(self) -> str:
        """Return a table: each point with the median and the range of its last metric over the seeds."""
        what = "loss" if self.curves.metric is None else "metric"
        heads = [*self.names, f"median {what}", "lowest", "highest", "diverged"]
        rows = [heads]
        for point, last, lost in zip(self.points, self.final(), self.diverged(), strict=True):
            kept = last[~lost]
            numbers = (np.median(kept), kept.min(), kept.max()) if kept.size else (np.nan,) * 3
            cells = [f"{value:g}" for value in point] + [f"{number:.4f}" for number in numbers]
            rows.append([*cells, f"{lost.sum()} of {len(lost)}"])
        widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
        return "\n".join(
            "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        )


def sweep(
    network: Rule,
    loss: Loss,
    data: Data,
    optimizer: Callable[..., Optimizer],
    hyperparameters: Mapping[str, Sequence[float]],
    *,
    seeds: Sequence[int] = (0,),
    epochs: int = 40,
    batch_size: int = 32,
    metric: Metric | None = None,
    lower_is_better: bool | None = None,
) -> Sweep:
    """Return the outcome of training at every point of a grid and with every seed, by one compiled program.

    Every experiment starts, shuffles and steps as `fit(…, optimizer(**point), seed=seed)` does; the numbers
    agree within rounding. If one diverges, the others continue, and its curve is not finite from there on.
    Memory grows with the number of experiments, because all of them run at once. As in `fit`, the compiled
    program is reused if network, loss, `optimizer` and metric are the same objects; they must be pure
    functions.

    Args:
        network: the rule to train.
        loss: the loss to descend on.
        data: the samples; the test part is optional.
        optimizer: makes an optimizer from the hyperparameters, e.g. `optax.sgd` or `in_sweep_sgd`.
        hyperparameters: maps the name of each argument of `optimizer` that varies to the values to try.
        seeds: each determines the first parameters and the order of the samples.
        epochs: the number of passes over the training part.
        batch_size: samples per step; a number larger than that of the samples means all of them.
        metric: `(prediction, target) -> scalar`; as in `fit` if None.
        lower_is_better: whether `best` looks for the lowest value; if None, it looks for the highest accuracy
            if that is the metric, else for the lowest metric or loss.

    Raises:
        DataError: `data` is empty, not finite, or its labels do not fit the prediction.
        UsageError: a number is out of range, shapes do not fit, or `optimizer` takes no such hyperparameter.
    """
    epochs = require_whole_number(epochs, "epochs", "sweep")
    batch_size = require_whole_number(batch_size, "batch_size", "sweep")
    require_data(data, "sweep")
    names, points = _grid(optimizer, hyperparameters)
    seeds = _seeds(seeds)
    params, on_device, labelled = start(network, loss, data, jax.random.key(0), None)
    count = len(jax.tree.leaves(data.x_train)[0])
    measured = metric_for(metric, loss, labelled)
    program = _program(network, loss, optimizer, measured, epochs, min(batch_size, count))
    dtype = parameter_dtype(params)  # updates must have the dtype of the parameters
    values = {
        name: jnp.array(column, dtype) for name, column in zip(names, zip(*points, strict=True), strict=True)
    }
    curves = program(values, jnp.array(seeds, jnp.uint32), on_device)
    by_accuracy = labelled and metric is None and data.x_test is not None
    lower = not by_accuracy if lower_is_better is None else lower_is_better
    return Sweep(names, points, seeds, curves, lower)


@kept
def _program(
    network: Rule,
    loss: Loss,
    optimizer: Callable[..., Optimizer],
    metric: Metric,
    epochs: int,
    batch_size: int,
) -> Callable[[dict[str, jax.Array], jax.Array, Data], Curves]:
    """Return the compiled function from the points of a grid, the seeds and the samples to all curves."""

    def one(point: dict[str, jax.Array], seed: jax.Array, samples: Data) -> Curves:
        count = len(jax.tree.leaves(samples.x_train)[0])
        step = training_step(network, loss, optimizer(**point))
        experiment = Experiment(network, step, metric, never(), count, batch_size)
        start_key, order_key = jax.random.split(jax.random.key(seed))

        def visit(
            carry: PyTree, epoch: jax.Array
        ) -> tuple[PyTree, tuple[jax.Array, jax.Array | None, jax.Array]]:
            order = order_of(order_key, epoch, count)
            carry, result = run(experiment, experiment.steps, True, carry, order, jnp.int32(0), samples)
            return carry, (result.loss, result.metric, result.params_finite)

        x = jax.eval_shape(lambda: samples.x_train)
        first = begin(experiment, network.init(start_key, x)[0], samples)
        last, (losses, metrics, finite) = lax.scan(visit, first, 1 + jnp.arange(epochs, dtype=jnp.int32))
        return Curves(losses, metrics, finite.all(), last.state.params)

    over_seeds = jax.vmap(one, (None, 0, None))
    return jax.jit(jax.vmap(over_seeds, (0, None, None)))


def _grid(
    optimizer: Callable[..., Optimizer], hyperparameters: Mapping[str, Sequence[float]]
) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    """Return the names and every combination of their values, the last name varying fastest."""
    if not hyperparameters or not all(len(values) for values in hyperparameters.values()):
        raise UsageError(
            message(
                must="every hyperparameter must have at least one value",
                found=f"hyperparameters={dict(hyperparameters)!r}",
                where="sweep",
                do='pass e.g. {"learning_rate": [0.01, 0.1]}',
            )
        )
    for name, values in hyperparameters.items():
        for value in values:
            require_number(value, name, "sweep")
    try:
        inspect.signature(optimizer).bind(**{name: values[0] for name, values in hyperparameters.items()})
    except TypeError as error:
        raise UsageError(
            message(
                must="optimizer must be a function of the hyperparameters",
                found=f"{getattr(optimizer, '__name__', repr(optimizer))}: {error}",
                where="sweep",
                do="pass e.g. optax.sgd, or a lambda that names its arguments",
            )
        ) from error
    return tuple(hyperparameters), tuple(itertools.product(*hyperparameters.values()))


def _seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    if not len(seeds):
        raise UsageError(
            message(
                must="there must be at least one seed", found="none", where="sweep", do="pass seeds=range(3)"
            )
        )
    return tuple(require_seed(seed, "sweep") for seed in seeds)
