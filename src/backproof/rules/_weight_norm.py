r"""The affine map z = W x + b with normed weights: row i of W is w_i = g_i v_i / ‖v_i‖.

Backward, from δz = ∂L/∂z, with v̂_i = v_i/‖v_i‖ and w̄_i = ∂L/∂w_i, row i of Σ δz xᵀ:
    ∂L/∂g_i = ⟨w̄_i, v̂_i⟩,   ∂L/∂v_i = (g_i/‖v_i‖) (w̄_i − v̂_i ⟨w̄_i, v̂_i⟩),   ∂L/∂b = Σ δz,   ∂L/∂x = Wᵀ δz,
sums over the batch. ∂L/∂v_i is perpendicular to v_i: a step along it changes the direction, and the length of
v_i only grows. Where v_i = 0 there is no direction, and w_i is NaN rather than a number that nobody chose.
Kept is x; v̂ and ‖v‖ come from the parameters again, in n_out × n_in operations, where δz xᵀ takes as many for
each sample. Norms are computed in float32 at least.
Source: Salimans and Kingma 2016, "Weight normalization", arXiv:1602.07868 (derived in
`docs/catalogue/norms.py`; the paper itself was not at hand).
Slips that people make: the second term of ∂L/∂v_i left out, v for v̂ in it; the report names the line.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, parameter_dtype, require_floating, require_shape, require_whole_number
from backproof.rules._affine import INIT, affine_delta, affine_grads, require_floating_rows
from backproof.rules._rms_norm import at_least_float32

Params = dict[str, Array]


def weight_norm(n_out: int) -> Rule:
    """Return the rule z = W x + b with w_i = g_i v_i/‖v_i‖, from any n_in to `n_out` features.

    Its parameters are `{"v": (n_out, n_in), "g": (n_out,), "b": (n_out,)}`. v starts from He's normal
    distribution (variance 2 / n_in), g from the norms of its rows, so that W = v, and b from zero.

    Raises:
        UsageError: `n_out` is not a positive whole number.
    """
    n_out = require_whole_number(n_out, "n_out", "weight_norm")
    name = f"weight_norm({n_out})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_floating_rows(x, name)
        n_in, dtype = x.shape[-1], parameter_dtype(x)
        v = jax.random.normal(key, (n_out, n_in), dtype) * (2 / max(n_in, 1)) ** 0.5
        g = jnp.linalg.norm(v, axis=-1)
        y = jax.ShapeDtypeStruct((*x.shape[:-1], n_out), dtype)
        return {"v": v, "g": g, "b": jnp.zeros(n_out, dtype)}, y

    def forward(
        params: Params, x: Float[Array, "*batch n_in"]
    ) -> tuple[Float[Array, "*batch n_out"], Float[Array, "*batch n_in"]]:
        _require_params(params, x, name)
        z = x @ _weights(params).T.astype(x.dtype)
        return z + jnp.broadcast_to(params["b"].astype(z.dtype), z.shape), x

    def backward(
        params: Params, x: Float[Array, "*batch n_in"], delta_z: Float[Array, "*batch n_out"]
    ) -> tuple[Params, Float[Array, "*batch n_in"]]:
        direction, length = _polar(params["v"])
        by = affine_grads(x, delta_z, length.dtype)
        along = (by["W"] * direction).sum(axis=-1, keepdims=True)
        gain = params["g"].astype(length.dtype)[:, None]
        grads = {
            "v": gain / length * (by["W"] - direction * along),
            "g": along[:, 0],
            "b": by["b"],
        }
        delta_x = affine_delta({"W": _weights(params)}, delta_z)
        return {leaf: grads[leaf].astype(params[leaf].dtype) for leaf in params}, delta_x

    return Rule(name, init, forward, backward, array("*batch n"))


def _polar(v: Float[Array, "n_out n_in"]) -> tuple[Float[Array, "n_out n_in"], Float[Array, "n_out 1"]]:
    """Return the direction of each row of v, and its length, in float32 at least."""
    wide = v.astype(at_least_float32(v))
    length = jnp.sqrt((wide * wide).sum(axis=-1, keepdims=True))
    return wide / length, length


def _weights(params: Params) -> Float[Array, "n_out n_in"]:
    """Return W in the dtype of v."""
    direction, length = _polar(params["v"])
    return (params["g"].astype(length.dtype)[:, None] * direction).astype(params["v"].dtype)


def _require_params(params: Params, x: Array, where: str) -> None:
    """Raise `UsageError` unless `params` is `{"v": …, "g": …, "b": …}`, floating, of shapes that fit `x`."""
    require_floating_rows(x, where)
    if not isinstance(params, dict) or sorted(params) != ["b", "g", "v"]:
        found = f"keys {sorted(params)}" if isinstance(params, dict) else type(params).__name__
        raise UsageError(
            message(must="the parameters must be a dict of v, g and b", found=found, where=where, do=INIT)
        )
    for leaf, value in params.items():
        require_floating(value, where, leaf)
    n_out = jnp.shape(params["g"])[:1]
    for leaf, shape in (("v", (*n_out, x.shape[-1])), ("g", n_out), ("b", n_out)):
        require_shape(params[leaf], shape, where, leaf, INIT)
