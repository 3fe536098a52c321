r"""The gated recurrent unit, whose reset gate acts BEFORE the product with U.

For t = 1 … s, with h_0 = 0:
    r_t = σ(W_r x_t + U_r h_{t−1} + b_r),   u_t = σ(W_u x_t + U_u h_{t−1} + b_u),
    c_t = tanh(W_c x_t + U_c (r_t ⊙ h_{t−1}) + b_c),   h_t = u_t ⊙ h_{t−1} + (1 − u_t) ⊙ c_t.
Its output is h_1 … h_s; W, U and b hold the rows of r, u and c one below the other.

Backward, from what arrives at h_t, δh_t = ∂L/∂h_t + (what the step after sends back), for t = s … 1:
    δz_u = δh_t ⊙ (h_{t−1} − c_t) ⊙ u (1 − u),   δz_c = δh_t ⊙ (1 − u) ⊙ (1 − c²),
    e = U_cᵀ δz_c,   δz_r = e ⊙ h_{t−1} ⊙ r (1 − r),
    and back to h_{t−1} go   δh_t ⊙ u + r ⊙ e + U_rᵀ δz_r + U_uᵀ δz_u;
    δx_t = Wᵀ δz_t,   ∂L/∂W = Σ_t δz_t x_tᵀ,   ∂L/∂b = Σ_t δz_t,   ∂L/∂U_r and ∂L/∂U_u = Σ_t δz_t h_{t−1}ᵀ,
    ∂L/∂U_c = Σ_t δz_c (r ⊙ h_{t−1})ᵀ, all four summed over the batch.
Kept are x, r, u, c and h, which is the output: to find one of them again would take a product with U.
Everything between x and h is computed in float32 at least, and kept so.
PyTorch and cuDNN have the other variant, c = tanh(W_c x + b_c + r ⊙ (U_c h + d)); some authors exchange u
and 1 − u.
Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
translation", arXiv:1406.1078 (without its biases; the paper was not at hand, and the formulas are derived in
`docs/catalogue/recurrences.py`).
Slips that people make: h_{t−1} for r ⊙ h_{t−1} in the gradient of U_c, and h_t for h_{t−1} in the error of a
gate; the report names the line of either.
"""

from functools import cache

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import expit
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.rule import Rule, require_whole_number
from backproof.rules._rnn import (
    Params,
    before,
    by_weights,
    outer_sum,
    require_recurrent,
    require_sequences,
    started,
    steps_first,
    steps_last,
    to_input,
    weight_grads,
)

States = Float[Array, "*batch s width"]
# x, then r, u, c and h in float32 at least.
Kept = tuple[Float[Array, "*batch s n"], States, States, States, States]


@cache
def gru(width: int) -> Rule:
    """Return the gated recurrent unit, from sequences (…, s, n) to the states (…, s, width); h_0 = 0.

    The reset gate acts before the product: c = tanh(W_c x + U_c (r ⊙ h) + b_c). The parameters are
    `{"W": (3 width, n), "U": (3 width, width), "b": (3 width,)}`, with the rows of r, u and c one below the
    other; W and U start from normal distributions of variance 1 / n and 1 / width, b from zero.

    Raises:
        UsageError: `width` is not a positive whole number.
    """
    width = require_whole_number(width, "width", "gru")
    name = f"gru({width})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_sequences(x, name)
        return started(key, x, width, gates=3)

    def forward(params: Params, x: Float[Array, "*batch s n"]) -> tuple[States, Kept]:
        require_recurrent(params, x, width, 3, name)
        z = steps_first(by_weights(params, x))
        U_gates, U_c = jnp.split(params["U"].astype(z.dtype), [2 * width])

        def step(h: Array, z: Array) -> tuple[Array, tuple[Array, ...]]:
            z_gates, z_c = jnp.split(z, [2 * width], axis=-1)
            r, u = jnp.split(expit(z_gates + h @ U_gates.T), 2, axis=-1)
            c = jnp.tanh(z_c + (r * h) @ U_c.T)
            h = u * h + (1 - u) * c
            return h, (r, u, c, h)

        start = jnp.zeros((*z.shape[1:-1], width), z.dtype)
        r, u, c, h = (steps_last(one) for one in lax.scan(step, start, z)[1])
        return h.astype(x.dtype), (x, r, u, c, h)

    def backward(params: Params, kept: Kept, delta_y: States) -> tuple[Params, Float[Array, "*batch s n"]]:
        x, r, u, c, h = kept
        h_before = before(h)
        slope_r = h_before * (r * (1 - r))
        slope_u = (h_before - c) * (u * (1 - u))
        slope_c = (1 - u) * ((1 - c) * (1 + c))
        U_gates, U_c = jnp.split(params["U"].astype(h.dtype), [2 * width])

        def step(from_later: Array, each: tuple[Array, ...]) -> tuple[Array, Array]:
            slope_r, slope_u, slope_c, r, u, delta_y = each
            delta_h = delta_y + from_later
            delta_c = delta_h * slope_c
            e = delta_c @ U_c
            delta_gates = jnp.concatenate([e * slope_r, delta_h * slope_u], axis=-1)
            earlier = delta_h * u + r * e + delta_gates @ U_gates
            return earlier, jnp.concatenate([delta_gates, delta_c], axis=-1)

        each = (slope_r, slope_u, slope_c, r, u, delta_y.astype(h.dtype))
        each = tuple(steps_first(one) for one in each)
        end = jnp.zeros(each[0].shape[1:], h.dtype)
        delta_z = steps_last(lax.scan(step, end, each, reverse=True)[1])
        grads = weight_grads(params, delta_z, x, h_before)
        grad_U_c = outer_sum(delta_z[..., 2 * width :], r * h_before).astype(grads["U"].dtype)
        grads["U"] = grads["U"].at[2 * width :].set(grad_U_c)
        return grads, to_input(params, delta_z, x)

    return Rule(name, init, forward, backward, array("*batch s n"))
