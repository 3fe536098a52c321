"""One step of training: the hand-written gradient, and the update that an optimizer makes from it.

Plain descent (S2.11, S4.1): θ ← θ − η ∂L/∂θ. An optax optimizer works in two phases: first all gradients,
then one update of all parameters. `in_sweep_sgd` updates each level within the backward sweep (S4.3).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from backproof.errors import UsageError, message
from backproof.gradient import value_and_grad
from backproof.rule import Loss, PyTree, Rule, descend, require_loss, require_rule


@dataclass(frozen=True)
class InSweepSGD:
    """Selects the documents' update inside the backward sweep, with a fixed learning rate."""

    learning_rate: float


Optimizer = optax.GradientTransformation | InSweepSGD


class State(NamedTuple):
    """Holds the values that one step hands to the next.

    Attributes:
        params: the parameters of the network.
        memory: the state of the optimizer; `()` for `in_sweep_sgd`.
    """

    params: PyTree
    memory: PyTree


class Step(NamedTuple):
    """Holds one step of training as two pure functions; the caller applies jit.

    Attributes:
        start: `params -> State`.
        take: `(state, x, target) -> (state, value)`; `value` is the loss before the update.
    """

    start: Callable[[PyTree], State]
    take: Callable[[State, PyTree, PyTree], tuple[State, jax.Array]]


def in_sweep_sgd(learning_rate: float) -> InSweepSGD:
    """Return the optimizer of document 004: θ ← θ − η ∂L/∂θ, level by level, inside the backward sweep.

    It reaches the same parameters as the two-phase step, and needs the gradient of only one level at a time.

    Raises:
        UsageError: the learning rate is negative or not finite.
    """
    return InSweepSGD(require_learning_rate(learning_rate, "in_sweep_sgd"))


def training_step(network: Rule, loss: Loss, optimizer: Optimizer) -> Step:
    """Return the step that `optimizer` takes on `loss` of `network`.

    Args:
        network: the rule to train.
        loss: the loss to descend on; the loss itself decides whether it sums or averages over the batch.
        optimizer: any optax optimizer, or `in_sweep_sgd(learning_rate)`.

    Raises:
        UsageError: `optimizer` is neither of these, `network` is not a rule, or `loss` is not a loss.
    """
    require_rule(network, "training", "network")
    require_loss(loss, "training")
    if isinstance(optimizer, InSweepSGD):
        return _in_sweep(network, loss, optimizer.learning_rate)
    if isinstance(optimizer, optax.GradientTransformation):
        return _two_phase(network, loss, optimizer)
    raise UsageError(
        message(
            must="optimizer must be an optax optimizer or in_sweep_sgd(learning_rate)",
            found=f"optimizer={optimizer!r}",
            where="training",
            do="pass e.g. optax.sgd(0.1)",
        )
    )


def _two_phase(network: Rule, loss: Loss, optimizer: optax.GradientTransformation) -> Step:
    gradient, optimizer = value_and_grad(network, loss), optax.with_extra_args_support(optimizer)

    @_as_optax_expects
    def start(params: PyTree) -> State:
        return State(params, optimizer.init(params))

    @_as_optax_expects
    def update(state: State, grads: PyTree, value: jax.Array) -> State:
        updates, memory = optimizer.update(grads, state.memory, state.params, value=value)
        return State(optax.apply_updates(state.params, updates), memory)

    def take(state: State, x: PyTree, target: PyTree) -> tuple[State, jax.Array]:
        value, grads = gradient(state.params, x, target)
        return update(state, grads, value), value

    return Step(start, take)


def _in_sweep(network: Rule, loss: Loss, learning_rate: float) -> Step:
    def update(param: jax.Array, grad: jax.Array) -> jax.Array:
        return param - jnp.asarray(learning_rate, grad.dtype) * grad

    def take(state: State, x: PyTree, target: PyTree) -> tuple[State, jax.Array]:
        y, residuals = network.forward(state.params, x)
        value, loss_residuals = loss.forward(y, target)
        params, _ = descend(network, state.params, residuals, loss.backward(loss_residuals), update)
        return State(params, ()), value

    return Step(lambda params: State(params, ()), take)


def _as_optax_expects(function: Callable[..., State]) -> Callable[..., State]:
    """Return `function`, run under standard promotion, for which optax is written.

    This is the one place where backproof lifts a caller's strict setting: adam, adamw and schedules
    mix an integer count with floats. Networks and losses keep the setting they are called under.
    """

    @wraps(function)
    def under_standard_promotion(*args: PyTree) -> State:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return function(*args)

    return under_standard_promotion


def all_finite(tree: PyTree) -> jax.Array:
    """Return whether every element of every leaf is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)], bool))


def require_learning_rate(learning_rate: float, where: str) -> float:
    """Return `learning_rate`, or raise `UsageError` unless it is a finite number of at least 0.

    A traced learning rate, as in `sweep`, has no value to check, and is returned as it is.
    """
    if isinstance(learning_rate, Tracer):
        return learning_rate
    if not (math.isfinite(learning_rate) and learning_rate >= 0):
        raise UsageError(
            message(
                must="the learning rate must be a finite number of at least 0",
                found=f"learning_rate={learning_rate}",
                where=where,
                do="pass e.g. 0.1",
            )
        )
    return float(learning_rate)
