r"""The layer norm y = g ⊙ (x − m) / d + b over the last axis, with m = mean(x), d = √(mean((x − m)²) + ε).

Backward, from δy = ∂L/∂y, with x̂ = (x − m) / d and δx̂ = g ⊙ δy:
    ∂L/∂g = δy ⊙ x̂,   ∂L/∂b = δy, both summed over the batch,
    δx = (δx̂ − mean(δx̂) − x̂ mean(δx̂ ⊙ x̂)) / d.
The first mean is the path through m, the second the path through d; neither may be left out.
Kept are x, m and 1/d, two numbers a row. Means and roots are computed in float32 at least.
Source: Ba, Kiros and Hinton 2016, "Layer normalization", arXiv:1607.06450 (without its ε; the formulas here
are derived in `docs/catalogue/norms.py`, the paper itself was not at hand).
"""

from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.rule import Rule, parameter_dtype, require_number
from backproof.rules._affine import require_floating_rows
from backproof.rules._rms_norm import along_rows, at_least_float32, mean, over_batch, require_rows_of

Params = dict[str, Array]
# x, m and 1/d, the last two of one number a row.
Kept = tuple[Float[Array, "*batch n"], Float[Array, "*batch 1"], Float[Array, "*batch 1"]]


@cache
def layer_norm_with(epsilon: float) -> Rule:
    """Return y = g ⊙ (x − m) / √(mean((x − m)²) + ε) + b over the last axis.

    Its parameters are `{"gain": (n,), "shift": (n,)}`; the gain starts from ones, the shift from zeros.

    Args:
        epsilon: what keeps the root from zero; any finite number.

    Raises:
        UsageError: ε is not a finite number.
    """
    epsilon = require_number(epsilon, "epsilon", "layer_norm_with")
    name = f"layer_norm_with({epsilon:g})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_floating_rows(x, name)
        n, dtype = x.shape[-1], parameter_dtype(x)
        return {"gain": jnp.ones(n, dtype), "shift": jnp.zeros(n, dtype)}, x

    def forward(params: Params, x: Float[Array, "*batch n"]) -> tuple[Float[Array, "*batch n"], Kept]:
        require_rows_of(params, ("gain", "shift"), x, name)
        wide = x.astype(at_least_float32(x))
        m = mean(wide)
        centred = wide - m
        scale = 1 / jnp.sqrt(mean(centred * centred) + epsilon)
        gain, shift = (along_rows(params[leaf], wide) for leaf in ("gain", "shift"))
        return (gain * (centred * scale) + shift).astype(x.dtype), (x, m, scale)

    def backward(
        params: Params, kept: Kept, delta_y: Float[Array, "*batch n"]
    ) -> tuple[Params, Float[Array, "*batch n"]]:
        x, m, scale = kept
        hat, delta = (x.astype(scale.dtype) - m) * scale, delta_y.astype(scale.dtype)
        delta_hat = along_rows(params["gain"], delta) * delta
        delta_x = (delta_hat - mean(delta_hat) - hat * mean(delta_hat * hat)) * scale
        grads = {
            "gain": over_batch(delta * hat, params["gain"]),
            "shift": over_batch(delta, params["shift"]),
        }
        return grads, delta_x.astype(x.dtype)

    return Rule(name, init, forward, backward, array("*batch n"))


layer_norm: Rule = layer_norm_with(1e-5)._replace(name="layer_norm")
