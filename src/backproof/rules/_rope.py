r"""Rotary positions: each pair of features (a, b) at position m is turned by the angle m θ_i.

    y = R_m x:   (a, b) ↦ (a cos − b sin, a sin + b cos),   θ_i = base^(−2i/d) for pair i of d/2.

Backward, from δy = ∂L/∂y: δx = R_mᵀ δy, the rotation by −m θ_i. Nothing is kept, since R does not depend on
x. A product of y at m and y at n depends on positions by n − m alone. The position is the index along the
axis before the last, plus an offset. Pair i is (x_i, x_{i+d/2}) in the layout "halves" and (x_{2i}, x_{2i+1})
in the layout "pairs"; weights that were trained with one do not fit the other.
Sine and cosine are computed in float64, when the program is traced: in float32 an angle of 10⁵ is off by
0.004.
Source: Su et al. 2021, "RoFormer: Enhanced transformer with rotary position embedding", arXiv:2104.09864 (the
paper was not at hand).
Slips that people make: a sign of sin that turns the gradient on instead of back; the report leads to the
line.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, require_floating, require_number, require_whole_number
from backproof.rules._rms_norm import at_least_float32

Rows = Float[Array, "*batch s d"]
Pairs = tuple[Float[Array, "*batch s d/2"], Float[Array, "*batch s d/2"]]
LAYOUTS = ("halves", "pairs")


@cache
def rope(layout: str = "halves", base: float = 10000, offset: int = 0) -> Rule:
    """Return the rule that turns each pair of features by its position times base^(−2i/d).

    x has shape `(*batch, s, d)` with an even d, and y the same.

    Args:
        layout: "halves" if pair i is (x_i, x_{i+d/2}), "pairs" if it is (x_{2i}, x_{2i+1}).
        base: a number above 0.
        offset: the position of the first row.

    Raises:
        UsageError: an argument is none of these.
    """
    if layout not in LAYOUTS:
        raise UsageError(
            message(
                must="layout must be 'halves' or 'pairs'",
                found=f"layout={layout!r}",
                where="rope",
                do="choose the one that the weights were trained with",
            )
        )
    base = require_number(base, "base", "rope", "above 0", lambda b: b > 0)
    offset = require_whole_number(offset, "offset", "rope", 0)
    name = f"rope({layout!r}, base={base:g}" + (f", offset={offset})" if offset else ")")

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
        require_pairs(x, name)
        return (), x

    def forward(params: tuple[()], x: Rows) -> tuple[Rows, tuple[()]]:
        require_pairs(x, name)
        cos, sin = turns(x, base, offset)
        a, b = split(x.astype(cos.dtype), layout)
        return joined((a * cos - b * sin, a * sin + b * cos), layout).astype(x.dtype), ()

    def backward(params: tuple[()], kept: tuple[()], delta_y: Rows) -> tuple[tuple[()], Rows]:
        cos, sin = turns(delta_y, base, offset)
        delta_a, delta_b = split(delta_y.astype(cos.dtype), layout)
        delta_x = delta_a * cos + delta_b * sin, delta_b * cos - delta_a * sin
        return (), joined(delta_x, layout).astype(delta_y.dtype)

    return Rule(name, init, forward, backward, array("*batch s 2*n"))


def turns(x: Rows, base: float, offset: int) -> Pairs:
    """Return cos(m θ_i) and sin(m θ_i) for each pair of x, in float32 at least."""
    *batch, s, d = x.shape
    positions = np.arange(offset, offset + s, dtype=np.float64)
    angles = positions[:, None] * base ** (-2 * np.arange(d // 2) / max(d, 1))
    of_pairs = (*batch, s, d // 2)
    cos, sin = (jnp.asarray(f(angles), at_least_float32(x)) for f in (np.cos, np.sin))
    return jnp.broadcast_to(cos, of_pairs), jnp.broadcast_to(sin, of_pairs)


def split(x: Rows, layout: str) -> Pairs:
    """Return the first features of all pairs, and the second ones."""
    half = x.shape[-1] // 2
    return (x[..., :half], x[..., half:]) if layout == "halves" else (x[..., 0::2], x[..., 1::2])


def joined(pairs: Pairs, layout: str) -> Rows:
    """Return the features of all pairs, each in its place."""
    a, b = pairs
    if layout == "halves":
        return jnp.concatenate((a, b), axis=-1)
    return jnp.stack((a, b), axis=-1).reshape(*a.shape[:-1], 2 * a.shape[-1])


def require_pairs(x: Array | jax.ShapeDtypeStruct, where: str) -> None:
    """Raise `UsageError` unless x has positions, and an even number of features."""
    require_floating(x, where)
    if len(x.shape) < 2 or x.shape[-1] % 2:
        raise UsageError(
            message(
                must="x must have an axis of positions and an even number of features",
                found=f"x.shape={x.shape}",
                where=where,
                do="pass an array (*batch, s, d) with an even d",
            )
        )
