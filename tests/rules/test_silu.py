import jax
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

from backproof.rules import silu


@given(points())
def test_silu_is_that_of_jax(point):
    assert_is(silu, jax.nn.silu, *point)


def test_silu_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(silu, lambda z: z / (1 + mpmath.exp(-z)))


def test_the_sigmoid_form_of_gelu_is_not_silu():
    steeper = consistent("steeper", lambda z: z * jax.nn.sigmoid(1.702 * z))
    assert_caught_by_reference_alone(steeper, jax.nn.silu, ORDINARY)


def test_a_slope_without_its_second_term_is_caught():
    mutant = silu._replace(backward=lambda _, z, delta: ((), delta * jax.nn.sigmoid(z)))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, jax.nn.silu, ORDINARY)
