r"""The selective scan of Mamba, a state space model whose step, input and output depend on the sequence.

For each of d channels, with n states each, A = −exp(A_log) and h_0 = 0, for t = 1 … s:
    h_t = exp(Δ_t A) ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ,   y_t = h_t C_t + D ⊙ x_t,
with x_t, Δ_t and D of d numbers, B_t and C_t of n, and A and h_t of shape d × n; row i of exp(Δ_t A) is
exp(Δ_{t,i} A_i).

Backward, from δy_t = ∂L/∂y_t, with a_t = exp(Δ_t A), for t = s … 1:
    λ_t = δy_t C_tᵀ + a_{t+1} ⊙ λ_{t+1},   which is ∂L/∂h_t,
    ∂L/∂C_t = h_tᵀ δy_t,   ∂L/∂B_t = λ_tᵀ (Δ_t ⊙ x_t),   e_t = λ_t B_t,   w_t = λ_t ⊙ h_{t−1} ⊙ a_t,
    ∂L/∂x_t = D ⊙ δy_t + Δ_t ⊙ e_t,   ∂L/∂Δ_t = x_t ⊙ e_t + (the sum over the states of w_t ⊙ A),
    ∂L/∂A_log = A ⊙ Σ_t Δ_t w_t,   ∂L/∂D = Σ_t δy_t ⊙ x_t, both summed over the batch.
Kept are the inputs alone. The states are n times as large as x, so they are computed again by a second scan,
as in Mamba: only the layer whose backward pass runs has its states in memory.
Everything is computed in float32 at least. A is written −exp(A_log), as in Mamba's own code, so that it stays
negative when it is trained; with Δ ≥ 0, which the domain states, the factors stay in 0 … 1.
Source: Gu and Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces", arXiv:2312.00752.
The paper was not at hand; the formulas are derived in `docs/catalogue/recurrences.py`.
Slips that people make: ∂L/∂A in place of ∂L/∂A_log, and the cotangent without its factor x in ∂L/∂D; the
report names the line of either.
"""

import math
from functools import cache

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import (
    PyTree,
    Rule,
    parameter_dtype,
    require_floating,
    require_shape,
    require_whole_number,
)
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._rnn import require_sequences, steps_first, steps_last

Params = dict[str, Array]
# x and Δ of shape (*batch, s, d), B and C of shape (*batch, s, n).
Inputs = tuple[Array, Array, Array, Array]
# The inputs by name, with time first or at one step.
Named = dict[str, Array]
LEAVES = ("x", "delta", "B", "C")
WHERE = "selective_scan"


@cache
def selective_scan(states: int) -> Rule:
    """Return the selective scan with `states` states for each channel.

    It maps the tuple (x, Δ, B, C), with x and Δ of shape (…, s, d), B and C of shape (…, s, states), to y of
    shape (…, s, d). Its parameters are `{"A_log": (d, states), "D": (d,)}`; A_log starts from log(1 … states)
    in each channel, D from ones.

    Raises:
        UsageError: `states` is not a positive whole number.
    """
    states = require_whole_number(states, "states", "selective_scan")

    def init(key: jax.Array, x: Inputs) -> tuple[Params, jax.ShapeDtypeStruct]:
        del key
        require_inputs(x)
        u, B = x[0], x[2]
        require_shape(B, (*B.shape[:-1], states), WHERE, "B", f"give B and C {states} numbers a step")
        dtype, channels = parameter_dtype(x), u.shape[-1]
        rates = jnp.log(jnp.arange(1, states + 1, dtype=jnp.float32)).astype(dtype)
        params = {"A_log": jnp.broadcast_to(rates, (channels, states)), "D": jnp.ones(channels, dtype)}
        return params, jax.ShapeDtypeStruct(u.shape, u.dtype)

    row = array(f"*batch s {states}")
    domain = array("*batch s d"), array("*batch s d", low=0), row, row
    return Rule(f"selective_scan({states})", init, selective_scan_forward, selective_scan_backward, domain)


def selective_scan_forward(params: Params, x: Inputs) -> tuple[Float[Array, "*batch s d"], Inputs]:
    """Return y in the dtype of x, and the inputs."""
    require_inputs(x)
    require_selective_params(params, x)
    inputs, A, D = _wide(params, x)

    def step(h: Array, at: Named) -> tuple[Array, Array]:
        h = _after(h, at, A)
        return h, (h * _of_states(at["C"])).sum(axis=-1)

    read = steps_last(lax.scan(step, jnp.zeros_like(A), inputs)[1])
    y = read + jnp.broadcast_to(D, read.shape) * x[0].astype(read.dtype)
    return y.astype(x[0].dtype), x


def selective_scan_backward(
    params: Params, x: Inputs, delta_y: Float[Array, "*batch s d"]
) -> tuple[Params, Inputs]:
    """Return ({∂L/∂A_log, ∂L/∂D}, ∂L/∂(x, Δ, B, C)); the states are computed again."""
    inputs, A, D = _wide(params, x)
    delta_y = steps_first(delta_y.astype(A.dtype))
    skip = jnp.broadcast_to(D, A.shape[:-1])
    h_before = lax.scan(lambda h, at: (_after(h, at, A), h), jnp.zeros_like(A), inputs)[1]

    def step(later: tuple[Array, Array], each: tuple[Named, Array, Array]) -> tuple[PyTree, Inputs]:
        (from_later, grad_A), (at, h_before, delta_y) = later, each
        decay = jnp.exp(_of_channels(at["delta"]) * A)
        lam = _of_channels(delta_y) * _of_states(at["C"]) + from_later
        w = lam * h_before * decay
        e = (lam * _of_states(at["B"])).sum(axis=-1)
        deltas = (
            skip * delta_y + at["delta"] * e,
            at["x"] * e + (w * A).sum(axis=-1),
            (lam * _of_channels(at["delta"] * at["x"])).sum(axis=-2),
            (_of_channels(delta_y) * _after(h_before, at, A)).sum(axis=-2),
        )
        return (decay * lam, grad_A + _of_channels(at["delta"]) * w), deltas

    end = jnp.zeros_like(A), jnp.zeros_like(A)
    (_, grad_A), deltas = lax.scan(step, end, (inputs, h_before, delta_y), reverse=True)
    grads = {"A_log": _over_leading(A * grad_A, 2), "D": _over_leading(delta_y * inputs["x"], 1)}
    grads = {leaf: grad.astype(params[leaf].dtype) for leaf, grad in grads.items()}
    return grads, jax.tree.map(lambda one, leaf: steps_last(one).astype(leaf.dtype), deltas, tuple(x))


def _wide(params: Params, x: Inputs) -> tuple[Named, Float[Array, "*batch d n"], Float[Array, " d"]]:
    """Return the inputs with time first, A for each sequence of the batch, and D, in float32 at least."""
    dtype = jnp.result_type(*(at_least_float32(leaf) for leaf in x))
    inputs = {name: steps_first(leaf.astype(dtype)) for name, leaf in zip(LEAVES, x, strict=True)}
    largest = math.log(jnp.finfo(dtype).max) - 1  # so that A is finite: 0 ⋅ ∞ is no number
    A = -jnp.exp(jnp.minimum(params["A_log"].astype(dtype), largest))
    return inputs, jnp.broadcast_to(A, (*x[0].shape[:-2], *A.shape)), params["D"].astype(dtype)


def _after(h: Float[Array, "*batch d n"], at: Named, A: Float[Array, "*batch d n"]) -> Array:
    """Return h_t from h_{t−1}."""
    decay = jnp.exp(_of_channels(at["delta"]) * A)
    return decay * h + _of_channels(at["delta"] * at["x"]) * _of_states(at["B"])


def _of_channels(v: Float[Array, "*batch d"]) -> Float[Array, "*batch d 1"]:
    return v[..., :, None]


def _of_states(v: Float[Array, "*batch n"]) -> Float[Array, "*batch 1 n"]:
    return v[..., None, :]


def _over_leading(v: Array, kept: int) -> Array:
    """Return the sum over all axes but the last `kept`."""
    return v.sum(axis=tuple(range(v.ndim - kept)))


def require_inputs(x: PyTree) -> None:
    """Raise `UsageError` unless `x` is a tuple (x, Δ, B, C) whose shapes fit one another."""
    if not isinstance(x, tuple | list) or len(x) != len(LEAVES):
        raise UsageError(
            message(
                must="x must be a tuple (x, delta, B, C)",
                found=f"{len(x)} leaves" if isinstance(x, tuple) else f"x of type {type(x).__name__}",
                where=WHERE,
                do="pass these four, each of shape (…, steps, features)",
            )
        )
    for name, leaf in zip(LEAVES, x, strict=True):
        require_sequences(leaf, WHERE, name)
    u, delta, B, C = x
    do = "x and delta have the shape (…, s, d), B and C the shape (…, s, n)"
    require_shape(delta, u.shape, WHERE, "delta", do)
    require_shape(B, (*u.shape[:-1], B.shape[-1]), WHERE, "B", do)
    require_shape(C, B.shape, WHERE, "C", do)


def require_selective_params(params: Params, x: Inputs) -> None:
    """Raise `UsageError` unless A_log has the shape (d, n) and D the shape (d,)."""
    channels, states = x[0].shape[-1], x[2].shape[-1]
    for leaf, shape in {"A_log": (channels, states), "D": (channels,)}.items():
        require_floating(params[leaf], WHERE, leaf)
        require_shape(params[leaf], shape, WHERE, leaf, "initialise the parameters for this input")
