"""What a loss is held against: an independent reference, and the drawn points of both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from agreement import assert_agrees
from backproof.rule import Loss

# No batch axis, one and two batch axes, a batch of one, an empty batch; sizes pairwise distinct.
SHAPES = ((3,), (2, 3), (4, 2, 3), (1, 3), (0, 3))


def real(rng, shape):
    """Return targets of either sign."""
    return 3 * rng.standard_normal(shape)


def probabilities(rng, shape):
    """Return targets from 0 to 1, both ends included."""
    return np.clip(rng.uniform(-0.5, 1.5, shape), 0, 1)


def signs(rng, shape):
    """Return targets ±1."""
    return rng.choice([-1.0, 1.0], shape)


def labels(rng, shape):
    """Return an index into the last axis for every sample."""
    return rng.integers(shape[-1], size=shape[:-1])


@st.composite
def points(draw, targets, shapes=SHAPES):
    """Draw (prediction, target), the prediction on one of several scales."""
    shape, scale = draw(st.sampled_from(shapes)), draw(st.sampled_from((1e-3, 1, 4, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return scale * rng.standard_normal(shape), targets(rng, shape)


def summed(f):
    """Return Σ f(prediction, target) under JAX's default promotion, as optax is written for."""

    def value(prediction, target):
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return f(jnp.asarray(prediction), jnp.asarray(target)).sum()

    return value


def by_hand(loss):
    """Return f(prediction, target) -> (value, hand-written gradient)."""

    def value_and_gradient(prediction, target):
        value, residuals = loss.forward(prediction, target)
        return value, loss.backward(residuals)

    return value_and_gradient


def assert_is(loss, reference, prediction, target):
    """Assert that value and gradient of `loss` are those of the scalar function `reference`."""
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target)
    assert_agrees(by_hand(loss), jax.value_and_grad(reference), prediction, target)


def consistent(name, f):
    """Return the loss of the scalar f with a backward pass that follows its forward pass, right or wrong."""

    def forward(prediction, target):
        return f(prediction, target), (prediction, target)

    return Loss(name, forward, lambda residuals: jax.grad(f)(*residuals))


def assert_caught_by_reference_alone(mutant, reference, prediction, target):
    """Assert that a loss wrong in both passes alike passes its own autodiff and fails the reference."""
    assert_is(mutant, lambda y, t: mutant.forward(y, t)[0], prediction, target)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, reference, prediction, target)
