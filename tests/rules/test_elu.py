import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
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

from backproof.errors import UsageError
from backproof.rules import elu, elu_with


@given(points(), st.sampled_from([1.0, 0.5, 2.0]))
def test_elu_is_that_of_jax(point, alpha):
    assert_is(elu_with(alpha), lambda z: jax.nn.elu(z, alpha), *point)


@pytest.mark.parametrize("alpha", [1.0, 0.5, 2.0])
def test_elu_is_that_of_jax_at_the_kink_and_at_extremes(alpha):
    assert_is(elu_with(alpha), lambda z: jax.nn.elu(z, alpha), EXTREMES)


def test_elu_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(elu, lambda z: z if z > 0 else mpmath.expm1(z))


def test_elu_has_a_kink_only_where_alpha_is_not_one():
    assert elu.at_kinks is None
    assert elu_with(0.5).at_kinks == "slope 0.5 at z = 0"
    _, delta_z = by_hand(elu_with(0.5))(np.float32([-0.0, 0]), np.ones(2, np.float32))
    np.testing.assert_array_equal(delta_z, [0.5, 0.5])


def test_the_same_choice_is_the_same_rule():
    assert elu_with(0.5) is elu_with(0.5)
    assert elu.name == "elu"


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), float("inf"), "1", None])
def test_an_alpha_that_hides_the_sign_of_z_is_refused(alpha):
    with pytest.raises(
        UsageError, match=r"elu_with: alpha must be a finite number above 0, but found alpha="
    ):
        elu_with(alpha)


def test_another_alpha_is_caught():
    other = consistent("other", lambda z: jax.nn.elu(z, 0.999))
    assert_caught_by_reference_alone(other, jax.nn.elu, ORDINARY)


def test_a_slope_without_alpha_is_caught():
    rule = elu_with(0.5)
    mutant = rule._replace(backward=elu.backward)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, lambda z: jax.nn.elu(z, 0.5), ORDINARY)
