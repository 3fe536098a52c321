import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from laws_of_rules import assert_caught_by_reference_alone, assert_is, by_hand, consistent, forward_of, points

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.rules import softmax

ROWS = ((3,), (2, 3), (4, 2, 3), (1, 3), (0, 3), (2, 1), (2, 0))
SATURATED = np.array([[800.0, 0, -800], [40, 0, 0], [-20, 20, 19], [0, 0, -0.0], [87.4, 0, 89]])


@given(points(ROWS))
def test_softmax_is_that_of_jax(point):
    assert_is(softmax, jax.nn.softmax, *point)


def test_softmax_is_that_of_jax_and_scipy_at_ties_and_extremes():
    assert_is(softmax, jax.nn.softmax, SATURATED)
    assert_value(forward_of(softmax), (SATURATED,), scipy.special.softmax(SATURATED, axis=-1))


@pytest.mark.parametrize("row", SATURATED.tolist())
def test_softmax_is_exact_at_ties_and_extremes(row):
    delta = [0.5, -2.0, 1.25]
    with mpmath.workdps(900):
        e = [mpmath.exp(z) for z in row]
        p = [term / sum(e) for term in e]
        mean = sum(p_k * d_k for p_k, d_k in zip(p, delta, strict=True))
        delta_z = [p_k * (d_k - mean) for p_k, d_k in zip(p, delta, strict=True)]
    expected = np.array(p, np.float64), np.array(delta_z, np.float64)
    assert_value(by_hand(softmax), (np.array(row), np.array(delta)), expected)


@given(points(((4,), (3,), (1,)), largest=4))
def test_the_jacobian_is_symmetric_with_columns_that_sum_to_zero(point):
    z, _ = point

    def jacobian(z):
        _, p = softmax.forward((), z)
        return jax.vmap(lambda delta: softmax.backward((), p, delta)[1])(jnp.eye(z.size, dtype=z.dtype))

    def formula(z):
        p = jax.nn.softmax(z)
        return jnp.diag(p) - jnp.outer(p, p)

    assert_agrees(jacobian, formula, z)
    assert_agrees(jacobian, lambda z: jacobian(z).T, z)
    assert_agrees(lambda z: jacobian(z).sum(0), lambda z: 0 * z, z)


def test_a_scalar_is_refused():
    with pytest.raises(UsageError, match=r"softmax: the input must be one array with at least one axis"):
        softmax.forward((), jnp.float32(1))


def test_a_softmax_to_base_two_is_caught():
    base_two = consistent("base two", lambda z: jax.nn.softmax(z * np.log(2)))
    assert_caught_by_reference_alone(base_two, jax.nn.softmax, SATURATED)


def test_a_softmax_over_the_batch_is_caught():
    over_batch = consistent("over batch", lambda z: jax.nn.softmax(z, axis=0))
    assert_caught_by_reference_alone(over_batch, jax.nn.softmax, SATURATED)


def test_the_diagonal_of_the_jacobian_alone_is_caught():
    mutant = softmax._replace(backward=lambda _, p, delta: ((), delta * p * (1 - p)))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, jax.nn.softmax, SATURATED)
