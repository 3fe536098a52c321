import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import (
    EXTREMES,
    ORDINARY,
    assert_caught_by_reference_alone,
    assert_is,
    by_hand,
    consistent,
    points,
)

from backproof.errors import UsageError
from backproof.rules import leaky_relu, leaky_relu_with, relu

AWAY_FROM_THE_KINK = [z for z in EXTREMES + ORDINARY if z != 0]


@given(points(), st.sampled_from([0.01, 0.3, 1.0, 2.0, 0.0, -0.5]))
def test_leaky_relu_is_that_of_jax(point, slope):
    assert_is(leaky_relu_with(slope), lambda z: jax.nn.leaky_relu(z, slope), *point)


def test_the_slope_is_a_hundredth_unless_chosen():
    assert_is(leaky_relu, jax.nn.leaky_relu, AWAY_FROM_THE_KINK)


@pytest.mark.parametrize("slope", [0.01, 1.0, -0.5])
def test_the_slope_at_the_kink_is_the_one_below_and_named(slope):
    rule = leaky_relu_with(slope)
    _, delta_z = by_hand(rule)(np.float32([-0.0, 0]), np.ones(2, np.float32))
    np.testing.assert_array_equal(delta_z, np.float32([slope, slope]))
    assert rule.at_kinks == f"slope {slope:g} at z = 0"


def test_slope_zero_is_relu_at_the_kink_too():
    assert_is(leaky_relu_with(0.0), jax.nn.relu, EXTREMES)
    assert leaky_relu_with(0.0).at_kinks == relu.at_kinks


def test_the_slope_is_right_where_the_value_underflows():
    tiny = np.float32([-1e-37])
    a, delta_z = by_hand(leaky_relu)(tiny, np.ones(1, np.float32))
    assert a * 0 == 0
    np.testing.assert_array_equal(delta_z, np.float32([0.01]))


def test_the_same_choice_is_the_same_rule():
    assert leaky_relu_with(0.1) is leaky_relu_with(0.1)
    assert leaky_relu.name == "leaky_relu"


@pytest.mark.parametrize("slope", [float("nan"), float("inf"), "0.1", None])
def test_a_slope_that_is_no_number_is_refused(slope):
    with pytest.raises(UsageError, match=r"leaky_relu_with: slope must be a finite number, but found slope="):
        leaky_relu_with(slope)


def test_another_slope_is_caught():
    tenth = consistent("tenth", lambda z: jax.nn.leaky_relu(z, 0.1))
    assert_caught_by_reference_alone(tenth, jax.nn.leaky_relu, ORDINARY)


def test_a_negative_slope_cannot_be_told_from_the_value():
    rule = leaky_relu_with(-0.5)
    mutant = rule._replace(forward=lambda _, z: (rule.forward((), z)[0],) * 2)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, lambda z: jax.nn.leaky_relu(z, -0.5), ORDINARY)
