r"""The recurrent layer h_t = tanh(W x_t + U h_{t−1} + b) for t = 1 … s, h_0 = 0; its output is h_1 … h_s.

Backward, from δh_t = ∂L/∂h_t, for t = s … 1 (backpropagation through time), with δz_{s+1} = 0:
    δz_t = (δh_t + Uᵀ δz_{t+1}) ⊙ (1 − h_t) ⊙ (1 + h_t),   δx_t = Wᵀ δz_t,
    ∂L/∂W = Σ_t δz_t x_tᵀ,   ∂L/∂U = Σ_t δz_t h_{t−1}ᵀ,   ∂L/∂b = Σ_t δz_t, all three summed over the batch.
h_t reaches L on two paths, through the output and through h_{t+1}; the gradient of U has the state before the
step, not the state after it.
Kept are x and the states, which are the output: the slope of tanh is determined by its value. Only products
with U wait for another step; products with W, slopes and sums over time are computed for all steps at once.
States and sums are computed in float32 at least, and the states are kept so.
Source: Elman 1990, "Finding structure in time"; Werbos 1990, "Backpropagation through time: what it does and
how to do it". The papers were not at hand; the formulas are derived in `docs/catalogue/recurrences.py`.
Slips that people make: the gradient of U from the state after the step, and the slope of another activation;
the report names the line of either. Of a slip in the function that the scan runs, it names no line there.
"""

from functools import cache

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, parameter_dtype, require_floating, require_shape, require_whole_number
from backproof.rules._rms_norm import at_least_float32

Params = dict[str, Array]
# x, and the states in float32 at least.
Kept = tuple[Float[Array, "*batch s n"], Float[Array, "*batch s width"]]


@cache
def rnn(width: int) -> Rule:
    """Return h_t = tanh(W x_t + U h_{t−1} + b), h_0 = 0, from sequences (…, s, n) to states (…, s, width).

    Its parameters are `{"W": (width, n), "U": (width, width), "b": (width,)}`; W and U start from normal
    distributions of variance 1 / n and 1 / width, b from zero.

    Raises:
        UsageError: `width` is not a positive whole number.
    """
    width = require_whole_number(width, "width", "rnn")
    name = f"rnn({width})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_sequences(x, name)
        return started(key, x, width, gates=1)

    def forward(params: Params, x: Float[Array, "*batch s n"]) -> tuple[Float[Array, "*batch s width"], Kept]:
        require_recurrent(params, x, width, 1, name)
        z = steps_first(by_weights(params, x))
        U = params["U"].astype(z.dtype)

        def step(h: Array, z: Array) -> tuple[Array, Array]:
            h = jnp.tanh(z + h @ U.T)
            return h, h

        h = steps_last(lax.scan(step, jnp.zeros(z.shape[1:], z.dtype), z)[1])
        return h.astype(x.dtype), (x, h)

    def backward(
        params: Params, kept: Kept, delta_y: Float[Array, "*batch s width"]
    ) -> tuple[Params, Float[Array, "*batch s n"]]:
        x, h = kept
        slope = (1 - h) * (1 + h)
        U = params["U"].astype(h.dtype)

        def step(from_later: Array, each: tuple[Array, Array]) -> tuple[Array, Array]:
            slope, delta_h = each
            delta_z = (delta_h + from_later) * slope
            return delta_z @ U, delta_z

        each = steps_first(slope), steps_first(delta_y.astype(h.dtype))
        end = jnp.zeros(each[0].shape[1:], h.dtype)
        delta_z = steps_last(lax.scan(step, end, each, reverse=True)[1])
        return weight_grads(params, delta_z, x, before(h)), to_input(params, delta_z, x)

    return Rule(name, init, forward, backward, array("*batch s n"))


def started(
    key: jax.Array, x: jax.ShapeDtypeStruct, width: int, gates: int
) -> tuple[Params, jax.ShapeDtypeStruct]:
    """Return parameters for `gates` gates of `width` units each, one gate below the other, and the output."""
    n, rows, dtype = x.shape[-1], gates * width, parameter_dtype(x)
    for_W, for_U = jax.random.split(key)
    params = {
        "W": jax.random.normal(for_W, (rows, n), dtype) * max(n, 1) ** -0.5,
        "U": jax.random.normal(for_U, (rows, width), dtype) * width**-0.5,
        "b": jnp.zeros(rows, dtype),
    }
    return params, jax.ShapeDtypeStruct((*x.shape[:-1], width), x.dtype)


def steps_first(x: Float[Array, "*batch s n"]) -> Float[Array, "s *batch n"]:
    """Return `x` with time as its first axis, along which a scan runs."""
    return jnp.moveaxis(x, -2, 0)


def steps_last(x: Float[Array, "s *batch n"]) -> Float[Array, "*batch s n"]:
    """Return `x` with its first axis, time, moved back to the place before the last."""
    return jnp.moveaxis(x, 0, -2)


def before(h: Float[Array, "*batch s n"]) -> Float[Array, "*batch s n"]:
    """Return the state before each step: h_0 = 0, h_1 … h_{s−1}."""
    return jnp.concatenate([jnp.zeros((*h.shape[:-2], 1, h.shape[-1]), h.dtype), h], axis=-2)[..., :-1, :]


def by_weights(params: Params, x: Float[Array, "*batch s n"]) -> Float[Array, "*batch s rows"]:
    """Return W x_t + b for every step, in float32 at least."""
    wide = x.astype(at_least_float32(x))
    z = wide @ params["W"].astype(wide.dtype).T
    return z + jnp.broadcast_to(params["b"].astype(wide.dtype), z.shape)


def to_input(
    params: Params, delta_z: Float[Array, "*batch s rows"], x: Float[Array, "*batch s n"]
) -> Float[Array, "*batch s n"]:
    """Return δx_t = Wᵀ δz_t for every step, in the dtype of `x`."""
    return (delta_z @ params["W"].astype(delta_z.dtype)).astype(x.dtype)


def weight_grads(params: Params, delta_z: Float[Array, "*batch s rows"], x: Array, h_before: Array) -> Params:
    """Return Σ δz_t x_tᵀ, Σ δz_t h_{t−1}ᵀ and Σ δz_t over time and batch, in the dtypes of W, U and b."""
    over = tuple(range(delta_z.ndim - 1))
    grads = {
        "W": outer_sum(delta_z, x.astype(delta_z.dtype)),
        "U": outer_sum(delta_z, h_before),
        "b": delta_z.sum(axis=over),
    }
    return {leaf: grad.astype(params[leaf].dtype) for leaf, grad in grads.items()}


def outer_sum(delta: Float[Array, "*batch s rows"], a: Float[Array, "*batch s n"]) -> Float[Array, "rows n"]:
    """Return Σ δ aᵀ over all axes but the last."""
    over = tuple(range(delta.ndim - 1))
    return jnp.tensordot(delta, a, (over, over))


def require_sequences(x: Array | jax.ShapeDtypeStruct, where: str, name: str = "x") -> None:
    """Raise `UsageError` unless `x`, called `name` in the text, is floating and has two axes or more."""
    require_floating(x, where, name)
    if len(getattr(x, "shape", ())) < 2:
        raise UsageError(
            message(
                must=f"{name} must be sequences of shape (…, steps, features)",
                found=f"{name} of shape {getattr(x, 'shape', type(x).__name__)}",
                where=where,
                do=f"give {name} an axis of time before its last one",
            )
        )


def require_recurrent(params: Params, x: Array, width: int, gates: int, where: str) -> None:
    """Raise `UsageError` unless `x` has sequences, and `params` the shapes of `gates` gates for them."""
    require_sequences(x, where)
    rows = gates * width
    for leaf, shape in {"W": (rows, x.shape[-1]), "U": (rows, width), "b": (rows,)}.items():
        require_floating(params[leaf], where, leaf)
        require_shape(params[leaf], shape, where, leaf, "initialise the parameters for this input")
