import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
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
from backproof.rules import relu, relu_with


@given(points())
def test_relu_is_that_of_jax(point):
    assert_is(relu, jax.nn.relu, *point)


def test_relu_is_that_of_jax_at_the_kink_and_at_extremes():
    assert_is(relu, jax.nn.relu, EXTREMES)


def test_relu_with_half_is_the_maximum_of_jax_numpy():
    assert_is(relu_with(0.5), lambda z: jnp.maximum(z, 0), EXTREMES + ORDINARY)


def test_relu_with_one_is_the_gate_of_document_003():
    assert_is(relu_with(1.0), lambda z: jnp.where(z >= 0, z, 0), EXTREMES + ORDINARY)


@pytest.mark.parametrize("slope", [0, 0.25, 0.5, 1])
def test_the_slope_at_the_kink_is_the_one_chosen_and_named(slope):
    _, delta_z = by_hand(relu_with(slope))(np.float32([-1, -0.0, 0, 1]), np.full(4, 2, np.float32))
    np.testing.assert_array_equal(delta_z, [0, 2 * slope, 2 * slope, 2])
    assert relu_with(slope).at_kinks == f"slope {slope:g} at z = 0"
    assert relu.at_kinks == "slope 0 at z = 0"


def test_the_same_choice_is_the_same_rule():
    assert relu_with(0.5) is relu_with(0.5)


@pytest.mark.parametrize("slope", [-0.1, 1.5, float("nan"), "0", None])
def test_a_slope_that_is_no_subgradient_is_refused(slope):
    with pytest.raises(UsageError, match=rf"from 0 to 1, but found slope_at_zero={slope!r}; pass"):
        relu_with(slope)


def test_another_gate_is_caught_at_the_kink():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(relu_with(1.0), jax.nn.relu, EXTREMES)


def test_the_size_of_z_is_not_relu():
    assert_caught_by_reference_alone(consistent("abs", jnp.abs), jax.nn.relu, ORDINARY)
