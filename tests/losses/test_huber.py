import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import assert_caught_by_reference_alone, assert_is, consistent, points, real, summed

from backproof.errors import UsageError
from backproof.losses import half_squared_error, huber, huber_with

WHERE_THE_PIECES_MEET = np.array([-2.0, -1, -0.5, 0, 0.5, 1, 2]), np.zeros(7)
EXTREME = np.array([-800.0, -40, -1e-9, 0, 40, 800]), np.array([0.0, 1, 0, 0, 40, -800])


def optax_loss(delta):
    return summed(lambda y, t: optax.losses.huber_loss(y, t, delta=delta))


@given(points(real), st.sampled_from([1.0, 0.5, 2.0]))
def test_huber_is_that_of_optax(point, delta):
    assert_is(huber_with(delta), optax_loss(delta), *point)


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("point", [WHERE_THE_PIECES_MEET, EXTREME])
def test_huber_is_that_of_optax_where_the_pieces_meet_and_at_extremes(point, delta):
    assert_is(huber_with(delta), optax_loss(delta), *point)


def test_huber_bends_at_one_unless_chosen_and_has_no_kink():
    assert_is(huber, optax_loss(1.0), *EXTREME)
    assert (huber.name, huber.at_kinks) == ("huber", None)


def test_the_same_choice_is_the_same_loss():
    assert huber_with(0.5) is huber_with(0.5)


def test_half_the_squared_error_is_caught_far_from_the_target_only():
    near = np.array([0.5, -0.25]), np.zeros(2)
    assert_is(half_squared_error, optax_loss(1.0), *near)
    assert_caught_by_reference_alone(half_squared_error, optax_loss(1.0), *EXTREME)


def test_another_bend_is_caught():
    mutant = consistent("other bend", optax_loss(1.001))
    assert_caught_by_reference_alone(mutant, optax_loss(1.0), *EXTREME)


@pytest.mark.parametrize("delta", [0, -1.0, float("nan"), float("inf"), "1", None])
def test_a_bend_that_is_not_positive_is_refused(delta):
    with pytest.raises(
        UsageError, match=r"huber_with: delta must be a finite number above 0, but found delta="
    ):
        huber_with(delta)


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(UsageError, match=r"huber_with\(1\): the target must have shape \(2, 3\), but found"):
        huber.forward(np.ones((2, 3), "f4"), np.ones((2, 1), "f4"))
