import jax.numpy as jnp
import mpmath
import pytest
from hypothesis import given
from laws_of_rules import (
    ORDINARY,
    assert_caught_by_reference_alone,
    assert_is,
    assert_is_exactly,
    consistent,
    points,
)

from backproof.rules import sin


@given(points())
def test_sin_is_that_of_jax_numpy(point):
    assert_is(sin, jnp.sin, *point)


def test_sin_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(sin, mpmath.sin)


def test_the_value_does_not_determine_the_slope():
    mutant = sin._replace(backward=lambda _, z, delta: ((), delta * (1 - jnp.sin(z) ** 2) ** 0.5))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, jnp.sin, ORDINARY)


def test_a_sine_in_degrees_is_caught():
    degrees = consistent("degrees", lambda z: jnp.sin(jnp.deg2rad(z)))
    assert_caught_by_reference_alone(degrees, jnp.sin, ORDINARY)
