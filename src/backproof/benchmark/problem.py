"""One network with its loss, parameters and a batch: what both sides of a comparison share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from backproof import losses, rules
from backproof.benchmark.grid import Size
from backproof.compose import chain
from backproof.depth import repeat
from backproof.gradient import value_and_grad
from backproof.network import mlp
from backproof.rule import Loss, PyTree, Rule

Gradient = Callable[[PyTree, PyTree, PyTree], tuple[jax.Array, PyTree]]
LOSS = losses.mean(losses.softmax_cross_entropy)


class Problem(NamedTuple):
    """Holds the network, the loss and the arguments of one step.

    Attributes:
        network, loss: the rule and the loss that both sides use.
        params, x, labels: arguments of both gradients.
    """

    network: Rule
    loss: Loss
    params: PyTree
    x: Float[Array, "batch width"]
    labels: Int[Array, " batch"]

    @property
    def args(self) -> tuple[PyTree, PyTree, PyTree]:
        """The arguments of a gradient."""
        return self.params, self.x, self.labels


def network(size: Size) -> Rule:
    """Return relu layers of one width: `mlp`, or one `repeat` where `size` is a loop."""
    if size.is_loop:
        return repeat(chain(rules.affine(size.width), rules.relu), size.depth)
    return mlp([size.width] * (size.depth + 1), rules.relu)


def problem(size: Size, rule: Rule | None = None) -> Problem:
    """Return a network of `size`, or `rule`, with random parameters and a batch; the same at each call."""
    rule = network(size) if rule is None else rule
    numbers = np.random.default_rng(0)
    x = normal(numbers, (size.batch, size.width), size.dtype)
    shapes = jax.eval_shape(lambda x: rule.init(jax.random.key(0), _like(x))[0], x)
    scale = (2 / size.width) ** 0.5
    # He's weights. Everything is made by NumPy: compiling `init` would take longer than the step.
    params = jax.tree.map(
        lambda leaf: (
            normal(numbers, leaf.shape, size.dtype, scale)
            if leaf.shape[-2:] == (size.width, size.width)
            else jax.device_put(np.zeros(leaf.shape, leaf.dtype))
        ),
        shapes,
    )
    labels = jax.device_put(np.arange(size.batch, dtype=np.int32) % np.int32(size.width))
    return Problem(rule, LOSS, params, x, labels)


def by_hand(network: Rule, loss: Loss) -> Gradient:
    """Return a new function for the hand sweep, made by `backproof.value_and_grad`."""
    return value_and_grad(network, loss)


def by_autodiff(network: Rule, loss: Loss) -> Gradient:
    """Return a new function for autodiff: `jax.value_and_grad` of the same forward pass."""

    def value(params: PyTree, x: PyTree, target: PyTree) -> Any:
        return loss.forward(network.forward(params, x)[0], target)[0]

    return jax.value_and_grad(value)


def normal(
    numbers: np.random.Generator, shape: tuple[int, ...], dtype: str, scale: float = 1.0
) -> Float[Array, "..."]:
    """Return normally distributed numbers with deviation `scale`."""
    drawn = numbers.standard_normal(shape, np.float32) * np.float32(scale)
    return jax.device_put(drawn.astype(jnp.dtype(dtype)))


def _like(x: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype)
