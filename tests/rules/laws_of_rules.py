"""What a rule is held against: an independent reference, mpmath, and the drawn points of both."""

import jax
import mpmath
import numpy as np
import pytest
from hypothesis import strategies as st

from agreement import assert_agrees, assert_value
from backproof.rule import Rule, no_params

# No batch axis, a scalar, several axes, a batch of one, an empty batch; sizes pairwise distinct.
SHAPES = ((3,), (), (2, 3), (4, 2, 3), (1, 3), (0, 3))
EXTREMES = (-800.0, -40.0, -20.0, -0.0, 0.0, 20.0, 40.0, 800.0)
ORDINARY = (-3.0, -1.25, -0.5, -1e-3, 1e-9, 0.25, 0.75, 2.0, 5.0)


@st.composite
def points(draw, shapes=SHAPES, largest=30):
    """Draw (z, cotangent): both signed and random, z of one of several sizes."""
    shape, scale = draw(st.sampled_from(shapes)), draw(st.sampled_from((1e-3, 1, 4, largest)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return scale * rng.standard_normal(shape), rng.standard_normal(shape)


def by_hand(rule):
    """Return f(z, δ) -> (value, hand-written gradient) of a rule without parameters."""

    def value_and_gradient(z, delta):
        a, residuals = rule.forward((), z)
        return a, rule.backward((), residuals, delta)[1]

    return value_and_gradient


def by_autodiff(f):
    """Return f(z, δ) -> (value, gradient by autodiff) of a plain function."""

    def value_and_gradient(z, delta):
        a, pullback = jax.vjp(f, z)
        return a, pullback(delta)[0]

    return value_and_gradient


def by_hand_with(rule):
    """Return f(params, x, δ) -> (value, (gradients of the parameters, δx)) of a rule with parameters."""

    def value_and_gradients(params, x, delta):
        y, residuals = rule.forward(params, x)
        return y, rule.backward(params, residuals, delta)

    return value_and_gradients


def by_autodiff_with(f):
    """Return f(params, x, δ) -> (value, (gradients of the parameters, δx)) by autodiff of a function."""

    def value_and_gradients(params, x, delta):
        y, pullback = jax.vjp(f, params, x)
        return y, pullback(delta)

    return value_and_gradients


@st.composite
def rows_with_params(draw, names, batches=((), (2,), (3, 2), (1,), (0,)), sizes=(1, 2, 4)):
    """Draw (params, x, cotangent), signed and random; a parameter has a number for each entry of a row."""
    batch, n = draw(st.sampled_from(batches)), draw(st.sampled_from(sizes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = {name: rng.standard_normal(n) for name in names}
    return params, rng.standard_normal((*batch, n)), rng.standard_normal((*batch, n))


def forward_of(rule):
    """Return the forward pass of a rule without parameters, as a plain function."""
    return lambda z: rule.forward((), z)[0]


def assert_is(rule, reference, z, delta=None):
    """Assert that value and gradient of `rule` are those of `reference` at z."""
    z = np.asarray(z, np.float64)
    delta = np.random.default_rng(0).standard_normal(z.shape) if delta is None else delta
    assert_agrees(by_hand(rule), by_autodiff(reference), z, delta)


def assert_is_exactly(rule, f, points=EXTREMES + ORDINARY):
    """Assert that value and slope of an elementwise rule are those of mpmath's f, to 900 digits."""
    with mpmath.workdps(900):
        values = [float(f(mpmath.mpf(z))) for z in points]
        slopes = [float(mpmath.diff(f, mpmath.mpf(z))) for z in points]
    z = np.array(points)
    assert_value(by_hand(rule), (z, np.ones_like(z)), (np.array(values), np.array(slopes)))


def consistent(name, f):
    """Return the rule of f with a backward pass that follows its forward pass, right or wrong."""

    def backward(params, z, delta):
        return (), jax.vjp(f, z)[1](delta)[0]

    return Rule(name, no_params, lambda _, z: (f(z), z), backward)


def assert_caught_by_reference_alone(mutant, reference, z):
    """Assert that a rule wrong in both passes alike passes its own autodiff and fails the reference."""
    assert_is(mutant, forward_of(mutant), z)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, reference, z)
