r"""Flattening y = x with its last axes merged into one, in the order in which the entries lie.

Backward, from δy = ∂L/∂y:   δx = δy in the shape of x. No number changes either way.
Kept is the shape of x, as an array of shape (0, *shape of x), which has no entries.
Source: the definition; `flatten` is what stands between the convolutions of a network and its affine layers.
Slips that people make: the axes are merged in one order and taken apart in another.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, require_floating, require_shape, require_whole_number


def flatten(axes: int) -> Rule:
    """Return the rule that makes the last `axes` axes one: `(*batch, h, w, c)` to `(*batch, h w c)` for 3.

    Raises:
        UsageError: `axes` is not a positive whole number, or x has fewer axes (raised by the rule).
    """
    axes = require_whole_number(axes, "axes", "flatten")
    name = f"flatten({axes})"

    def merged(x: jax.Array | jax.ShapeDtypeStruct) -> tuple[int, ...]:
        _require_axes(x, axes, name)
        return (*x.shape[:-axes], math.prod(x.shape[-axes:]))

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
        del key
        return (), jax.ShapeDtypeStruct(merged(x), x.dtype)

    def forward(params: tuple[()], x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Array]:
        return x.reshape(merged(x)), shape_of(x)

    def backward(
        params: tuple[()], kept: Array, delta_y: Float[Array, "..."]
    ) -> tuple[tuple[()], Float[Array, "..."]]:
        shape = kept.shape[1:]
        expected = (*shape[:-axes], math.prod(shape[-axes:]))
        require_shape(delta_y, expected, name, "delta_y", "pass ∂L/∂y, one entry for each entry of y")
        return (), delta_y.reshape(shape)

    names = " ".join(f"n{i}" for i in range(1, axes + 1))
    return Rule(name, init, forward, backward, array(f"*batch {names}"))


def shape_of(x: Array) -> Array:
    """Return an array without entries that carries the shape and the dtype of x: (0, *shape of x)."""
    return jnp.zeros((0, *x.shape), x.dtype)


def _require_axes(x: PyTree, axes: int, where: str) -> None:
    require_floating(x, where)
    if not hasattr(x, "shape") or len(x.shape) < axes:
        raise UsageError(
            message(
                must=f"the input must be one array of at least {axes} axes",
                found=f"x of shape {getattr(x, 'shape', type(x).__name__)}",
                where=where,
                do="merge fewer axes",
            )
        )
