import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from laws_of_rules import (
    EXTREMES,
    ORDINARY,
    assert_caught_by_reference_alone,
    assert_is,
    assert_is_exactly,
    consistent,
    forward_of,
    points,
)

from agreement import assert_value
from backproof.rules import gelu, gelu_tanh


def jax_gelu(z):
    return jax.nn.gelu(z, approximate=False)


def jax_gelu_tanh(z):
    return jax.nn.gelu(z, approximate=True)


def tanh_form(z, c):
    return z / 2 * (1 + jnp.tanh((2 / jnp.pi) ** 0.5 * (z + c * z**3)))


def mpmath_tanh_form(z):
    return z / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3)))


@given(points())
def test_gelu_is_that_of_jax(point):
    assert_is(gelu, jax_gelu, *point)


@given(points())
def test_gelu_tanh_is_that_of_jax(point):
    assert_is(gelu_tanh, jax_gelu_tanh, *point)


def test_gelu_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(gelu, lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2)


def test_gelu_is_z_times_the_normal_distribution_of_scipy():
    z = np.array(EXTREMES + ORDINARY)
    assert_value(forward_of(gelu), (z,), z * scipy.stats.norm.cdf(z))


def test_gelu_tanh_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(gelu_tanh, mpmath_tanh_form)


def test_gelu_tanh_is_exact_on_the_left_tail_where_one_plus_tanh_is_zero():
    assert_is_exactly(gelu_tanh, mpmath_tanh_form, (-21.0, -15.0, -10.0, -6.0))


def test_the_two_forms_of_gelu_are_told_apart():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(gelu_tanh, jax_gelu, ORDINARY)


def test_another_constant_in_the_tanh_form_is_caught():
    other = consistent("other constant", lambda z: tanh_form(z, 0.044716))
    assert_caught_by_reference_alone(other, jax_gelu_tanh, ORDINARY)


def test_another_width_of_the_normal_distribution_is_caught():
    other = consistent("other width", lambda z: z * jax.scipy.special.erfc(-z / 1.4142) / 2)
    assert_caught_by_reference_alone(other, jax_gelu, ORDINARY)
