"""The root mean square norm against its sums written out, and against autodiff of a plain form."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from laws_of_rules import by_autodiff_with, by_hand_with, rows_with_params

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.rules import rms_norm, rms_norm_with

EPSILON = 1e-6
NAMES = ("gain",)


def plain(params, x):
    root = jnp.linalg.norm(x, axis=-1, keepdims=True) ** 2 / x.shape[-1]
    return jnp.einsum("i,...i->...i", params["gain"], x) * jax.lax.rsqrt(root + EPSILON)


BY_AUTODIFF = by_autodiff_with(plain)


def exactly(row, gain, delta, epsilon):
    """Return y, ∂L/∂gain and δx of one row, from the Jacobian of each number by each, in mpmath."""
    n = len(row)
    r = mpmath.sqrt(mpmath.fsum(x**2 for x in row) / n + epsilon)

    def slope(j, i):  # ∂(x_j/r)/∂x_i
        return (i == j) / r - row[j] * row[i] / (n * r**3)

    delta_x = [mpmath.fsum(delta[j] * gain[j] * slope(j, i) for j in range(n)) for i in range(n)]
    y = [g * x / r for g, x in zip(gain, row, strict=True)]
    return y, [d * x / r for d, x in zip(delta, row, strict=True)], delta_x


@given(rows_with_params(NAMES))
def test_it_is_the_plain_form_and_the_gain_is_summed_over_every_batch_axis(point):
    assert_agrees(by_hand_with(rms_norm), BY_AUTODIFF, *point)


@pytest.mark.parametrize(
    "row", [[1.0, -2.0, 4.0], [3.0, 3.0, 3.0], [0.0, 0.0], [1e3, -1e3], [1e-4, 2e-4, 3e-4]]
)
def test_it_is_its_jacobian_written_out(row):
    gain, delta = [0.5, -1.5, 2.0][: len(row)], [2.0, 1.0, -0.5][: len(row)]
    with mpmath.workdps(60):
        y, grad_gain, delta_x = exactly(*([*map(mpmath.mpf, v)] for v in (row, gain, delta)), EPSILON)
    expected = np.array(y, float), ({"gain": np.array(grad_gain, float)}, np.array(delta_x, float))
    point = {"gain": np.array(gain)}, np.array(row), np.array(delta)
    assert_value(by_hand_with(rms_norm), point, expected)


MUTANTS = {
    "the path through the root left out": lambda x, scale, gain, d: gain * d * scale,
    "a sum for a mean": lambda x, scale, gain, d: (
        (gain * d - x * scale * (gain * d * x * scale).sum(-1, keepdims=True)) * scale
    ),
    "the gain outside of the sum, as if it were one number": lambda x, scale, gain, d: (
        (gain * d - gain * x * scale * (d * x * scale).mean(-1, keepdims=True)) * scale
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    def backward(params, kept, delta):
        grads, _ = rms_norm.backward(params, kept, delta)
        return grads, MUTANTS[name](*kept, params["gain"][None], delta)

    rng = np.random.default_rng(0)
    point = {"gain": rng.standard_normal(4)}, rng.standard_normal((2, 4)), rng.standard_normal((2, 4))
    assert_agrees(by_hand_with(rms_norm), BY_AUTODIFF, *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(rms_norm._replace(backward=backward)), BY_AUTODIFF, *point)


def test_it_keeps_one_number_a_row_beside_its_input():
    x = jnp.ones((2, 4), jnp.bfloat16)
    y, (kept, scale) = rms_norm.forward({"gain": jnp.ones(4)}, x)
    assert kept is x
    assert (scale.shape, scale.dtype, y.dtype) == ((2, 1), jnp.float32, jnp.bfloat16)


def test_numbers_whose_squares_overflow_float16_have_a_gradient():
    params = {"gain": jnp.ones(2, jnp.float16)}
    y, kept = rms_norm.forward(params, jnp.array([1000.0, -1000.0], jnp.float16))
    assert y.tolist() == [1, -1]
    assert rms_norm.backward(params, kept, jnp.array([1.0, -1.0], jnp.float16))[1].tolist() == [0, 0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"rms_norm_with: epsilon must be a finite number"):
        rms_norm_with("small")
    with pytest.raises(UsageError, match=r"gain must have shape \(4,\)"):
        rms_norm.forward({"gain": jnp.ones(3)}, jnp.ones((2, 4)))
    with pytest.raises(UsageError, match="the input must be one array with at least one axis"):
        rms_norm.init(jax.random.key(0), jax.ShapeDtypeStruct((), "float32"))
