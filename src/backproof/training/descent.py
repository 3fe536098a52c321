r"""The batch algorithm that was lost from document 000, restored (S0.13).

repeat at most MAX times:   W^l ← W^l − α Σ_i δ^{i,l} (a^{i,l−1})ᵀ,   b^l ← b^l − α Σ_i δ^{i,l}
stop as soon as every change of every W^l and b^l is smaller than ε.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from backproof.errors import DivergedError, message
from backproof.gradient import value_and_grad
from backproof.rule import Loss, PyTree, Rule, require_number, require_whole_number
from backproof.training.data import Data
from backproof.training.start import require_seed, start
from backproof.training.step import all_finite, require_learning_rate
from backproof.training.stopping import every_change_below


@dataclass(frozen=True)
class Descent:
    """Holds the outcome of `batch_descent`.

    Attributes:
        params: the parameters after the last update.
        iterations: how many updates were made.
        converged: whether the last update changed every parameter by less than epsilon; False means
            that the maximum number of iterations was reached first.
        loss: the loss at `params`.
    """

    params: PyTree
    iterations: int
    converged: bool
    loss: float


class Progress(NamedTuple):
    """Holds the values that one iteration hands to the next."""

    params: PyTree
    iteration: Int[Array, ""]
    settled: Bool[Array, ""]
    finite: Bool[Array, ""]


def batch_descent(
    network: Rule,
    loss: Loss,
    x: PyTree,
    y: PyTree,
    *,
    learning_rate: float,
    max_iterations: int,
    epsilon: float,
    params: PyTree = None,
    seed: int = 0,
) -> Descent:
    """Return the outcome of steepest descent on all samples at once.

    Args:
        network: the rule to train.
        loss: the loss; the one of document 000 is summed over the samples, without a factor 1/m.
        x: the inputs, with the samples along the first axis.
        y: their targets.
        learning_rate: α.
        max_iterations: MAX, the largest number of updates; at most 2³¹ − 1, because int32 counts them.
        epsilon: ε; descent stops after an update in which max|Δ| < ε for every leaf of the parameters.
        params: the first parameters; taken from `network.init` and `seed` if None.
        seed: determines the first parameters.

    Raises:
        DataError: the samples are empty, not finite, or their labels do not fit the prediction.
        UsageError: a number is out of range, or shapes do not fit.
        DivergedError: the loss or a parameter is no longer finite.
    """
    learning_rate = require_learning_rate(learning_rate, "batch_descent")
    max_iterations = require_whole_number(
        max_iterations, "max_iterations", "batch_descent", most=jnp.iinfo(jnp.int32).max
    )
    epsilon = require_number(epsilon, "epsilon", "batch_descent", "of at least 0", lambda e: e >= 0)
    gradient = value_and_grad(network, loss)
    key = jax.random.key(require_seed(seed, "batch_descent"))
    first, data, _ = start(network, loss, Data(x, y), key, params)

    def update(progress: Progress, samples: tuple[PyTree, PyTree]) -> Progress:
        value, grads = gradient(progress.params, *samples)
        params = jax.tree.map(lambda p, grad: p - learning_rate * grad, progress.params, grads)
        settled = every_change_below(epsilon, progress.params, params)
        return Progress(params, progress.iteration + 1, settled, jnp.isfinite(value) & all_finite(params))

    def unfinished(progress: Progress) -> jax.Array:
        return (progress.iteration < max_iterations) & ~progress.settled & progress.finite

    @jax.jit
    def run(params: PyTree, samples: tuple[PyTree, PyTree]) -> tuple[Progress, jax.Array]:
        begin = Progress(params, jnp.int32(0), jnp.bool(False), jnp.bool(True))
        end = lax.while_loop(unfinished, lambda progress: update(progress, samples), begin)
        return end, gradient(end.params, *samples)[0]

    end, value = run(first, (data.x_train, data.y_train))
    _require_finite(end, value)
    return Descent(end.params, int(end.iteration), bool(end.settled), float(value))


def _require_finite(end: Progress, value: Float[Array, ""]) -> None:
    if end.finite and jnp.isfinite(value):
        return
    raise DivergedError(
        message(
            must="the loss and the parameters must stay finite",
            found=f"loss={value}",
            where=f"batch_descent, iteration {end.iteration}",
            do="lower the learning rate",
        )
    )
