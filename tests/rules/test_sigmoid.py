import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given
from laws_of_rules import (
    EXTREMES,
    ORDINARY,
    assert_caught_by_reference_alone,
    assert_is,
    assert_is_exactly,
    by_hand,
    consistent,
    points,
)

from backproof.rules import sigmoid


@given(points())
def test_sigmoid_is_that_of_jax(point):
    assert_is(sigmoid, jax.nn.sigmoid, *point)


def test_sigmoid_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(sigmoid, lambda z: 1 / (1 + mpmath.exp(-z)))


def test_the_slope_is_lost_only_where_the_value_has_rounded_to_one():
    with jax.enable_x64(True):
        a, slope = map(np.asarray, by_hand(sigmoid)(np.array([36.0, 40.0, -40.0]), np.ones(3)))
    assert a[0] < 1 < slope[0] * 1e16
    assert (a[1], slope[1]) == (1, 0)
    assert slope[2] == a[2] > 0


def test_a_sigmoid_of_another_steepness_is_caught():
    steeper = consistent("steeper", lambda z: jax.nn.sigmoid(1.0001 * z))
    assert_caught_by_reference_alone(steeper, jax.nn.sigmoid, ORDINARY)


def test_the_slope_at_a_for_the_slope_at_z_is_caught():
    mutant = sigmoid._replace(forward=lambda _, z: (jax.nn.sigmoid(z), z))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, jax.nn.sigmoid, EXTREMES)
