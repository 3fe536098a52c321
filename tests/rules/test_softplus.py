import jax
import jax.numpy as jnp
import mpmath
from hypothesis import given
from laws_of_rules import (
    ORDINARY,
    assert_caught_by_reference_alone,
    assert_is,
    assert_is_exactly,
    by_hand,
    consistent,
    forward_of,
    points,
)

from agreement import assert_agrees
from backproof.rules import sigmoid, softplus


@given(points())
def test_softplus_is_that_of_jax(point):
    assert_is(softplus, jax.nn.softplus, *point)


def test_softplus_is_exact_at_ordinary_and_extreme_points():
    assert_is_exactly(softplus, lambda z: mpmath.log1p(mpmath.exp(z)))


@given(points())
def test_the_slope_of_softplus_is_the_sigmoid(point):
    z, delta = point
    assert_agrees(lambda z: by_hand(softplus)(z, delta)[1], lambda z: delta * forward_of(sigmoid)(z), z)


@given(points(shapes=((), (3,))))
def test_every_derivative_of_the_forward_pass_is_right_at_zero_too(point):
    z = 0 * point[0]
    curvature = jax.grad(jax.grad(lambda z: forward_of(softplus)(z).sum()))
    for at in z.ravel()[:1]:
        assert_agrees(curvature, lambda z: jax.nn.sigmoid(z) * jax.nn.sigmoid(-z), at)


def test_a_softplus_to_base_two_is_caught():
    base_two = consistent("base two", lambda z: jnp.logaddexp2(z, 0.0))
    assert_caught_by_reference_alone(base_two, jax.nn.softplus, ORDINARY)
