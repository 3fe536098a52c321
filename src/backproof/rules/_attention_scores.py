r"""The scores of attention, q kᵀ/√d of each query with each key, and which of them count.

Heads stand in groups here: q has shape (*batch, h_kv, group, s, d), and scores (*batch, h_kv, group, s, t). A
score that does not count is −∞, so that its exponential is 0.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from backproof.rules._attention_options import Options, Padding

Grouped = Float[Array, "*batch h_kv group s d"]
Scores = Float[Array, "*batch h_kv group s t"]
Present = Bool[Array, "*batch t"] | None


def in_groups(of_heads: Array, options: Options, axis: int) -> Array:
    """Return an array with its axis of heads divided into those of k and v and the group of each."""
    place = of_heads.ndim + axis
    heads, group = of_heads.shape[place] // options.group, options.group
    return of_heads.reshape(*of_heads.shape[:place], heads, group, *of_heads.shape[place + 1 :])


def out_of_groups(grouped: Array, axis: int) -> Array:
    """Return an array with one axis of heads; `axis` is where it is to stand."""
    place = grouped.ndim - 1 + axis
    heads, group = grouped.shape[place : place + 2]
    return grouped.reshape(*grouped.shape[:place], heads * group, *grouped.shape[place + 2 :])


def scale_of(q: Grouped) -> float:
    """Return 1/√d, which keeps the variance of a sum of d products at 1."""
    return max(q.shape[-1], 1) ** -0.5


def scores(q: Grouped, k: Float[Array, "*batch h_kv t d"], options: Options) -> Scores:
    """Return q kᵀ/√d, or c · tanh of it divided by c."""
    s = scale_of(q) * jnp.einsum("...hgsd,...htd->...hgst", q, k)
    return s if options.soft_cap is None else options.soft_cap * jnp.tanh(s / options.soft_cap)


def through_cap(delta_s: Scores, s: Scores, options: Options) -> Scores:
    """Return the gradient by the scores before the cap: (1 − tanh²) times that by the scores s after it."""
    if options.soft_cap is None:
        return delta_s
    a = s / options.soft_cap
    return delta_s * ((1 - a) * (1 + a))


def present(padding: Padding | None, t: int) -> Present:
    """Return which keys are no padding, from a mask or from lengths; None if all are present."""
    if padding is None or padding.dtype == jnp.bool_:
        return padding
    keys = lax.broadcasted_iota(jnp.int32, (*padding.shape, t), padding.ndim)
    return keys < padding.astype(jnp.int32)[..., None]  # a uint8 cannot number 300 keys


def counting(s: Scores, here: Present, options: Options, ahead: int, first: int | Array = 0) -> Scores:
    """Return the scores with −∞ where a query does not see a key.

    Args:
        s: the scores of the queries with some keys that follow one another.
        here: which of these keys are present.
        options: the options.
        ahead: t − s, how many keys there are more than queries: query i stands at key i + t − s.
        first: the number of the first of these keys.
    """
    if here is None and options.window is None and not options.causal:
        return s
    rows, columns = (lax.broadcasted_iota(jnp.int32, s.shape[-2:], axis) for axis in (0, 1))
    back = rows + ahead - (columns + first)
    seen = back >= 0 if options.causal else jnp.ones_like(back, bool)
    if options.window is not None:
        seen &= jnp.abs(back) < options.window
    seen = jnp.broadcast_to(seen, s.shape)
    if here is not None:
        seen &= jnp.broadcast_to(here[..., None, None, None, :], s.shape)
    return jnp.where(seen, s, -jnp.inf)


def logits_of_sinks(sink: Float[Array, " h"], like: Float[Array, "*batch h_kv group s 1"]) -> Array:
    """Return the sink of each head as one more column of scores."""
    heads = sink.astype(like.dtype).reshape(*like.shape[-4:-2], 1, 1)
    return jnp.broadcast_to(heads, like.shape)
