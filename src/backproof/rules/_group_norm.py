r"""The group norm y = g ⊙ (x − m)/d + b, with m and d = √(mean((x − m)²) + ε) of each group of a sample.

The channels, the last axis, are divided into groups of neighbours. The mean m and the deviation d of a group
are those of its channels at all positions of one sample; gain and shift have one number a channel.
Backward, from δy = ∂L/∂y, with x̂ = (x − m)/d and δx̂ = g ⊙ δy:
    ∂L/∂g = δy ⊙ x̂,   ∂L/∂b = δy, both summed over the batch and the positions,
    δx = (δx̂ − mean(δx̂) − x̂ mean(δx̂ ⊙ x̂)) / d, with means over the group, like m.
Kept are x, m and 1/d, two numbers a group. Means and roots are computed in float32 at least.
One group is a layer norm over positions and channels, with one gain a channel; as many groups as channels are
an instance norm (Ulyanov et al. 2016, arXiv:1607.08022).
Source: Wu and He 2018, "Group normalization", arXiv:1803.08494 (derived in `docs/catalogue/norms.py`; the
paper itself was not at hand).
Slips that people make: the gain left out of δx̂, the mean of δx̂ for that of its product with x̂; the report
names the line.
"""

import math
from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, parameter_dtype, require_number, require_whole_number
from backproof.rules._affine import require_floating_rows
from backproof.rules._rms_norm import along_rows, at_least_float32, over_batch, require_rows_of

Params = dict[str, Array]
EPSILON = 1e-5
# x, m and 1/d, the last two of one number a group.
PerGroup = Float[Array, "*batch 1 groups 1"]
Kept = tuple[Float[Array, "*batch n"], PerGroup, PerGroup]


@cache
def group_norm(groups: int, positions: int, epsilon: float = EPSILON) -> Rule:
    """Return the group norm with the channels last, of x of shape `(*batch, *positions, n)`.

    Its parameters are `{"gain": (n,), "shift": (n,)}`; the gain starts from ones, the shift from zeros.

    Args:
        groups: into how many groups of neighbours the channels are divided.
        positions: how many axes of positions stand before the channels: 1 for a sequence, 2 for an image, 0
            for a row of channels alone.
        epsilon: what keeps the root from zero; any finite number.

    Raises:
        UsageError: `groups` or `positions` is not such a number, or ε is not finite; or (raised by the
            passes) x has fewer axes, or its channels are not divisible into groups.
    """
    groups = require_whole_number(groups, "groups", "group_norm")
    positions = require_whole_number(positions, "positions", "group_norm", least=0)
    epsilon = require_number(epsilon, "epsilon", "group_norm")
    chosen = [f"positions={positions}"] * (positions != 1) + [f"epsilon={epsilon:g}"] * (epsilon != EPSILON)
    name = f"group_norm({', '.join([str(groups), *chosen])})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        _require_groups(x, groups, positions, name)
        n, dtype = x.shape[-1], parameter_dtype(x)
        return {"gain": jnp.ones(n, dtype), "shift": jnp.zeros(n, dtype)}, x

    def grouped(x: Float[Array, "*batch n"]) -> Float[Array, "*batch p groups c"]:
        """Return x with its axes of positions as one, and its channels as two."""
        batch, inside = x.shape[: x.ndim - 1 - positions], x.shape[x.ndim - 1 - positions : -1]
        return x.reshape(*batch, math.prod(inside), groups, x.shape[-1] // groups)

    def forward(params: Params, x: Float[Array, "*batch n"]) -> tuple[Float[Array, "*batch n"], Kept]:
        _require_groups(x, groups, positions, name)
        require_rows_of(params, ("gain", "shift"), x, name)
        wide = grouped(x.astype(at_least_float32(x)))
        m = _mean(wide)
        centred = wide - m
        scale = 1 / jnp.sqrt(_mean(centred * centred) + epsilon)
        hat = (centred * scale).reshape(x.shape)
        gain, shift = (along_rows(params[leaf], hat) for leaf in ("gain", "shift"))
        return (gain * hat + shift).astype(x.dtype), (x, m, scale)

    def backward(
        params: Params, kept: Kept, delta_y: Float[Array, "*batch n"]
    ) -> tuple[Params, Float[Array, "*batch n"]]:
        x, m, scale = kept
        delta = delta_y.astype(scale.dtype)
        hat = (grouped(x.astype(scale.dtype)) - m) * scale
        delta_hat = grouped(along_rows(params["gain"], delta) * delta)
        delta_x = (delta_hat - _mean(delta_hat) - hat * _mean(delta_hat * hat)) * scale
        grads = {
            "gain": over_batch(delta * hat.reshape(x.shape), params["gain"]),
            "shift": over_batch(delta, params["shift"]),
        }
        return grads, delta_x.reshape(x.shape).astype(x.dtype)

    return Rule(name, init, forward, backward, array(f"*batch {'3 ' * positions}{groups}*c"))


def _mean(x: Float[Array, "*batch p groups c"]) -> Float[Array, "*batch 1 groups 1"]:
    """Return the mean over positions and the channels of a group; of none it is 0."""
    return x.sum(axis=(-3, -1), keepdims=True) / max(x.shape[-3] * x.shape[-1], 1)


def _require_groups(x: Array | jax.ShapeDtypeStruct, groups: int, positions: int, where: str) -> None:
    """Raise `UsageError` unless `x` has axes of positions, and channels that can be divided into groups."""
    require_floating_rows(x, where)
    if len(x.shape) <= positions:
        raise UsageError(
            message(
                must=f"the input must have {positions} axes of positions before the channels",
                found=f"x.shape={x.shape}",
                where=where,
                do="pass positions= as many as there are, 0 for rows of channels",
            )
        )
    if x.shape[-1] % groups:
        raise UsageError(
            message(
                must=f"the channels must be divisible into {groups} groups",
                found=f"{x.shape[-1]} channels",
                where=where,
                do="choose a number of groups that divides the channels, which stand last",
            )
        )
