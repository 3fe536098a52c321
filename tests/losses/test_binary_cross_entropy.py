import jax
import jax.numpy as jnp
import mpmath
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
    probabilities,
    real,
    summed,
)

from agreement import assert_value
from backproof.errors import UsageError
from backproof.losses import binary_cross_entropy

optax_loss = summed(optax.losses.sigmoid_binary_cross_entropy)
LOGITS = (-800.0, -40.0, -20.0, -1.5, -0.0, 0.0, 0.25, 20.0, 40.0, 800.0)
SOME = np.array(LOGITS), np.resize([0.0, 1.0, 0.5, 0.1], len(LOGITS))


@given(points(probabilities))
def test_binary_cross_entropy_is_that_of_optax(point):
    assert_is(binary_cross_entropy, optax_loss, *point)


@given(points(real))
def test_the_formula_holds_for_every_real_target(point):
    assert_is(binary_cross_entropy, optax_loss, *point)


def test_binary_cross_entropy_is_that_of_optax_at_extremes():
    assert_is(binary_cross_entropy, optax_loss, *SOME)


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("logit", LOGITS)
def test_binary_cross_entropy_is_exact_at_ordinary_and_extreme_logits(logit, target):
    with mpmath.workdps(900):
        z, t = mpmath.mpf(logit), mpmath.mpf(target)
        p, q = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        value, slope = -t * mpmath.log(p) - (1 - t) * mpmath.log(q), p - t
    args = np.array([logit]), np.array([target])
    assert_value(by_hand(binary_cross_entropy), args, (float(value), np.array([float(slope)])))


def test_the_slope_survives_where_the_sigmoid_rounds_to_its_target():
    with jax.enable_x64(True):
        _, slope = by_hand(binary_cross_entropy)(np.array([40.0]), np.array([1.0]))
    assert 4.2e-18 < -float(slope[0]) < 4.3e-18


def test_smoothed_targets_are_caught():
    smoothed = consistent("smoothed", lambda z, t: optax_loss(z, 0.999 * t + 0.0005))
    assert_caught_by_reference_alone(smoothed, optax_loss, *SOME)


def test_a_cross_entropy_in_bits_is_caught():
    bits = consistent("bits", lambda z, t: optax_loss(z, t) / np.log(2))
    assert_caught_by_reference_alone(bits, optax_loss, *SOME)


def test_a_gradient_of_half_the_entropy_is_caught():
    mutant = binary_cross_entropy._replace(
        backward=lambda kept: (1 - kept[1]) * jnp.exp(-jnp.logaddexp(0, -kept[0]))
    )
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, optax_loss, *SOME)


def test_a_target_of_another_rank_or_dtype_is_refused():
    with pytest.raises(
        UsageError, match=r"binary_cross_entropy: the target must have shape \(2, 1\), but found"
    ):
        binary_cross_entropy.forward(np.ones((2, 1), "f4"), np.ones(2, "f4"))
    with pytest.raises(UsageError, match=r"found target.dtype=int32; convert it first: target.astype"):
        binary_cross_entropy.forward(np.ones(2, "f4"), np.ones(2, "i4"))
