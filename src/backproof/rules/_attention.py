r"""Scaled dot product attention o = P v, P = softmax(q kᵀ/√d) along the keys, for each head.

Backward, from δo = ∂L/∂o, with δP = δo vᵀ and D = Σ_j P_j δP_j, one number for each query:
    δv = Pᵀ δo,   δs = P ⊙ (δP − D),   δq = δs k/√d,   δk = δsᵀ q/√d.
D is the path through the denominator. Gradients of query heads that share a head of k and v add up in δk and
δv. A cap c · tanh(s/c) multiplies δs by 1 − tanh². If the logarithm l of the denominator is an output too, D
− δl replaces D, since ∂l/∂s = P. A sink z adds exp(z) to the denominator and nothing to o: with p_z its
share, its gradient is −Σ p_z (D − δl).
Masked scores count as −∞. A query that sees no key gets o = 0; without a sink its l is −∞ and all of its
gradients are 0, with one its l is the sink.
Kept are x and two numbers for each query, the largest score and the denominator, from which P, of s · t
numbers, is made again. They stay apart, because their logarithm, once rounded, spoils digits of P where
scores are large. Everything is computed in float32 at least.
`attention_in_blocks` needs less memory.
Source: Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762 (without cap, sink and window; the
formulas here are derived in `docs/catalogue/attention.py`, the paper itself was not at hand).
Slips that people make: D left out, as if P had no denominator, or a factor 1/√d too many in δk; the report
leads to the line.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.rule import PyTree, Rule
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
    in_groups,
    logits_of_sinks,
    out_of_groups,
    present,
    scale_of,
    scores,
    through_cap,
)
from backproof.rules._rms_norm import at_least_float32

Column = Float[Array, "*batch h_kv group s 1"]


class Kept(NamedTuple):
    """Holds what the backward pass reads: x, and for each query the largest score and the denominator."""

    x: Input
    top: Column
    total: Column


@cache
def attention_with(
    *,
    causal: bool = False,
    window: int | None = None,
    soft_cap: float | None = None,
    sink: bool = False,
    padding: str | None = None,
    group: int = 1,
    lse: bool = False,
) -> Rule:
    """Return o = softmax(q kᵀ/√d) v with a choice of masks, scores, heads and outputs.

    x is (q, k, v), or (q, k, v, padding), with q of shape `(*batch, h, s, d)`, k `(*batch, h_kv, t, d)`, v
    `(*batch, h_kv, t, w)` and o `(*batch, h, s, w)`, where h = group · h_kv.

    Args:
        causal: whether query i sees no key after i + t − s, so that the last query sees the last key.
        window: a query sees only keys whose distance from its own, i + t − s, is below this number; None for
            all.
        soft_cap: c in c · tanh(score/c); None leaves the scores as they are.
        sink: whether each head has a parameter, `{"sink": (h,)}`, that is one more logit in the denominator.
        padding: "mask" if a boolean array `(*batch, t)` is True at the keys that count, "lengths" if
            an integer array `(*batch)` says how many of the first ones count; None if all do.
        group: how many query heads share one head of k and v.
        lse: whether y is (o, the logarithm of the denominator, of shape `(*batch, h, s)`).

    Raises:
        UsageError: an option is none of these.
    """
    options = checked(Options(causal, window, soft_cap, sink, padding, group, lse), "attention_with")
    name = f"attention_with({options})" if options != Options() else "attention"

    def init(key: jax.Array, x: PyTree) -> tuple[PyTree, PyTree]:
        return initial(x, options, name)

    def forward(params: PyTree, x: Input) -> tuple[PyTree, Kept]:
        require_input(x, options, name)
        require_sink(params, x[0], options, name)
        q, k, v, here = parts_of(x, options)
        s = counting(scores(q, k, options), here, options, k.shape[-2] - q.shape[-2])
        top = shift(jnp.max(s, axis=-1, keepdims=True, initial=-jnp.inf), params, options)
        e = jnp.exp(s - top)
        total = e.sum(axis=-1, keepdims=True) + of_sinks(params, top, options)
        divisor = no_zero(total)
        o = jnp.einsum("...hgst,...htw->...hgsw", e / divisor, v)
        return result(o, top, total, x, options), Kept(x, top, divisor)

    def backward(params: PyTree, kept: Kept, delta_y: PyTree) -> tuple[PyTree, PyTree]:
        x, top, total = kept
        q, k, v, here = parts_of(x, options)
        delta_o, delta_l = cotangents(delta_y, top, options)
        s = scores(q, k, options)
        p = jnp.exp(counting(s, here, options, k.shape[-2] - q.shape[-2]) - top) / total
        delta_p = jnp.einsum("...hgsw,...htw->...hgst", delta_o, v)
        D = (p * delta_p).sum(axis=-1, keepdims=True) - delta_l
        delta_s = scale_of(q) * through_cap(p * (delta_p - D), s, options)
        delta_q = jnp.einsum("...hgst,...htd->...hgsd", delta_s, k)
        delta_k = jnp.einsum("...hgst,...hgsd->...htd", delta_s, q)
        delta_v = jnp.einsum("...hgst,...hgsw->...htw", p, delta_o)
        grads = grads_of_sinks(params, top, total, D, options)
        return grads, like_input(x, delta_q, delta_k, delta_v)

    return Rule(name, init, forward, backward, options.domain())


def parts_of(x: Input, options: Options) -> tuple[Grouped, Array, Array, Present]:
    """Return q in groups, k and v, all in float32 at least, and which keys are present."""
    q, k, v = (leaf.astype(at_least_float32(leaf)) for leaf in x[:3])
    return in_groups(q, options, -3), k, v, present(x[3] if options.padding else None, k.shape[-2])


def shift(largest: Column, params: PyTree, options: Options) -> Column:
    """Return the largest logit of each query, its sink among them; 0 if it sees no key and has no sink."""
    top = jnp.maximum(largest, logits_of_sinks(params["sink"], largest)) if options.sink else largest
    return lax.stop_gradient(jnp.where(top == -jnp.inf, 0, top))  # P does not depend on the shift


def of_sinks(params: PyTree, top: Column, options: Options) -> Column:
    """Return what sinks add to the denominator."""
    return jnp.exp(logits_of_sinks(params["sink"], top) - top) if options.sink else jnp.zeros_like(top)


def no_zero(total: Column) -> Column:
    """Return the denominator, or 1 where a query sees no key and has no sink."""
    return jnp.where(total == 0, 1, total)


def result(o: Grouped, top: Column, total: Column, x: Input, options: Options) -> PyTree:
    """Return y, in the dtype of q: o, or o and the logarithm of the denominator."""
    o = out_of_groups(o, -3).astype(x[0].dtype)
    if not options.lse:
        return o
    return o, out_of_groups(top + jnp.log(total), -3)[..., 0].astype(o.dtype)


def cotangents(delta_y: PyTree, top: Column, options: Options) -> tuple[Grouped, Column]:
    """Return ∂L/∂o in groups, and ∂L/∂l, which is 0 if l is no output."""
    delta_o, delta_l = delta_y if options.lse else (delta_y, None)
    delta_o = in_groups(delta_o.astype(top.dtype), options, -3)
    if delta_l is None:
        return delta_o, jnp.zeros_like(top)
    return delta_o, in_groups(delta_l.astype(top.dtype)[..., None], options, -3)


def grads_of_sinks(params: PyTree, top: Column, total: Column, D: Column, options: Options) -> PyTree:
    """Return −Σ p_z (D − δl) for each head, summed over queries and the batch; D has −δl in it already."""
    if not options.sink:
        return ()
    per_query = out_of_groups(of_sinks(params, top, options) / total * D, -3)
    others = tuple(axis for axis in range(per_query.ndim) if axis != per_query.ndim - 3)
    return {"sink": -per_query.sum(axis=others).astype(params["sink"].dtype)}


def like_input(x: Input, delta_q: Grouped, delta_k: Array, delta_v: Array) -> PyTree:
    """Return the gradients by the leaves of x, each in its dtype; None for the padding."""
    deltas = out_of_groups(delta_q, -3), delta_k, delta_v
    narrow = tuple(delta.astype(leaf.dtype) for delta, leaf in zip(deltas, x, strict=False))
    return (*narrow, None) if len(x) > 3 else narrow


attention: Rule = attention_with()
