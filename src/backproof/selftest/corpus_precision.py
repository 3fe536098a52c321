"""Bugs from public projects in floating point: 0/0, overflow, cancellation, sums in a narrow dtype."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax
from jax.scipy.special import gammainc, gammaln
from jaxtyping import Array, Float, Int

from backproof.arguments import array, integers
from backproof.selftest.case import IMPRECISE, Args, Cotangents, by_vjp

# Euclidean norm: 0 is a subgradient at the zero vector, 0/0 is not.


def _root(square: Float[Array, ""]) -> Float[Array, ""]:
    """Return √square with slope 0 at 0."""
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _over(x: Float[Array, " n"], length: Float[Array, ""]) -> Float[Array, " n"]:
    """Return x / length, and 0 where the length is 0."""
    return jnp.where(length > 0, x / jnp.where(length > 0, length, 1), 0)


def _norm(x: Float[Array, " n"]) -> Float[Array, ""]:
    return _root(jnp.square(x).sum())


# log Σ exp over the entries that a mask keeps; exp of the others may overflow.


def _kept_logsumexp(a: Float[Array, " n"], mask: Int[Array, " n"]) -> Float[Array, ""]:
    shift = jnp.where(mask == 1, a, -jnp.inf).max()
    harmless = jnp.where(mask == 1, a - shift, 0)
    return shift + jnp.log(jnp.where(mask == 1, jnp.exp(harmless), 0).sum())


def _kept_logsumexp_overflowing(args: Args, ct: Array) -> Cotangents:
    a, mask = args
    weight = jnp.exp(a - jnp.where(mask == 1, a, -jnp.inf).max())
    total = jnp.where(mask == 1, weight, 0).sum()
    return weight * jnp.where(mask == 1, ct / total, 0), None


def _kept_logsumexp_pullback(args: Args, ct: Array) -> Cotangents:
    a, mask = args
    return ct * jnp.exp(jnp.where(mask == 1, a - _kept_logsumexp(a, mask), -jnp.inf)), None


def _masked_vector(n: int, seed: int) -> Args:
    """Return entries up to ±1000 and a mask that keeps at least one of them."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 2, n, dtype=np.int32)
    mask[rng.integers(n)] = 1
    return rng.uniform(-1000, 1000, n).astype(np.float32), mask


# xᵉ for a given exponent e ≥ 1, differentiated in x only.


def _power(x: Float[Array, " n"], exponent: Float[Array, " n"]) -> Float[Array, " n"]:
    return x**exponent


def _power_over_base(args: Args, ct: Array) -> Cotangents:
    x, exponent = args
    return ct * exponent * x**exponent / x, None


def _power_pullback(args: Args, ct: Array) -> Cotangents:
    x, exponent = args
    return ct * exponent * x ** (exponent - 1), None


# Standard deviation of a sample.


def _centred(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x - x.mean()


def _deviation(x: Float[Array, " n"]) -> Float[Array, ""]:
    return _root(jnp.square(_centred(x)).sum() / (x.shape[0] - 1))


def _deviation_with_epsilon(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    return (ct / (x.shape[0] - 1) * _centred(x) / (_deviation(x) + 1e-8),)


def _deviation_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    return (ct / (x.shape[0] - 1) * _over(_centred(x), _deviation(x)),)


# The regularised incomplete gamma function. An expansion in 1/x of its slope in a holds only where x is far
# beyond a.


def _incomplete_gamma(a: Float[Array, " 3"], x: Float[Array, " 3"]) -> Float[Array, " 3"]:
    return gammainc(a, x)


def _gamma_density(a: Float[Array, " 3"], x: Float[Array, " 3"]) -> Float[Array, " 3"]:
    return jnp.exp((a - 1) * jnp.log(x) - x - gammaln(a))


def _by_expansion(a: Float[Array, " 3"], x: Float[Array, " 3"]) -> Float[Array, " 3"]:
    """Return ten terms of 1 − x^(a−1) e^(−x) / Γ(a) · (1 + (a−1)/x + (a−1)(a−2)/x² + …)."""
    ratios = jnp.stack([(a - k) / x for k in range(1, 10)])
    return 1 - _gamma_density(a, x) * (1 + jnp.cumprod(ratios, axis=0).sum(0))


def _incomplete_gamma_expanded_too_early(args: Args, ct: Array) -> Cotangents:
    a, x = args
    _, expanded = jax.jvp(lambda a: _by_expansion(a, x), (a,), (jnp.ones_like(a),))
    slope = jnp.where((x >= 8) & (x >= a), expanded, lax.igamma_grad_a(a, x))
    return ct * slope, ct * _gamma_density(a, x)


def _incomplete_gamma_pullback(args: Args, ct: Array) -> Cotangents:
    a, x = args
    return ct * lax.igamma_grad_a(a, x), ct * _gamma_density(a, x)


# Rows of a table: the gradient of a row that is looked up often is a sum of many cotangents, which must
# be taken in float32 or wider.


def _at_least_float32(x: Array) -> Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _look_up(table: Float[Array, "v h"], ids: Int[Array, " m"]) -> Float[Array, "m h"]:
    return table[ids]


def _look_up_in_narrow_sums(args: Args, ct: Array) -> Cotangents:
    table, ids = args
    return jnp.zeros_like(table).at[ids].add(ct), None


def _look_up_pullback(args: Args, ct: Array) -> Cotangents:
    table, ids = args
    total = jnp.zeros_like(_at_least_float32(table)).at[ids].add(_at_least_float32(ct))
    return total.astype(table.dtype), None


# RMS normalisation: the gradient of the weight is a sum over all rows, taken in float32 or wider.


def _unit_rms(x: Float[Array, "n h"]) -> tuple[Float[Array, "n h"], Float[Array, "n 1"]]:
    wide = _at_least_float32(x)
    scale = 1 / jnp.sqrt(jnp.square(wide).mean(-1, keepdims=True) + 1e-5)
    return wide * scale, scale


def _rms_norm(x: Float[Array, "n h"], w: Float[Array, " h"]) -> Float[Array, "n h"]:
    return (_unit_rms(x)[0] * _at_least_float32(w)).astype(x.dtype)


def _rms_norm_pullback(args: Args, ct: Array) -> Cotangents:
    x, w = args
    unit, scale = _unit_rms(x)
    wide = _at_least_float32(ct)
    delta = wide * _at_least_float32(w)
    delta_x = scale * (delta - unit * (unit * delta).mean(-1, keepdims=True))
    return delta_x.astype(x.dtype), (wide * unit).sum(0).astype(w.dtype)


def _rms_norm_in_narrow_sums(args: Args, ct: Array) -> Cotangents:
    x, w = args
    terms = (ct * _unit_rms(x)[0].astype(x.dtype)).astype(w.dtype)
    total, _ = lax.scan(lambda so_far, term: (so_far + term, None), jnp.zeros_like(w), terms)
    return _rms_norm_pullback(args, ct)[0], total


def _some_rows(x: Array) -> bool:
    return x.shape[0] >= 1


def _some_columns(x: Array) -> bool:
    return x.shape[1] >= 1


def _two_entries(x: Array) -> bool:
    return x.shape[0] >= 2


CASES = (
    by_vjp(
        "norm of the zero vector", "nan", "pytorch/pytorch#2421",
        _norm,
        [array("n", low=-10, high=10)],
        wrong=lambda args, ct: (ct * args[0] / _norm(args[0]),),
        right=lambda args, ct: (ct * _over(args[0], _norm(args[0])),),
    ),
    by_vjp(
        "masked entry overflows", "nan", "jax-ml/jax#23842",
        _kept_logsumexp,
        st.builds(_masked_vector, st.sampled_from((1, 2, 3, 5)), st.integers(0, 2**32 - 1)),
        wrong=_kept_logsumexp_overflowing, right=_kept_logsumexp_pullback, expect=IMPRECISE,
    ),
    by_vjp(
        "power over its base", "nan", "awslabs/raf#47",
        _power,
        [array("n", low=0, high=5), array("n", low=1, high=4)],
        wrong=_power_over_base, right=_power_pullback, argnums=0,
    ),
    by_vjp(
        "epsilon in the backward pass only", "numerics", "Lightning-AI/lightning-thunder#1848",
        _deviation,
        [array("n", low=-10, high=10, where=_two_entries)],
        wrong=_deviation_with_epsilon, right=_deviation_pullback,
    ),
    by_vjp(
        "incomplete gamma expanded too early", "numerics", "stan-dev/math#3408",
        _incomplete_gamma,
        [array("3", low=0.5, high=30), array("3", low=0.1, high=60)],  # each size takes seconds to compile
        wrong=_incomplete_gamma_expanded_too_early, right=_incomplete_gamma_pullback, dtypes=("float32",),
    ),
    by_vjp(
        "look-up summed in a narrow dtype", "dtype", "apache/mxnet#17703",
        _look_up,
        [array("v h", low=-5, high=5, where=_some_rows), integers("m", 0, "v-1")],
        wrong=_look_up_in_narrow_sums, right=_look_up_pullback, expect=IMPRECISE,
    ),
    by_vjp(
        "weight of RMS norm summed in a narrow dtype", "dtype", "linkedin/Liger-Kernel#950",
        _rms_norm,
        [array("n h", low=-5, high=5, where=_some_columns), array("h", low=-3, high=3)],
        wrong=_rms_norm_in_narrow_sums, right=_rms_norm_pullback, expect=IMPRECISE,
    ),
)  # fmt: skip
