"""Finite differences know the slope, and know how well they know it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.running.differences import along, moved, one_entry, size_of
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user
# On the ladder of steps the smallest is 2⁻¹⁶ of the point: what longdouble resolves, or float64 where it
# is no wider, divided by that step.
RESOLVED = float(np.finfo(np.longdouble).eps) * 2.0**16
# An estimate made of the last two rungs may be short of the error by this much.
HONEST_WITHIN = 16


def slope(f, *args, step=None, cotangent=1.0):
    """Return the derivative of `f`, in units of the argument, and the estimate of its error."""
    args = tuple(np.asarray(x, np.float64) for x in args)
    evaluators = Evaluators(of_vjp(f, lambda a, ct: a, StaticArguments.among(list(args)), None))
    step = one_entry(args, 0, ()) if step is None else step
    found = along(evaluators.primal, Point(args, np.asarray(cotangent)), step)
    size = float(np.max(size_of(args[0]))) if step is not None else 1.0
    return found.value / size, found.error / size


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.0, 0.7, 2.0])
@pytest.mark.parametrize(("f", "derivative"), [(jnp.sin, np.cos), (jnp.exp, np.exp), (jnp.tanh, None)])
def test_smooth_slopes_converge_to_what_the_arithmetic_resolves(f, derivative, x):
    value, error = slope(f, x)
    expected = derivative(x) if derivative else 1 - np.tanh(x) ** 2
    scale = max(abs(expected), abs(float(f(x))), 1)
    assert error <= HONEST_WITHIN * RESOLVED * scale
    assert error < 1e-10
    assert abs(value - expected) <= HONEST_WITHIN * (error + RESOLVED * scale)


@pytest.mark.parametrize("x", [1e20, -1e20, 1e6])
def test_large_arguments_take_steps_of_their_own_size(x):
    value, error = slope(lambda x: x**2 * 1e-20, x)
    assert error <= 1e-10 * abs(value)
    assert abs(value - 2e-20 * x) <= HONEST_WITHIN * (error + RESOLVED * abs(value))
    value, error = slope(jnp.log, abs(x))
    assert abs(value - 1 / abs(x)) <= HONEST_WITHIN * (error + RESOLVED * np.log(abs(x)) / abs(x))


@pytest.mark.parametrize("x", [1e-20, -1e-300, 5e-324])
def test_tiny_arguments_are_not_rounded_away(x):
    value, error = slope(jnp.exp, x)
    assert error < 1e-10
    assert abs(value - 1) <= HONEST_WITHIN * (error + RESOLVED)


def test_a_wrong_slope_of_one_in_a_million_is_told_apart():
    value, error = slope(jnp.sin, 0.7)
    assert abs(value - np.cos(0.7) * (1 + 1e-6)) > 1e3 * error


def test_away_from_its_kink_abs_is_a_straight_line():
    for x in (1.0, -2.5, 1e20):
        value, error = slope(jnp.abs, x)
        assert abs(value - np.sign(x)) <= HONEST_WITHIN * (error + RESOLVED)


@pytest.mark.parametrize("x", [1e-5, 1e-4, 3e-4, -7e-4])
def test_a_kink_within_the_steps_is_owned_up_to(x):
    """The value may be anything between the slopes; the estimate must not claim to know it."""
    value, error = slope(jnp.abs, x)
    assert abs(value - np.sign(x)) <= HONEST_WITHIN * error or error > 1e-3


def test_a_jump_has_no_slope():
    _, error = slope(jnp.sign, 0.0)
    assert not error < 1


def test_the_step_is_a_direction_through_all_arguments():
    value, error = slope(lambda x, y: x * y, 0.5, -0.25, step=(np.asarray(1.0), np.asarray(2.0)))
    assert abs(value - (1.0 * -0.25 + 2.0 * 0.5)) <= HONEST_WITHIN * (error + RESOLVED)


def test_the_cotangent_weighs_the_outputs():
    value, error = slope(lambda x: jnp.stack([x, x**2]), 0.5, cotangent=[3.0, -2.0])
    assert abs(value - (3.0 - 2.0)) <= HONEST_WITHIN * (error + RESOLVED)


def test_indices_and_keys_are_not_moved():
    args = (np.ones(2), np.arange(3), jax.random.key(0))
    there = moved(args, one_entry(args, 0, (1,)), 0.5)
    assert there[0].tolist() == [1.0, 1.5]
    assert there[0].dtype == np.longdouble
    assert there[1] is args[1]
    assert there[2] is args[2]
