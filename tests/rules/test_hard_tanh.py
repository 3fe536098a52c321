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

from backproof.rules import hard_tanh

AT_THE_KINKS = (-1.0, 1.0)


@given(points())
def test_hard_tanh_is_that_of_jax(point):
    assert_is(hard_tanh, jax.nn.hard_tanh, *point)


def test_hard_tanh_is_that_of_jax_at_the_kinks_and_at_extremes():
    assert_is(hard_tanh, jax.nn.hard_tanh, AT_THE_KINKS + EXTREMES)


def test_the_slope_at_the_kinks_is_the_one_named():
    _, delta_z = by_hand(hard_tanh)(np.float32(AT_THE_KINKS), np.float32([3, 5]))
    np.testing.assert_array_equal(delta_z, [3, 5])
    assert hard_tanh.at_kinks == "slope 1 at z = -1 and z = 1"


def test_the_value_cannot_tell_a_kink_from_beyond():
    mutant = hard_tanh._replace(forward=lambda _, z: (jax.nn.hard_tanh(z),) * 2)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, jax.nn.hard_tanh, EXTREMES)


def test_the_slope_of_clip_is_caught_at_the_kinks():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(hard_tanh, lambda z: jnp.clip(z, -1, 1), AT_THE_KINKS)


def test_bounds_of_two_are_caught():
    wider = consistent("wider", lambda z: 2 * jax.nn.hard_tanh(z / 2))
    assert_caught_by_reference_alone(wider, jax.nn.hard_tanh, ORDINARY)
