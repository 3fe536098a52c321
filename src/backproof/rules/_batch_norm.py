r"""The batch norm y = g ⊙ (x − m)/d + b, with m and v the mean and variance over the batch, d = √(v + ε).

The batch is all axes but the last. Beside the values goes a state, the running mean M and variance V, in and
out: M' = M + r (m − M) and V' = V + r (v − V). So x = (values, {"mean": M, "variance": V}), and y likewise.
Backward, from δy and the cotangents δM' and δV' of the new state, with x̂ = (x − m)/d, δx̂ = g ⊙ δy and N rows:
    ∂L/∂g = Σ δy ⊙ x̂,   ∂L/∂b = Σ δy,   ∂L/∂M = (1 − r) δM',   ∂L/∂V = (1 − r) δV',
    δx = (δx̂ − mean(δx̂) − x̂ mean(δx̂ ⊙ x̂)) / d + (r/N) (δM' + 2 (x − m) δV'), sums and means over the batch.
In training δM' = δV' = 0, and the last term vanishes; it is what makes this the derivative of all of y.
`batch_norm_frozen` is the same map with m = M and v = V, as at inference: its rows are independent, and
    δx = g ⊙ δy / d,   ∂L/∂M = δM' − Σ δx,   ∂L/∂V = δV' − Σ δx ⊙ (x − M) / (2 d²).
v is the mean of the squares, not N/(N − 1) times it, in y and in the state. Flax calls 1 − r the momentum,
PyTorch r. An empty batch has no mean, and is an error. Kept are x, m and 1/d, two numbers a feature; frozen,
x and the state. Statistics are computed in float32 at least.
Source: Ioffe and Szegedy 2015, "Batch normalization", arXiv:1502.03167; its six equations of the backward
pass are a line of the derivation in `docs/catalogue/norms.py` (the paper itself was not at hand).
Slips that people make: the mean of δx̂ left out, the cotangent of the state dropped; the report names the
line.
"""

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, parameter_dtype, require_number, require_shape
from backproof.rules._affine import require_floating_rows
from backproof.rules._rms_norm import along_rows, at_least_float32, over_batch, require_rows_of

Params = dict[str, Array]
State = dict[str, Float[Array, " n"]]
WithState = tuple[Float[Array, "*batch n"], State]
# x, m and 1/d.
Kept = tuple[Float[Array, "*batch n"], Float[Array, " n"], Float[Array, " n"]]
# Three features: another number of them would show nothing more.
STATE = {"mean": array("3"), "variance": array("3", low=0)}


@cache
def batch_norm_with(epsilon: float, rate: float) -> Rule:
    """Return the batch norm that divides by √(variance + ε), of x = (values, state) to y of the same form.

    Its parameters are `{"gain": (n,), "shift": (n,)}`, from ones and zeros; the state is
    `{"mean": (n,), "variance": (n,)}`, which usually starts from zeros and ones.

    Args:
        epsilon: what keeps the root from zero; any finite number.
        rate: how far the running mean and variance move to those of the batch, from 0 to 1.

    Raises:
        UsageError: ε is not a finite number, or the rate not one from 0 to 1.
    """
    epsilon = require_number(epsilon, "epsilon", "batch_norm_with")
    rate = require_number(rate, "rate", "batch_norm_with", "from 0 to 1", lambda number: 0 <= number <= 1)
    name = f"batch_norm_with({epsilon:g}, {rate:g})"

    def init(key: jax.Array, x: Any) -> tuple[Params, Any]:
        _require_batch(x, name)
        return _params_for(x[0]), x

    def forward(params: Params, x: WithState) -> tuple[WithState, Kept]:
        _require_batch(x, name)
        values, state = x
        require_rows_of(params, ("gain", "shift"), values, name)
        wide = values.astype(at_least_float32(values))
        m = _mean(wide)
        centred = wide - along_rows(m, wide)
        v = _mean(centred * centred)
        scale = 1 / jnp.sqrt(v + epsilon)
        gain, shift, spread = (along_rows(one, wide) for one in (params["gain"], params["shift"], scale))
        y = (gain * (centred * spread) + shift).astype(values.dtype)
        return (
            y,
            {"mean": _moved(state["mean"], m, rate), "variance": _moved(state["variance"], v, rate)},
        ), (
            values,
            m,
            scale,
        )

    def backward(params: Params, kept: Kept, delta_y: WithState) -> tuple[Params, WithState]:
        x, m, scale = kept
        delta, delta_m, delta_v = (
            one.astype(scale.dtype) for one in (delta_y[0], delta_y[1]["mean"], delta_y[1]["variance"])
        )
        centred = x.astype(scale.dtype) - along_rows(m, delta)
        hat, delta_hat = centred * along_rows(scale, delta), along_rows(params["gain"], delta) * delta
        first, second = along_rows(_mean(delta_hat), delta), along_rows(_mean(delta_hat * hat), delta)
        delta_x = (delta_hat - first - hat * second) * along_rows(scale, delta)
        share = rate / _rows(x)
        by_state = along_rows(share * delta_m, delta) + along_rows(2 * share * delta_v, delta) * centred
        delta_state = jax.tree.map(lambda one: (1 - rate) * one, delta_y[1])
        return _grads(params, delta, hat), ((delta_x + by_state).astype(x.dtype), delta_state)

    return Rule(name, init, forward, backward, (array("b>=1 3"), STATE))


@cache
def batch_norm_frozen_with(epsilon: float) -> Rule:
    """Return the batch norm by the mean and variance of the state, which goes through unchanged.

    Parameters, x and y are those of `batch_norm_with`.

    Args:
        epsilon: what keeps the root from zero; any finite number.

    Raises:
        UsageError: ε is not a finite number.
    """
    epsilon = require_number(epsilon, "epsilon", "batch_norm_frozen_with")
    name = f"batch_norm_frozen_with({epsilon:g})"

    def init(key: jax.Array, x: Any) -> tuple[Params, Any]:
        _require_state(x, name)
        return _params_for(x[0]), x

    def standardised(x: WithState) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
        """Return x̂ and 1/d in each row."""
        wide = x[0].astype(at_least_float32(x[0]))
        m, v = (along_rows(x[1][leaf], wide) for leaf in ("mean", "variance"))
        scale = 1 / jnp.sqrt(v + epsilon)
        return (wide - m) * scale, scale

    def forward(params: Params, x: WithState) -> tuple[WithState, WithState]:
        _require_state(x, name)
        require_rows_of(params, ("gain", "shift"), x[0], name)
        hat, _ = standardised(x)
        gain, shift = (along_rows(params[leaf], hat) for leaf in ("gain", "shift"))
        return ((gain * hat + shift).astype(x[0].dtype), x[1]), x

    def backward(params: Params, x: WithState, delta_y: WithState) -> tuple[Params, WithState]:
        hat, scale = standardised(x)
        delta = delta_y[0].astype(hat.dtype)
        delta_x = along_rows(params["gain"], delta) * delta * scale
        through = {"mean": -delta_x, "variance": -delta_x * hat * scale / 2}
        delta_state = {leaf: one + over_batch(through[leaf], one) for leaf, one in delta_y[1].items()}
        return _grads(params, delta, hat), (delta_x.astype(x[0].dtype), delta_state)

    return Rule(name, init, forward, backward, (array("*batch 3"), STATE))


def _params_for(values: jax.ShapeDtypeStruct) -> Params:
    n, dtype = values.shape[-1], parameter_dtype(values)
    return {"gain": jnp.ones(n, dtype), "shift": jnp.zeros(n, dtype)}


def _grads(params: Params, delta: Array, hat: Array) -> Params:
    return {"gain": over_batch(delta * hat, params["gain"]), "shift": over_batch(delta, params["shift"])}


def _rows(x: Float[Array, "*batch n"]) -> int:
    return math.prod(x.shape[:-1])


def _mean(x: Float[Array, "*batch n"]) -> Float[Array, " n"]:
    return x.sum(axis=tuple(range(x.ndim - 1))) / _rows(x)


def _moved(old: Float[Array, " n"], new: Float[Array, " n"], rate: float) -> Float[Array, " n"]:
    return ((1 - rate) * old.astype(new.dtype) + rate * new).astype(old.dtype)


def _require_state(x: Any, where: str) -> None:
    """Raise `UsageError` unless `x` is rows of values, with a mean and a variance for each entry of a row."""
    is_pair = isinstance(x, tuple) and len(x) == 2 and isinstance(x[1], dict)
    if not (is_pair and sorted(x[1]) == ["mean", "variance"]):
        raise UsageError(
            message(
                must="the input must be (values, {'mean': …, 'variance': …})",
                found=f"{jax.tree.structure(x)}",
                where=where,
                do="pass the state beside the values; it starts from zeros and ones",
            )
        )
    require_floating_rows(x[0], where)
    for leaf in ("mean", "variance"):
        require_floating_rows(x[1][leaf], where)
        require_shape(x[1][leaf], x[0].shape[-1:], where, leaf, "keep one number a feature in the state")


def _require_batch(x: Any, where: str) -> None:
    """Raise `UsageError` unless `x` is values with a state, and the values have a batch with a row in it."""
    _require_state(x, where)
    if len(x[0].shape) < 2 or 0 in x[0].shape[:-1]:
        raise UsageError(
            message(
                must="the values must have a batch axis, with at least one row, before the last",
                found=f"values.shape={x[0].shape}",
                where=where,
                do="leave an empty batch out, or use batch_norm_frozen, whose rows are independent",
            )
        )


batch_norm: Rule = batch_norm_with(1e-5, 0.1)._replace(name="batch_norm")
batch_norm_frozen: Rule = batch_norm_frozen_with(1e-5)._replace(name="batch_norm_frozen")
