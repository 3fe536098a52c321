import jax.numpy as jnp
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

from agreement import assert_agrees
from backproof.rules import sigmoid, tanh


@given(points())
def test_tanh_is_that_of_jax_numpy(point):
    assert_is(tanh, jnp.tanh, *point)


def test_tanh_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(tanh, mpmath.tanh)


@given(points())
def test_tanh_is_a_stretched_sigmoid(point):
    # tanh z = 2 σ(2z) − 1, and so its slope is 4 σ′(2z)
    def stretched(z, delta):
        a, slope = by_hand(sigmoid)(2 * z, 4 * delta)
        return 2 * a - 1, slope

    assert_agrees(by_hand(tanh), stretched, *point)


def test_lecuns_scaled_tanh_is_not_tanh():
    scaled = consistent("scaled", lambda z: 1.7159 * jnp.tanh(2 * z / 3))
    assert_caught_by_reference_alone(scaled, jnp.tanh, ORDINARY)


def test_sech_squared_of_a_for_z_is_caught():
    mutant = tanh._replace(backward=lambda _, a, delta: ((), delta * (1 - jnp.tanh(a) ** 2)))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, jnp.tanh, np.array(EXTREMES))
