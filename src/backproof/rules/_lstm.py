r"""The long short-term memory with a forget gate and without peepholes.

For t = 1 … s, with h_0 = c_0 = 0:
    z_t = W x_t + U h_{t−1} + b, cut into four parts of `width` rows each, in the order i, f, g, o;
    i = σ(z_i), f = σ(z_f), g = tanh(z_g), o = σ(z_o),   c_t = f ⊙ c_{t−1} + i ⊙ g,   h_t = o ⊙ tanh(c_t).
Its output is h_1 … h_s.

Backward, from what arrives at h_t, δh_t = ∂L/∂h_t + Uᵀ δz_{t+1}, for t = s … 1, with a = tanh(c_t):
    δc_t = δh_t ⊙ o ⊙ (1 − a²) + f_{t+1} ⊙ δc_{t+1},
    δz_i = δc_t ⊙ g ⊙ i (1 − i),   δz_f = δc_t ⊙ c_{t−1} ⊙ f (1 − f),
    δz_g = δc_t ⊙ i ⊙ (1 − g²),    δz_o = δh_t ⊙ a ⊙ o (1 − o),
    δx_t = Wᵀ δz_t,   ∂L/∂W = Σ_t δz_t x_tᵀ,   ∂L/∂U = Σ_t δz_t h_{t−1}ᵀ,   ∂L/∂b = Σ_t δz_t,
the last three summed over the batch.
The error of the cell comes back through f of the step after; that of the forget gate has the cell before.
Kept are x, the four gates and c, five numbers for each unit and step. h is elementwise from o and c, so it is
not kept; c alone would take a scan to find again, and the gates two products a step.
Everything between x and h is computed in float32 at least, and kept so.
Source: Hochreiter and Schmidhuber 1997, "Long short-term memory"; Gers, Schmidhuber and Cummins 2000,
"Learning to forget: continual prediction with LSTM". The order of the gates is that of PyTorch. The papers
were not at hand; the formulas are derived in `docs/catalogue/recurrences.py`.
Slips that people make: the cell after the step in the error of the forget gate, and the state after the step
in the gradient of U; the report names the line of either.
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
    require_recurrent,
    require_sequences,
    started,
    steps_first,
    steps_last,
    to_input,
    weight_grads,
)

States = Float[Array, "*batch s width"]
# x, then i, f, g, o and c in float32 at least.
Kept = tuple[Float[Array, "*batch s n"], tuple[States, States, States, States], States]


@cache
def lstm(width: int) -> Rule:
    """Return the long short-term memory, from sequences (…, s, n) to states h (…, s, width); h_0 = c_0 = 0.

    Its parameters are `{"W": (4 width, n), "U": (4 width, width), "b": (4 width,)}`, with the rows of the
    gates i, f, g and o one below the other. W and U start from normal distributions of variance 1 / n and
    1 / width, b from zero, but from one in the forget gate, so that a cell is kept at first.

    Raises:
        UsageError: `width` is not a positive whole number.
    """
    width = require_whole_number(width, "width", "lstm")
    name = f"lstm({width})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_sequences(x, name)
        params, y = started(key, x, width, gates=4)
        return {**params, "b": params["b"].at[width : 2 * width].set(1)}, y

    def forward(params: Params, x: Float[Array, "*batch s n"]) -> tuple[States, Kept]:
        require_recurrent(params, x, width, 4, name)
        z = steps_first(by_weights(params, x))
        U = params["U"].astype(z.dtype)

        def step(state: tuple[Array, Array], z: Array) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
            h, c = state
            z_i, z_f, z_g, z_o = jnp.split(z + h @ U.T, 4, axis=-1)
            i, f, g, o = expit(z_i), expit(z_f), jnp.tanh(z_g), expit(z_o)
            c = f * c + i * g
            return (o * jnp.tanh(c), c), (i, f, g, o, c)

        start = jnp.zeros((*z.shape[1:-1], width), z.dtype)
        i, f, g, o, c = (steps_last(one) for one in lax.scan(step, (start, start), z)[1])
        return (o * jnp.tanh(c)).astype(x.dtype), (x, (i, f, g, o), c)

    def backward(params: Params, kept: Kept, delta_y: States) -> tuple[Params, Float[Array, "*batch s n"]]:
        x, (i, f, g, o), c = kept
        a, c_before = jnp.tanh(c), before(c)
        slope_i = g * (i * (1 - i))
        slope_f = c_before * (f * (1 - f))
        slope_g = i * ((1 - g) * (1 + g))
        slope_o = a * (o * (1 - o))
        slope_c = o * ((1 - a) * (1 + a))
        slopes = jnp.concatenate([slope_i, slope_f, slope_g], axis=-1)
        U = params["U"].astype(c.dtype)

        def step(later: tuple[Array, Array], each: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
            slopes, slope_o, slope_c, f, delta_y = each
            delta_h = delta_y + later[0]
            delta_c = delta_h * slope_c + later[1]
            of_cell = jnp.concatenate([delta_c] * 3, axis=-1)
            delta_z = jnp.concatenate([of_cell * slopes, delta_h * slope_o], axis=-1)
            return (delta_z @ U, f * delta_c), delta_z

        each = tuple(steps_first(one) for one in (slopes, slope_o, slope_c, f, delta_y.astype(c.dtype)))
        end = jnp.zeros(each[1].shape[1:], c.dtype)
        delta_z = steps_last(lax.scan(step, (end, end), each, reverse=True)[1])
        return weight_grads(params, delta_z, x, before(o * a)), to_input(params, delta_z, x)

    return Rule(name, init, forward, backward, array("*batch s n"))
