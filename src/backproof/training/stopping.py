"""Rules for stopping before the last epoch: tuples of pure functions, evaluated on the device.

`settled` applies document 000's criterion (S0.13) at the end of each epoch; with one batch per epoch, this is
exactly the document's criterion. `patience` watches the metric of the test part; training then returns the
parameters of the best epoch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from backproof.rule import PyTree, require_number, require_whole_number
from backproof.training.kept import kept


class Stop(NamedTuple):
    """Holds a rule for stopping as three pure functions.

    Attributes:
        name: the name of the rule, in error texts and in checkpoints.
        start: `params -> memory`, before the first epoch.
        judge: `(memory, params, measured) -> (memory, stop)` after each epoch; `measured` is the metric of
            the test part, or None if there is no test part; `stop` is a boolean scalar.
        outcome: `(memory, params) -> params`: the parameters that training returns.
        asks_metric: whether `judge` needs `measured`.
        may_stop: False only for `never`; the host may then read an epoch while the next one runs.
    """

    name: str
    start: Callable[[PyTree], PyTree]
    judge: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, jax.Array]]
    outcome: Callable[[PyTree, PyTree], PyTree]
    asks_metric: bool = False
    may_stop: bool = True


class Best(NamedTuple):
    """Holds the best epoch so far: its parameters, its metric, and how many epochs have passed since."""

    params: PyTree
    metric: Float[Array, ""]
    since: Int[Array, ""]


@kept
def never() -> Stop:
    """Return the rule that lets every epoch run."""

    def judge(memory: PyTree, params: PyTree, measured: PyTree) -> tuple[PyTree, jax.Array]:
        return memory, jnp.bool(False)

    return Stop("never", lambda _: (), judge, _last, may_stop=False)


@kept
def settled(epsilon: float) -> Stop:
    """Return the rule that stops after an epoch that changed every parameter by less than `epsilon`.

    Raises:
        UsageError: epsilon is negative or not finite.
    """
    epsilon = require_number(epsilon, "epsilon", "settled", "of at least 0", lambda e: e >= 0)

    def judge(before: PyTree, params: PyTree, measured: PyTree) -> tuple[PyTree, jax.Array]:
        return params, every_change_below(epsilon, before, params)

    return Stop(f"settled({epsilon:g})", lambda params: params, judge, _last)


@kept
def patience(epochs: int, *, least_gain: float = 0.0, lower_is_better: bool = False) -> Stop:
    """Return the rule that stops when the metric has not improved for `epochs` epochs.

    Training returns the parameters of the best epoch. A metric that is NaN counts as worse than any number;
    while no epoch has given a number, training does not stop.

    Args:
        epochs: the number of epochs without a new best after which training stops.
        least_gain: the amount, in units of the metric, by which a new best must exceed the last one.
        lower_is_better: False for an accuracy, True for a loss.

    Raises:
        UsageError: a number is out of range.
    """
    epochs = require_whole_number(epochs, "epochs", "patience")
    least_gain = require_number(least_gain, "least_gain", "patience", "of at least 0", lambda g: g >= 0)
    sign = -1.0 if lower_is_better else 1.0

    def start(params: PyTree) -> Best:
        return Best(params, jnp.full((), -jnp.inf, float), jnp.int32(0))

    def judge(best: Best, params: PyTree, measured: jax.Array) -> tuple[Best, jax.Array]:
        score = sign * jnp.asarray(measured).astype(best.metric.dtype)
        score = jnp.where(jnp.isnan(score), -jnp.inf, score)
        better = (score > best.metric + least_gain) | jnp.isneginf(best.metric)
        since = jnp.where(better, jnp.int32(0), best.since + 1)
        leading = jax.tree.map(lambda new, old: jnp.where(better, new, old), params, best.params)
        return Best(leading, jnp.where(better, score, best.metric), since), since >= epochs

    gain = f", least_gain={least_gain:g}" if least_gain else ""
    lower = ", lower_is_better=True" if lower_is_better else ""
    return Stop(
        f"patience({epochs}{gain}{lower})", start, judge, lambda best, _: best.params, asks_metric=True
    )


def every_change_below(epsilon: float, before: PyTree, after: PyTree) -> Bool[Array, ""]:
    """Return whether max|after − before| < epsilon holds for every leaf; NaN does not count as small."""
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return jnp.all(jnp.array([jnp.all(jnp.abs(new - old) < epsilon) for old, new in pairs], bool))


def _last(memory: PyTree, params: PyTree) -> PyTree:
    return params
