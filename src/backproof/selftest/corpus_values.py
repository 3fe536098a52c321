"""Bugs from public projects at special values and shapes: zeros, ties, huge numbers, indices, one element."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.arguments import array, integers
from backproof.selftest.case import IMPRECISE, Args, Cotangents, by_vjp

KEEP = 1.25
SEGMENTS = 3
LOWEST, HIGHEST = -4, 3


# Cumulative product: ∂y_j/∂x_i is the product of the x_k, k ≤ j, without x_i.


def _cumulative_product(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.cumprod(x)


def _cumulative_product_by_division(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    tail = lax.cumsum(ct * jnp.cumprod(x), reverse=True)
    return (jnp.where(x == 0, 0, tail / jnp.where(x == 0, 1, x)),)


def _cumulative_product_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    n = x.shape[0]
    others = jnp.where(jnp.eye(n, dtype=bool), 1, x[None, :])
    return (jnp.triu(jnp.cumprod(others, axis=1)) @ ct,)


# Dropout with a given mask: y / x does not tell the mask where x = 0.


def _dropout(x: Float[Array, " n"], mask: Int[Array, " n"]) -> Float[Array, " n"]:
    return x * mask * KEEP


def _dropout_by_ratio(args: Args, ct: Array) -> Cotangents:
    x, mask = args
    nonzero = jnp.where(x == 0, 1, x)
    return ct * jnp.where(x == 0, 1, _dropout(nonzero, mask) / nonzero), None


# log(eᵃ + eᵇ) is smooth where a = b, though max(a, b) and |a − b| are not. Where both are huge, its value
# loses log 2 to rounding, so that a slope computed from the value is wrong.


def _logaddexp(a: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    return b + jax.nn.softplus(a - b)


def _logaddexp_from_its_parts(args: Args, ct: Array) -> Cotangents:
    """Return cotangents that take half the slope of max at a tie, but a full slope of |·|."""
    a, b = args
    share = (1 + jnp.sign(a - b)) / 2
    lean = jnp.where(a >= b, 1, -1) * jax.nn.sigmoid(-jnp.abs(a - b))
    return ct * (share - lean), ct * (1 - share + lean)


def _logaddexp_from_its_value(args: Args, ct: Array) -> Cotangents:
    a, b = args
    value = jnp.maximum(a, b) + jnp.log1p(jnp.exp(-jnp.abs(a - b)))
    return ct * jnp.exp(a - value), ct * jnp.exp(b - value)


def _logaddexp_pullback(args: Args, ct: Array) -> Cotangents:
    a, b = args
    return ct * jax.nn.sigmoid(a - b), ct * jax.nn.sigmoid(b - a)


# Sum into three segments; an index outside them drops its entry.


def _segment_sum(data: Float[Array, " m"], ids: Int[Array, " m"]) -> Float[Array, " 3"]:
    member = jnp.arange(SEGMENTS)[:, None] == ids[None, :]
    return jnp.where(member, data[None, :], 0).sum(1)


def _gather(ids: Int[Array, " m"], ct: Float[Array, " 3"]) -> Float[Array, " m"]:
    return ct[jnp.clip(ids, 0, SEGMENTS - 1)]


def _segment_sum_pullback(args: Args, ct: Array) -> Cotangents:
    _, ids = args
    return jnp.where((ids >= 0) & (ids < SEGMENTS), _gather(ids, ct), 0), None


# Straight-through rounding to whole levels −4 … 3: every level that exists lets the cotangent through.


def _fake_quantise(x: Float[Array, " n"]) -> Float[Array, " n"]:
    level = lax.stop_gradient(jnp.round(x))
    straight_through = x + lax.stop_gradient(level - x)
    exists = (level >= LOWEST) & (level <= HIGHEST)
    return jnp.where(exists, straight_through, jnp.clip(level, LOWEST, HIGHEST))


def _fake_quantise_without_ends(args: Args, ct: Array) -> Cotangents:
    level = jnp.round(args[0])
    return (jnp.where((level > LOWEST) & (level < HIGHEST), ct, 0),)


def _fake_quantise_pullback(args: Args, ct: Array) -> Cotangents:
    level = jnp.round(args[0])
    return (jnp.where((level >= LOWEST) & (level <= HIGHEST), ct, 0),)


# The largest magnitude: tied entries share one unit of slope.


def _max_magnitude(x: Float[Array, " n"]) -> Float[Array, ""]:
    return jnp.abs(x).max()


def _max_magnitude_all_in_full(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    return (jnp.where(jnp.abs(x) == _max_magnitude(x), jnp.sign(x) * ct, 0),)


def _max_magnitude_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    tied = jnp.abs(x) == _max_magnitude(x)
    return (jnp.where(tied, jnp.sign(x) * ct / tied.sum(), 0),)


# Standard deviation of each row: a row of one element has deviation 0 whatever it holds, so the slope is 0.


def _centred(x: Float[Array, "b n"]) -> Float[Array, "b n"]:
    return x - x.mean(-1, keepdims=True)


def _row_deviation(x: Float[Array, "b n"]) -> Float[Array, " b"]:
    variance = jnp.square(_centred(x)).mean(-1)
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1)), 0)


def _row_deviation_undefined_at_zero(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    return (_centred(x) * (ct / _row_deviation(x))[:, None] / x.shape[1],)


def _row_deviation_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    deviation = _row_deviation(x)
    slope = jnp.where(deviation > 0, ct / jnp.where(deviation > 0, deviation, 1), 0)
    return (_centred(x) * slope[:, None] / x.shape[1],)


# The trace of an (n, m) matrix has min(n, m) terms.


def _trace(x: Float[Array, "n m"]) -> Float[Array, ""]:
    return jnp.trace(x)


def _trace_by_steps(args: Args, ct: Array) -> Cotangents:
    """Return ct at every (m + 1)-th entry of the flat matrix, which goes past the diagonal if n > m."""
    (x,) = args
    flat = jnp.zeros_like(x).ravel()
    return (flat.at[:: x.shape[1] + 1].set(ct).reshape(x.shape),)


def _some_entries(x: Array) -> bool:
    return x.shape[-1] >= 1


CASES = (
    by_vjp(
        "cumulative product by division", "edge-value", "tensorflow/tensorflow#119430",
        _cumulative_product,
        [array("n", low=-3, high=3, where=_some_entries)],
        wrong=_cumulative_product_by_division, right=_cumulative_product_pullback,
    ),
    by_vjp(
        "dropout mask read off the ratio", "edge-value", "kaldi-asr/kaldi#3890",
        _dropout,
        [array("n", low=-10, high=10), integers("n", 0, 1)],
        wrong=_dropout_by_ratio, right=lambda args, ct: (ct * args[1] * KEEP, None),
    ),
    by_vjp(
        "logaddexp at a tie", "edge-value", "jax-ml/jax#2107",
        _logaddexp,
        [array("n", low=-50, high=50), array("n", low=-50, high=50)],
        wrong=_logaddexp_from_its_parts, right=_logaddexp_pullback,
    ),
    by_vjp(
        "logaddexp of large arguments", "numerics", "stan-dev/math#1679",
        _logaddexp,
        [array("n", low=-1e30, high=1e30), array("n", low=-1e30, high=1e30)],
        wrong=_logaddexp_from_its_value, right=_logaddexp_pullback, expect=IMPRECISE,
    ),
    by_vjp(
        "segment sum of dropped entries", "edge-value", "jax-ml/jax#8634",
        _segment_sum,
        [array("m", low=-10, high=10), integers("m", -2, 5)],
        wrong=lambda args, ct: (_gather(args[1], ct), None), right=_segment_sum_pullback,
    ),
    by_vjp(
        "outermost levels of fake quantisation", "kink", "pytorch/ao#4806",
        _fake_quantise,
        [array("n", low=-8, high=8)],
        wrong=_fake_quantise_without_ends, right=_fake_quantise_pullback,
    ),
    by_vjp(
        "full slope for every tied magnitude", "kink", "pytorch/pytorch#41779",
        _max_magnitude,
        [array("n", low=-10, high=10)],
        wrong=_max_magnitude_all_in_full, right=_max_magnitude_pullback,
    ),
    by_vjp(
        "standard deviation of one element", "shape-edge", "tensorflow/tensorflow#56830",
        _row_deviation,
        [array("b n", low=-10, high=10, where=_some_entries)],
        wrong=_row_deviation_undefined_at_zero, right=_row_deviation_pullback,
    ),
    by_vjp(
        "trace of a tall matrix", "shape-edge", "pytorch/pytorch#171704",
        _trace,
        [array("n m", low=-10, high=10)],
        wrong=_trace_by_steps, right=lambda args, ct: (ct * jnp.eye(*args[0].shape, dtype=ct.dtype),),
    ),
)  # fmt: skip
