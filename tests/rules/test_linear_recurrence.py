"""The linear recurrence against a plain loop, scipy's filter, a matrix, and mpmath by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from laws_of_recurrences import (
    SHAPES,
    assert_caught,
    assert_in_wide_states,
    assert_is_exactly,
    assert_last_step_does_not_move_the_first_ones,
)
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import linear_recurrence
from slips_in_files import assert_named

N = 3


def looped(params, x):
    a, b = x
    h = jnp.zeros((*b.shape[:-2], 1, N))
    states = [h[..., :0, :]]
    for t in range(a.shape[-2]):
        h = a[..., t : t + 1, :] * h + b[..., t : t + 1, :]
        states.append(h)
    return jnp.concatenate(states, axis=-2)


BY_AUTODIFF = by_autodiff_with(looped)


def point(batch, steps, seed):
    rng = np.random.default_rng(seed)
    a, b, delta = rng.standard_normal((3, *batch, steps, N))
    return (), (a, b), delta


@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_it_is_a_loop_over_time(shape, seed):
    assert_agrees(by_hand_with(linear_recurrence), BY_AUTODIFF, *point(*shape, seed))


def test_it_is_its_recursion_in_exact_numbers():
    def exactly(params, x):
        h, states = np.zeros(N), []
        for a, b in zip(*x, strict=True):
            h = a * h + b
            states.append(h)
        return np.stack(states)

    assert_is_exactly(linear_recurrence, exactly, *point((), 4, 0))


def test_a_constant_factor_is_a_filter_of_scipy_and_its_gradient_that_filter_backwards():
    a, steps = -0.9, 60
    rng = np.random.default_rng(0)
    b, delta = rng.standard_normal((2, steps, 1))
    h = scipy.signal.lfilter([1], [1, -a], b, axis=0)
    lam = scipy.signal.lfilter([1], [1, -a], delta[::-1], axis=0)[::-1]
    before = np.concatenate([np.zeros((1, 1)), h[:-1]])
    expected = h, ((), (lam * before, lam))
    assert_value(by_hand_with(linear_recurrence), ((), (np.full((steps, 1), a), b), delta), expected)


def test_the_state_is_a_matrix_of_products_times_the_terms():
    _, (a, b), delta = point((), 5, 3)
    M = np.array([[np.prod(a[k + 1 : t + 1, 0]) if k <= t else 0 for k in range(5)] for t in range(5)])
    lam = M.T @ delta[:, :1]
    h = M @ b[:, :1]
    expected = h, ((), (lam * np.concatenate([[[0]], h[:-1]]), lam))
    assert_value(by_hand_with(linear_recurrence), ((), (a[:, :1], b[:, :1]), delta[:, :1]), expected)


def test_a_step_sees_no_later_one():
    assert_last_step_does_not_move_the_first_ones(linear_recurrence, *point((2,), 4, 0))


def test_states_are_float32_where_the_input_is_not():
    assert_in_wide_states(linear_recurrence, *jax.tree.map(jnp.float32, point((2,), 4, 0)[:2]))


MUTANTS = {
    "the factor of the step after": ("lam = delta_h + from_later", "lam = delta_h + a * from_later"),
    "the error not multiplied by the factor": ("return a * lam, lam", "return lam, lam"),
    "the state after the step": ("(lam * before(h))", "(lam * h)"),
    "the cotangent for the error": ("lam.astype(delta_h.dtype)", "delta_h"),
    "the scan in the order of time": ("each, reverse=True)", "each)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    assert_caught(linear_recurrence, *MUTANTS[name], BY_AUTODIFF, point((2,), 4, 0))


def test_it_keeps_its_factors_and_its_states():
    _, (a, b), _ = jax.tree.map(jnp.float32, point((2,), 4, 0))
    h, kept = linear_recurrence.forward((), (a, b))
    assert kept[0] is a
    assert jnp.array_equal(kept[1], h)
    params, like = linear_recurrence.init(jax.random.key(0), (a, b))
    assert (params, like is b) == ((), True)


def test_what_does_not_fit_is_refused():
    a = np.ones((4, N), "f4")
    for x, text in (
        (a, r"x must be a pair \(a, b\) of factors and terms, but found x of type ndarray"),
        ((a,), r"x must be a pair \(a, b\)"),
        ((a, a[:2]), r"b must have shape \(4, 3\), but found b.shape=\(2, 3\)"),
        ((a[0], a[0]), r"a must be sequences of shape \(…, steps, features\), but found a of shape \(3,\)"),
        ((a, a.astype("i4")), "b must be floating"),
    ):
        with pytest.raises(UsageError, match=text):
            linear_recurrence.forward((), x)
    with pytest.raises(UsageError, match=r"b must have shape"):
        linear_recurrence.init(jax.random.key(0), (a, a[:2]))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(lam * before(h))", "(lam * h)"),
        ("lam.astype(delta_h.dtype))", "delta_h)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.linear_recurrence._replace(domain=(array("s 2"), array("s 2")))

    assert_named(linear_recurrence, right, wrong, tmp_path, made, examples=60)
