import numpy as np
import optax
import pytest
from hypothesis import given
from laws_of_losses import (
    assert_caught_by_reference_alone,
    assert_is,
    by_hand,
    consistent,
    points,
    real,
    summed,
)

from agreement import assert_value
from backproof.errors import UsageError
from backproof.losses import half_squared_error

optax_loss = summed(optax.losses.l2_loss)
SOME = np.array([[-800.0, -1, 0], [2, 40, 800]]), np.array([[-800.0, 1, 0], [-2, 0.5, 0.25]])


@given(points(real))
def test_half_squared_error_is_that_of_optax(point):
    assert_is(half_squared_error, optax_loss, *point)


def test_half_squared_error_is_that_of_optax_at_extremes():
    assert_is(half_squared_error, optax_loss, *SOME)


def test_it_is_zero_with_zero_gradient_at_the_target_and_in_an_empty_batch():
    at = np.array([1.5, -2.0, 0.0])
    assert_value(by_hand(half_squared_error), (at, at), (0.0, np.zeros(3)))
    assert_value(by_hand(half_squared_error), (at[:0], at[:0]), (0.0, np.zeros(0)))


def test_the_squared_error_without_the_half_is_caught():
    whole = consistent("whole", lambda y, t: ((y - t) ** 2).sum())
    assert_caught_by_reference_alone(whole, optax_loss, *SOME)


def test_a_gradient_of_the_other_sign_is_caught():
    mutant = half_squared_error._replace(backward=lambda error: -error)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, optax_loss, *SOME)


@pytest.mark.parametrize(
    ("prediction", "target", "text"),
    [
        (
            np.ones((2, 3), "f4"),
            np.ones(3, "f4"),
            r"must have shape \(2, 3\), but found target.shape=\(3,\); pass",
        ),
        (np.ones(3, "f4"), np.ones((3, 1), "f4"), r"must have shape \(3,\), but found target.shape=\(3, 1\)"),
        (
            np.ones(3, "f4"),
            np.ones(3, "i4"),
            r"the dtype of the prediction, float32, but found target.dtype=int32",
        ),
        (np.ones(3, "i4"), np.ones(3, "i4"), r"must be floating, but found x of dtype int32; convert"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(prediction, target, text):
    with pytest.raises(UsageError, match="^half_squared_error: the .*" + text):
        half_squared_error.forward(prediction, target)
