r"""Dropout, y = m ⊙ x / (1 − p): an entry is 0 with probability p, and else scaled so that its mean is x.

x = (values, key), and y = (values, another key): the mask m is drawn from the key, and the key of y goes on
to the next dropout. `carrying(rule)` takes it past any rule between them, and `values_of` drops it, so that
this is a network of (values, key):
    values_of(chain(carrying(affine(8)), dropout(0.5), carrying(relu), carrying(affine(3)), dropout(0.1))).
Backward, from δy = ∂L/∂y:   δx = m ⊙ δy / (1 − p). A key has no cotangent.
Kept is the key alone: the mask is drawn again, where keeping it would take a number an entry.
An entry is dropped if 32 random bits, read as a whole number, are below 2³² p. This is the same in every
precision, so one key drops the same entries in each. With p = 0 nothing is dropped.
Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15,
which multiplies by 1 − p at inference where this divides in training (the paper was not at hand).
Slips that people make: another mask in the backward pass, the factor 1/(1 − p) in one pass alone; the report
names the line.
"""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, require_floating, require_number

WithKey = tuple[Float[Array, "..."], Array]
# Rows share a key, so they are not independent, and other shapes show nothing more; a raw key is two numbers.
DOMAIN = (array("2 3"), array("2", "uint32", 0, 2**32 - 1))


@cache
def dropout(rate: float) -> Rule:
    """Return y = m ⊙ x / (1 − rate), with a mask m drawn from the key beside x; it has no parameters.

    x is `(values, key)`, the key as of `jax.random.key` or `jax.random.PRNGKey`, and y is
    `(values, key of the next dropout)`. At inference leave it out, or use `dropout(0.0)`.

    Args:
        rate: the probability that an entry is dropped, from 0 to below 1.

    Raises:
        UsageError: the rate is not such a number; or (raised by the passes) x is no values with a key.
    """
    rate = require_number(rate, "rate", "dropout", "from 0 to below 1", lambda number: 0 <= number < 1)
    name = f"dropout({rate:g})"

    def init(key: jax.Array, x: Any) -> tuple[tuple[()], Any]:
        _require_key(x, name)
        return (), x

    def through_mask(values: Float[Array, "..."], key: Array) -> Float[Array, "..."]:
        """Return m ⊙ values / (1 − rate)."""
        bits = jax.random.bits(_two_keys(key)[0], values.shape, jnp.uint32)
        is_kept = bits >= jnp.uint32(min(round(rate * 2**32), 2**32 - 1))
        return jnp.where(is_kept, values * (1 / (1 - rate)), 0)

    def forward(params: tuple[()], x: WithKey) -> tuple[WithKey, Array]:
        _require_key(x, name)
        values, key = x
        return (through_mask(values, key), _two_keys(key)[1]), key

    def backward(
        params: tuple[()], key: Array, delta_y: tuple[Float[Array, "..."], Any]
    ) -> tuple[tuple[()], tuple[Float[Array, "..."], None]]:
        return (), (through_mask(delta_y[0], key), None)

    return Rule(name, init, forward, backward, DOMAIN)


def _two_keys(key: Array) -> Array:
    """Return the key of the mask and that of the next dropout."""
    return jax.random.split(key)


def _require_key(x: Any, where: str) -> None:
    """Raise `UsageError` unless `x` is floating values with one key."""
    if not (isinstance(x, tuple) and len(x) == 2 and _is_one_key(x[1])):
        raise UsageError(
            message(
                must="the input must be (values, key), with one key of jax.random",
                found=f"{jax.tree.map(jnp.shape, x)}",
                where=where,
                do="pass e.g. (x, jax.random.key(0)), and another key at every step",
            )
        )
    require_floating(x[0], where)


def _is_one_key(key: Any) -> bool:
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return shape == ()
    return dtype == jnp.uint32 and len(shape or ()) == 1
