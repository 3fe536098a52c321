r"""The attention of `attention_with`, computed from a block of keys at a time, without s · t numbers at once.

Forward, over blocks of scores s with the largest score m so far, the denominator l and the sum a of what o
is:
    m′ = max(m, max s),   l ← exp(m − m′) l + Σ exp(s − m′),   a ← exp(m − m′) a + exp(s − m′) v,   o = a/l.
Backward, over the same blocks, each P made again as exp(s − m)/l with the last m and l:
    δv = Pᵀ δo,   δs = P ⊙ (δo vᵀ − D),   δk = δsᵀ q/√d,   and δq = Σ δs k/√d over the blocks.
D = Σ_j P_j δP_j needs all keys of a query, but it is δo · o as well, and o is there. A sink is where m and l
start. Kept are x, m, l, and o in float32 at least: rounded to bfloat16, it would spoil the difference δP − D.
A last block that is not full is filled up with keys that do not count. A block that no query sees is computed
all the same.
Source: Dao et al. 2022, "FlashAttention: Fast and memory-efficient exact attention with IO-awareness",
arXiv:2205.14135 (the paper was not at hand).
Slips that people make: a mean for the sum in D, or δq that does not start from 0; the report leads to the
line. Of a slip within the loop over blocks it names the call of `lax.scan`.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.rule import PyTree, Rule, require_whole_number
from backproof.rules._attention import (
    Column,
    cotangents,
    grads_of_sinks,
    like_input,
    no_zero,
    parts_of,
    result,
)
from backproof.rules._attention_options import (
    Input,
    Options,
    checked,
    initial,
    require_input,
    require_sink,
)
from backproof.rules._attention_scores import (
    Grouped,
    Present,
    counting,
    logits_of_sinks,
    scale_of,
    scores,
    through_cap,
)

# A block of k, of v, which of its keys are present, and the number of its first key.
Block = tuple[Array, Array, Array, Int[Array, ""]]


class Kept(NamedTuple):
    """Holds what the backward pass reads: x, o, and for each query the largest score and the denominator."""

    x: Input
    o: Grouped
    top: Column
    total: Column


@cache
def attention_in_blocks(
    size: int,
    *,
    causal: bool = False,
    window: int | None = None,
    soft_cap: float | None = None,
    sink: bool = False,
    padding: str | None = None,
    group: int = 1,
    lse: bool = False,
) -> Rule:
    """Return the attention of `attention_with(…)`, which takes `size` keys at a time in both passes.

    Its memory grows with s · size and with t, not with s · t. Any number of keys will do.

    Args:
        size: how many keys are taken at a time.
        causal: as in `attention_with`, and so are the other options.
        window: a query sees only keys closer than this.
        soft_cap: c in c · tanh(score/c).
        sink: whether each head has one more logit in the denominator.
        padding: "mask", "lengths" or None.
        group: how many query heads share one head of k and v.
        lse: whether y is (o, the logarithm of the denominator).

    Raises:
        UsageError: an option is none of these.
    """
    size = require_whole_number(size, "size", "attention_in_blocks")
    options = checked(Options(causal, window, soft_cap, sink, padding, group, lse), "attention_in_blocks")
    name = f"attention_in_blocks({', '.join(filter(None, [str(size), str(options)]))})"

    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        return initial(x, options, name)

    def forward(params: PyTree, x: Input) -> tuple[PyTree, Kept]:
        require_input(x, options, name)
        require_sink(params, x[0], options, name)
        q, k, v, here = parts_of(x, options)
        ahead = k.shape[-2] - q.shape[-2]

        def step(carry: tuple[Grouped, Column, Column], block: Block) -> tuple[PyTree, None]:
            o, top, total = carry
            k, v, here, first = block
            s = counting(scores(q, k, options), here, options, ahead, first)
            new = jnp.maximum(top, lax.stop_gradient(s.max(axis=-1, keepdims=True)))
            shift = finite(new)
            e, old = jnp.exp(s - shift), jnp.exp(top - shift)
            total = old * total + e.sum(axis=-1, keepdims=True)
            return (old * o + jnp.einsum("...hgst,...htw->...hgsw", e, v), new, total), None

        (o, top, total), _ = lax.scan(step, start(params, q, v, options), in_blocks(k, v, here, size))
        top, divisor = finite(top), no_zero(total)
        o = o / divisor
        return result(o, top, total, x, options), Kept(x, o, top, divisor)

    def backward(params: PyTree, kept: Kept, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        x, o, top, total = kept
        q, k, v, here = parts_of(x, options)
        ahead, t = k.shape[-2] - q.shape[-2], k.shape[-2]
        delta_o, delta_l = cotangents(delta_y, top, options)
        D = (delta_o * o).sum(axis=-1, keepdims=True) - delta_l

        def step(delta_q: Grouped, block: Block) -> tuple[Grouped, tuple[Array, Array]]:
            k, v, here, first = block
            s = scores(q, k, options)
            p = jnp.exp(counting(s, here, options, ahead, first) - top) / total
            delta_p = jnp.einsum("...hgsw,...htw->...hgst", delta_o, v)
            delta_s = scale_of(q) * through_cap(p * (delta_p - D), s, options)
            delta_k = jnp.einsum("...hgst,...hgsd->...htd", delta_s, q)
            delta_v = jnp.einsum("...hgst,...hgsw->...htw", p, delta_o)
            return delta_q + jnp.einsum("...hgst,...htd->...hgsd", delta_s, k), (delta_k, delta_v)

        delta_q, (delta_k, delta_v) = lax.scan(step, jnp.zeros_like(q), in_blocks(k, v, here, size))
        grads = grads_of_sinks(params, top, total, D, options)
        return grads, like_input(x, delta_q, out_of_blocks(delta_k, t), out_of_blocks(delta_v, t))

    return Rule(name, init, forward, backward, options.domain(queries="3"))


def start(params: PyTree, q: Grouped, v: Array, options: Options) -> tuple[Grouped, Column, Column]:
    """Return o, the largest logit and the denominator before any key: those of sinks, if any."""
    o = jnp.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    column = o[..., :1] if v.shape[-1] else jnp.zeros((*q.shape[:-1], 1), q.dtype)
    if not options.sink:
        return o, jnp.full_like(column, -jnp.inf), column
    sinks = logits_of_sinks(params["sink"], column)
    top = lax.stop_gradient(sinks)
    return o, top, jnp.exp(sinks - top)


def finite(top: Column) -> Column:
    """Return the largest logits, and 0 where there is none yet."""
    return jnp.where(top == -jnp.inf, 0, top)


def in_blocks(
    k: Float[Array, "*batch h_kv t d"], v: Float[Array, "*batch h_kv t w"], here: Present, size: int
) -> Block:
    """Return k, v, which keys are present and the number of the first one, block by block."""
    *batch, _, t, _ = k.shape
    here = jnp.ones((*batch, t), bool) if here is None else here
    count = max(-(-t // size), 1)
    return (
        divided(k, -2, count, size),
        divided(v, -2, count, size),
        divided(here, -1, count, size),
        size * jnp.arange(count, dtype=jnp.int32),
    )


def divided(a: Array, axis: int, count: int, size: int) -> Array:
    """Return an array with one axis filled up with zeros and divided into blocks, which come first."""
    place = a.ndim + axis
    filled = [(0, count * size - a.shape[place] if i == place else 0) for i in range(a.ndim)]
    shape = *a.shape[:place], count, size, *a.shape[place + 1 :]
    return jnp.moveaxis(jnp.pad(a, filled).reshape(shape), place, 0)


def out_of_blocks(
    blocks: Float[Array, "count *batch h_kv size n"], t: int
) -> Float[Array, "*batch h_kv t n"]:
    """Return the first t rows of blocks, one after another."""
    count, *batch, size, n = blocks.shape
    return jnp.moveaxis(blocks, 0, -3).reshape(*batch, count * size, n)[..., :t, :]
