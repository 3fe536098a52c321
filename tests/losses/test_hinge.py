import jax.numpy as jnp
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
    signs,
    summed,
)

from agreement import assert_value
from backproof.errors import UsageError
from backproof.losses import hinge

optax_loss = summed(optax.losses.hinge_loss)
EXTREME = np.array([-800.0, -40, -0.5, 0, 0.5, 40, 800] * 2), np.repeat([-1.0, 1.0], 7)


@given(points(signs))
def test_hinge_is_that_of_optax(point):
    assert_is(hinge, optax_loss, *point)


@given(points(real))
def test_the_formula_holds_for_every_real_target(point):
    assert_is(hinge, optax_loss, *point)


def test_hinge_is_that_of_optax_at_extremes():
    assert_is(hinge, optax_loss, *EXTREME)


def test_the_slope_on_the_margin_is_the_one_named():
    y = t = np.array([-1.0, 1.0])
    assert_value(by_hand(hinge), (y, t), (0.0, np.zeros(2)))
    assert hinge.at_kinks == "slope 0 where target * prediction = 1"


def test_the_slope_of_optax_is_caught_on_the_margin():
    y = t = np.array([-1.0, 1.0])
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(hinge, optax_loss, y, t)


def test_a_margin_of_two_is_caught():
    wider = consistent("wider", lambda y, t: jnp.maximum(0, 2 - t * y).sum())
    assert_caught_by_reference_alone(wider, optax_loss, *EXTREME)


def test_a_gradient_that_forgets_the_margin_is_caught():
    mutant = hinge._replace(backward=lambda residuals: -residuals[1])
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, optax_loss, *EXTREME)


def test_a_target_of_another_rank_is_refused():
    with pytest.raises(
        UsageError, match=r"hinge: the target must have shape \(2, 3\), but found target.shape=\(2,\)"
    ):
        hinge.forward(np.ones((2, 3), "f4"), np.ones(2, "f4"))
