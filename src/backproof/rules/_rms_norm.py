r"""The root mean square norm y = g ⊙ x / r over the last axis, with r = √(mean(x²) + ε).

Backward, from δy = ∂L/∂y, with x̂ = x / r and δx̂ = g ⊙ δy:
    ∂L/∂g = δy ⊙ x̂, summed over the batch,   δx = (δx̂ − x̂ mean(δx̂ ⊙ x̂)) / r.
The second term is the path through r; without it each entry is scaled as if r were a constant.
Kept are x and 1/r, one number a row: x̂ is one product away, and x is there anyway.
Mean and root are computed in float32 at least, since a sum of squares in float16 overflows from 256 on.
Source: Zhang and Sennrich 2019, "Root mean square layer normalization", arXiv:1910.07467 (without its ε; the
formulas here are derived in `docs/catalogue/norms.py`, the paper itself was not at hand).
"""

from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.rule import Rule, parameter_dtype, require_floating, require_number, require_shape
from backproof.rules._affine import require_floating_rows

Params = dict[str, Array]
# x and 1/r, of one number a row.
Kept = tuple[Float[Array, "*batch n"], Float[Array, "*batch 1"]]


@cache
def rms_norm_with(epsilon: float) -> Rule:
    """Return y = g ⊙ x / √(mean(x²) + ε) over the last axis; its parameters are `{"gain": (n,)}`, from ones.

    Args:
        epsilon: what keeps the root from zero; any finite number.

    Raises:
        UsageError: ε is not a finite number.
    """
    epsilon = require_number(epsilon, "epsilon", "rms_norm_with")
    name = f"rms_norm_with({epsilon:g})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_floating_rows(x, name)
        return {"gain": jnp.ones(x.shape[-1], parameter_dtype(x))}, x

    def forward(params: Params, x: Float[Array, "*batch n"]) -> tuple[Float[Array, "*batch n"], Kept]:
        require_rows_of(params, ("gain",), x, name)
        wide = x.astype(at_least_float32(x))
        scale = 1 / jnp.sqrt(mean(wide * wide) + epsilon)
        return (along_rows(params["gain"], wide) * (wide * scale)).astype(x.dtype), (x, scale)

    def backward(
        params: Params, kept: Kept, delta_y: Float[Array, "*batch n"]
    ) -> tuple[Params, Float[Array, "*batch n"]]:
        x, scale = kept
        hat, delta = x.astype(scale.dtype) * scale, delta_y.astype(scale.dtype)
        delta_hat = along_rows(params["gain"], delta) * delta
        delta_x = (delta_hat - hat * mean(delta_hat * hat)) * scale
        return {"gain": over_batch(delta * hat, params["gain"])}, delta_x.astype(x.dtype)

    return Rule(name, init, forward, backward, array("*batch n"))


def mean(x: Float[Array, "*batch n"]) -> Float[Array, "*batch 1"]:
    """Return the mean over the last axis, which stays; of an empty row it is 0."""
    return x.sum(axis=-1, keepdims=True) / max(x.shape[-1], 1)


def at_least_float32(x: Array) -> jnp.dtype:
    """Return the dtype in which the statistics of a row are computed."""
    return jnp.dtype(x.dtype if jnp.finfo(x.dtype).bits >= 32 else jnp.float32)


def along_rows(parameter: Float[Array, " n"], like: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Return a parameter in each row, in the dtype of `like`."""
    return jnp.broadcast_to(parameter.astype(like.dtype), like.shape)


def over_batch(per_row: Float[Array, "*batch n"], like: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return the sum over all axes but the last, in the dtype of the parameter `like`."""
    return per_row.sum(axis=tuple(range(per_row.ndim - 1))).astype(like.dtype)


def require_rows_of(params: Params, names: tuple[str, ...], x: Array, where: str) -> None:
    """Raise `UsageError` unless `x` has rows, and `params` one number for each of their entries."""
    require_floating_rows(x, where)
    for leaf in names:
        require_floating(params[leaf], where, leaf)
        require_shape(params[leaf], x.shape[-1:], where, leaf, "initialise the parameters for this input")


rms_norm: Rule = rms_norm_with(1e-6)._replace(name="rms_norm")
