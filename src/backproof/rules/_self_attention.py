r"""Self-attention with several heads: y = o W_oᵀ, o the attention of q = x W_qᵀ, k = x W_kᵀ and v = x W_vᵀ.

Each of the three is divided into heads of d = n/heads features, and q and k are turned by `rope` (layout
"halves"). Backward, from δy: ∂L/∂W_o = δyᵀ o and δo = δy W_o; the backward passes of attention and rope give
δq, δk and δv; then
    ∂L/∂W_q = δqᵀ x and likewise for k and v,   δx = δq W_q + δk W_k + δv W_v,
gradients of weights summed over positions and the batch. x reaches y on three paths, and none may be left
out. Kept are x, o, and what attention keeps: the turned q and k, v, and two numbers a query.
Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762 (the paper was not at hand).
Slips that people make: δv where δk belongs, or x for o in the gradient of W_o; the report leads to the line,
without a mask and positions. With them the program is too long to be looked through, and only the cause is
named.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
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
from backproof.rules._affine import INIT, affine_delta, affine_grads
from backproof.rules._attention import attention_with
from backproof.rules._blockwise_attention import attention_in_blocks
from backproof.rules._identity import identity
from backproof.rules._rope import rope as rope_with

Params = dict[str, Array]
Rows = Float[Array, "*batch s n"]
WEIGHTS = ("W_k", "W_o", "W_q", "W_v")


class Kept(NamedTuple):
    """Holds what the backward pass reads: x, what attention keeps, and o with its heads side by side."""

    x: Rows
    attention: PyTree
    o: Rows


@cache
def self_attention(
    heads: int, kv_heads: int | None = None, causal: bool = True, rope: bool = True, block: int | None = None
) -> Rule:
    """Return self-attention of the rows of x, of shape `(*batch, s, n)`; y has the same shape.

    With d = n/heads, its parameters are `{"W_q": (n, n), "W_k": (kv_heads · d, n), "W_v": (kv_heads · d, n),
    "W_o": (n, n)}`, without biases; they start from normal numbers of variance 1/n.

    Args:
        heads: how many heads q has; n is a multiple of it.
        kv_heads: how many heads k and v have, a divisor of `heads`; None for as many as q.
        causal: whether a row sees no later row.
        rope: whether q and k are turned by their positions; d is even then.
        block: how many keys `attention_in_blocks` takes at a time; None for `attention`.

    Raises:
        UsageError: a number is not whole and positive, or `kv_heads` does not divide `heads`.
    """
    heads = require_whole_number(heads, "heads", "self_attention")
    kv_heads = heads if kv_heads is None else require_whole_number(kv_heads, "kv_heads", "self_attention")
    if heads % kv_heads:
        raise UsageError(
            message(
                must="heads must be a multiple of kv_heads",
                found=f"heads={heads}, kv_heads={kv_heads}",
                where="self_attention",
                do="share each head of k and v among as many heads of q",
            )
        )
    group = heads // kv_heads
    inner = (
        attention_with(causal=causal, group=group)
        if block is None
        else attention_in_blocks(block, causal=causal, group=group)
    )
    turn = rope_with() if rope else identity
    options = {"kv_heads": kv_heads, "causal": causal, "rope": rope, "block": block}
    default = {"kv_heads": heads, "causal": True, "rope": True, "block": None}
    said = [f"{option}={value!r}" for option, value in options.items() if value != default[option]]
    name = f"self_attention({', '.join([str(heads), *said])})"
    unit = 2 * heads if rope else heads

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_rows(x, unit, name)
        n, keys = x.shape[-1], jax.random.split(key, len(WEIGHTS))
        sizes = sizes_of(n, n // group)
        dtype, scale = parameter_dtype(x), max(n, 1) ** -0.5
        draws = (jax.random.normal(one, sizes[leaf], dtype) for one, leaf in zip(keys, WEIGHTS, strict=True))
        return {leaf: scale * draw for leaf, draw in zip(WEIGHTS, draws, strict=True)}, x

    def forward(params: Params, x: Rows) -> tuple[Rows, Kept]:
        require_rows(x, unit, name)
        require_weights(params, sizes_of(x.shape[-1], x.shape[-1] // group), name)
        q, k, v = (product(params[leaf], x) for leaf in ("W_q", "W_k", "W_v"))
        q, k, v = in_heads(q, heads), in_heads(k, kv_heads), in_heads(v, kv_heads)
        q, k = turn.forward((), q)[0], turn.forward((), k)[0]
        o, kept = inner.forward((), (q, k, v))
        o = side_by_side(o)
        return product(params["W_o"], o), Kept(x, kept, o)

    def backward(params: Params, kept: Kept, delta_y: Rows) -> tuple[Params, Rows]:
        delta_o = in_heads(affine_delta({"W": params["W_o"]}, delta_y), heads)
        delta_q, delta_k, delta_v = inner.backward((), kept.attention, delta_o)[1]
        delta_q, delta_k = (turn.backward((), (), delta)[1] for delta in (delta_q, delta_k))
        delta_q, delta_k, delta_v = map(side_by_side, (delta_q, delta_k, delta_v))
        grads = {
            "W_q": affine_grads(kept.x, delta_q, params["W_q"].dtype)["W"],
            "W_k": affine_grads(kept.x, delta_k, params["W_k"].dtype)["W"],
            "W_v": affine_grads(kept.x, delta_v, params["W_v"].dtype)["W"],
            "W_o": affine_grads(kept.o, delta_y, params["W_o"].dtype)["W"],
        }
        delta_x = affine_delta({"W": params["W_q"]}, delta_q) + affine_delta({"W": params["W_k"]}, delta_k)
        return grads, delta_x + affine_delta({"W": params["W_v"]}, delta_v)

    return Rule(name, init, forward, backward, array(f"*batch s {2 * heads}"))


def product(W: Float[Array, "m n"], x: Rows) -> Float[Array, "*batch s m"]:
    """Return W x for each row."""
    return x @ W.T.astype(x.dtype)


def in_heads(x: Float[Array, "*batch s m"], heads: int) -> Float[Array, "*batch heads s d"]:
    """Return the features of each row divided into heads; the axis of heads stands before the positions."""
    return jnp.swapaxes(x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads), -2, -3)


def side_by_side(x: Float[Array, "*batch heads s d"]) -> Float[Array, "*batch s m"]:
    """Return each row with its heads one after another."""
    *batch, heads, s, d = x.shape
    return jnp.swapaxes(x, -2, -3).reshape(*batch, s, heads * d)


def sizes_of(n: int, narrow: int) -> dict[str, tuple[int, int]]:
    """Return the shape of each weight, for rows of n features and k and v of `narrow` features."""
    return {"W_q": (n, n), "W_k": (narrow, n), "W_v": (narrow, n), "W_o": (n, n)}


def require_rows(x: PyTree, unit: int, where: str) -> None:
    """Raise `UsageError` unless x has positions, and features that can be divided."""
    require_floating(x, where)
    if not hasattr(x, "shape") or len(x.shape) < 2 or x.shape[-1] % unit:
        raise UsageError(
            message(
                must=f"x must be an array (*batch, s, n) with n a multiple of {unit}",
                found=f"x of shape {getattr(x, 'shape', type(x).__name__)}",
                where=where,
                do="choose n, or the number of heads, so that every head gets as many features",
            )
        )


def require_weights(params: PyTree, sizes: dict[str, tuple[int, int]], where: str) -> None:
    """Raise `UsageError` unless `params` is a dict of the four weights, with these shapes."""
    keys = sorted(params) if isinstance(params, dict) else type(params).__name__
    if keys != list(WEIGHTS):
        raise UsageError(
            message(
                must=f"the parameters must be a dict of {', '.join(WEIGHTS)}",
                found=f"{keys}",
                where=where,
                do=INIT,
            )
        )
    for leaf, shape in sizes.items():
        require_floating(params[leaf], where, leaf)
        require_shape(params[leaf], shape, where, leaf, INIT)
