"""Bugs from public projects in the formula: a lost factor, term or sign, or a forgotten sum."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, Int

from backproof.arguments import array, integers
from backproof.selftest.case import Args, Cotangents, by_vjp

# Batch normalisation over the rows: mean and variance depend on x too.


def _standardised(x: Float[Array, "n c"]) -> tuple[Float[Array, "n c"], Float[Array, " c"]]:
    centred = x - x.mean(0)
    scale = 1 / jnp.sqrt((centred * centred).mean(0) + 1e-5)
    return centred * scale, scale


def _batch_norm(
    x: Float[Array, "n c"], gain: Float[Array, " c"], shift: Float[Array, " c"]
) -> Float[Array, "n c"]:
    return _standardised(x)[0] * gain + shift


def _batch_norm_of_constant_statistics(args: Args, ct: Array) -> Cotangents:
    x, gain, _ = args
    unit, scale = _standardised(x)
    return ct * gain * scale, (ct * unit).sum(0), ct.sum(0)


def _batch_norm_pullback(args: Args, ct: Array) -> Cotangents:
    x, gain, _ = args
    unit, scale = _standardised(x)
    delta = ct * gain
    along_mean, along_variance = delta.mean(0), unit * (delta * unit).mean(0)
    return scale * (delta - along_mean - along_variance), (ct * unit).sum(0), ct.sum(0)


# A bound of clip is an argument like any other.


def _clip(x: Float[Array, " n"], low: Float[Array, " n"], high: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.minimum(jnp.maximum(x, low), high)


def _clip_of_constant_bounds(args: Args, ct: Array) -> Cotangents:
    x, low, high = args
    return jnp.where((low < x) & (x < high), ct, 0), jnp.zeros_like(low), jnp.zeros_like(high)


def _clip_pullback(args: Args, ct: Array) -> Cotangents:
    x, low, high = args
    return tuple(jnp.where(active, ct, 0) for active in ((low <= x) & (x <= high), x < low, x > high))


# ∂(re + i·im)/∂im = i; JAX's cotangents are not conjugated, so its real part is −Im(ct).


def _complex(re: Float[Array, " n"], im: Float[Array, " n"]) -> Complex[Array, " n"]:
    return lax.complex(re, im)


# sin(x)·y, from a tutorial on custom rules.


def _sine_times(x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.sin(x) * y


def _sine_times_of_wrong_sign(args: Args, ct: Array) -> Cotangents:
    x, y = args
    return jnp.cos(x) * y * ct, -jnp.sin(x) * ct


def _sine_times_pullback(args: Args, ct: Array) -> Cotangents:
    x, y = args
    return jnp.cos(x) * y * ct, jnp.sin(x) * ct


# Softmax of each row.


def _softmax(x: Float[Array, "b n"]) -> Float[Array, "b n"]:
    weight = jnp.exp(x - x.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def _softmax_pullback(args: Args, ct: Array) -> Cotangents:
    p = _softmax(*args)
    return (p * (ct - (p * ct).sum(-1, keepdims=True)),)


# where(chosen, x, constant): the cotangent flows where x was taken.


def _or_constant(chosen: Int[Array, " n"], x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.where(chosen == 1, x, -1.0)


# A row added to every row of a matrix: its cotangent is the sum over the rows.


def _add_row(x: Float[Array, "m n"], row: Float[Array, " n"]) -> Float[Array, "m n"]:
    return x + row


# The summed log density of normal variables: a mean for each column, a deviation for each row.


def _log_density(
    x: Float[Array, "m n"], mean: Float[Array, " n"], deviation: Float[Array, "m 1"]
) -> Float[Array, ""]:
    unit = (x - mean) / deviation
    return -(jnp.square(unit) / 2 + jnp.log(deviation) + jnp.log(2 * jnp.pi) / 2).sum()


def _log_density_of_each(args: Args, ct: Array) -> Cotangents:
    """Return the cotangents for mean and deviation of each entry, not yet summed."""
    x, mean, deviation = args
    unit = (x - mean) / deviation
    return -ct * unit / deviation, ct * unit / deviation, ct * (jnp.square(unit) - 1) / deviation


def _log_density_summed_over_all(args: Args, ct: Array) -> Cotangents:
    return tuple(jnp.full_like(a, d.sum()) for a, d in zip(args, _log_density_of_each(args, ct), strict=True))


def _log_density_pullback(args: Args, ct: Array) -> Cotangents:
    delta_x, delta_mean, delta_deviation = _log_density_of_each(args, ct)
    return delta_x, delta_mean.sum(0), delta_deviation.sum(1, keepdims=True)


# The expectation after a controlled rotation: frequencies ½ and 1 in the angle, so that two shifts of it do
# not determine the slope, and four do.

FOUR_TERMS = ((2**0.5 + 1) / 2**2.5, (2**0.5 - 1) / 2**2.5)


def _expectation(angle: Float[Array, " n"], start: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.cos(angle / 2) + (jnp.cos(start) + jnp.cos(start + angle)) / 2


def _shifted(args: Args, by: float) -> Float[Array, " n"]:
    angle, start = args
    return _expectation(angle + by, start) - _expectation(angle - by, start)


def _slope_in_start(args: Args) -> Float[Array, " n"]:
    angle, start = args
    return -(jnp.sin(start) + jnp.sin(start + angle)) / 2


def _expectation_by_two_terms(args: Args, ct: Array) -> Cotangents:
    return ct * _shifted(args, jnp.pi / 2) / 2, ct * _slope_in_start(args)


def _expectation_pullback(args: Args, ct: Array) -> Cotangents:
    near, far = FOUR_TERMS
    slope = near * _shifted(args, jnp.pi / 2) - far * _shifted(args, 3 * jnp.pi / 2)
    return ct * slope, ct * _slope_in_start(args)


def _some_rows(x: Array) -> bool:
    return x.shape[0] >= 1


CASES = (
    by_vjp(
        "batch norm with statistics taken as constant", "missing-factor", "facebookresearch/CrypTen#143",
        _batch_norm,
        [
            array("n c", low=-10, high=10, where=_some_rows),
            array("c", low=-3, high=3),
            array("c", low=-3, high=3),
        ],
        wrong=_batch_norm_of_constant_statistics, right=_batch_norm_pullback,
    ),
    by_vjp(
        "clip with bounds taken as constant", "missing-factor", "Theano/Theano#1010",
        _clip,
        [array("n", low=-4, high=4), array("n", low=-2, high=-0.5), array("n", low=0.5, high=2)],
        wrong=_clip_of_constant_bounds, right=_clip_pullback,
    ),
    by_vjp(
        "sign of the imaginary part", "missing-factor", "EnzymeAD/Reactant.jl#2294",
        _complex,
        [array("n", low=-10, high=10), array("n", low=-10, high=10)],
        wrong=lambda _, ct: (ct.real, ct.imag), right=lambda _, ct: (ct.real, -ct.imag),
    ),
    by_vjp(
        "sign in a documented rule", "missing-factor", "jax-ml/jax#3213",
        _sine_times,
        [array("n", low=-10, high=10), array("n", low=-10, high=10)],
        wrong=_sine_times_of_wrong_sign, right=_sine_times_pullback,
    ),
    by_vjp(
        "softmax hands its cotangent through", "missing-factor", "pjreddie/darknet#96",
        _softmax,
        [array("b n", low=-30, high=30)],
        wrong=lambda _, ct: (ct,), right=_softmax_pullback,
    ),
    by_vjp(
        "inverted mask of where", "missing-factor", "apache/mxnet#17893",
        _or_constant,
        [integers("n", 0, 1), array("n", low=-10, high=10)],
        wrong=lambda args, ct: (None, jnp.where(args[0] == 1, 0, ct)),
        right=lambda args, ct: (None, jnp.where(args[0] == 1, ct, 0)),
    ),
    by_vjp(
        "broadcast row not summed", "broadcast", "apache/tvm#2465",
        _add_row,
        [array("m n", low=-10, high=10), array("n", low=-10, high=10)],
        wrong=lambda _, ct: (ct, ct), right=lambda _, ct: (ct, ct.sum(0)),
    ),
    by_vjp(
        "normal density summed over every axis", "broadcast", "probcomp/Gen.jl#432",
        _log_density,
        [array("m n", low=-10, high=10), array("n", low=-10, high=10), array("m 1", low=0.1, high=10)],
        wrong=_log_density_summed_over_all, right=_log_density_pullback,
    ),
    by_vjp(
        "two shifts for two frequencies", "missing-factor", "PennyLaneAI/pennylane#1264",
        _expectation,
        [array("n", low=-6, high=6), array("n", low=-6, high=6)],
        wrong=_expectation_by_two_terms, right=_expectation_pullback,
    ),
    by_vjp(
        "sign differentiated as if it were abs", "missing-factor", "NVIDIA/warp#1466",
        jnp.sign,
        [array("n", low=-100, high=100)],
        wrong=lambda args, ct: (ct * jnp.sign(args[0]),), right=lambda _, ct: (jnp.zeros_like(ct),),
    ),
)  # fmt: skip
