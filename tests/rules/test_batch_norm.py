"""Batch norm against a loop over numbers in mpmath, and against `jax.nn.standardize` over the batch."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.rules import (
    batch_norm,
    batch_norm_frozen,
    batch_norm_frozen_with,
    batch_norm_with,
)
from slips_in_files import assert_named

EPSILON, RATE = 1e-5, 0.1


def in_rows(one, x):
    return jnp.broadcast_to(one, x.shape)


def standardised(params, x):
    values, state = x
    axes = tuple(range(values.ndim - 1))
    hat = jax.nn.standardize(values, axis=axes, epsilon=EPSILON)
    y = in_rows(params["gain"], values) * hat + in_rows(params["shift"], values)
    new = {"mean": jnp.mean(values, axes), "variance": jnp.var(values, axes)}
    return y, jax.tree.map(lambda old, one: (1 - RATE) * old + RATE * one, state, new)


def frozen(params, x):
    values, state = x
    hat = (values - in_rows(state["mean"], values)) / jnp.sqrt(in_rows(state["variance"], values) + EPSILON)
    return in_rows(params["gain"], values) * hat + in_rows(params["shift"], values), state


RULES = {batch_norm.name: (batch_norm, standardised), batch_norm_frozen.name: (batch_norm_frozen, frozen)}


@st.composite
def points(draw, batches=((2,), (3, 2), (1,), (4, 1, 2))):
    """Draw (params, (values, state), cotangent), signed and random, the variance positive."""
    batch, n = draw(st.sampled_from(batches)), draw(st.sampled_from((1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = {"gain": rng.standard_normal(n), "shift": rng.standard_normal(n)}
    state = {"mean": rng.standard_normal(n), "variance": rng.uniform(0, 2, n)}
    delta_state = {"mean": rng.standard_normal(n), "variance": rng.standard_normal(n)}
    x, delta = rng.standard_normal((2, *batch, n))
    return params, (x, state), (delta, delta_state)


@pytest.mark.parametrize("name", RULES)
@given(point=points())
def test_value_state_and_every_gradient_are_those_of_jax_over_all_axes_of_the_batch(name, point):
    rule, reference = RULES[name]
    assert_agrees(by_hand_with(rule), by_autodiff_with(reference), *point)


def exactly(column, gain, shift, delta, old, delta_state):
    """Return y, the new state and all gradients of one feature, from the slope of each number by each."""
    count = len(column)
    m = mpmath.fsum(column) / count
    v = mpmath.fsum((x - m) ** 2 for x in column) / count
    d = mpmath.sqrt(v + EPSILON)
    hat = [(x - m) / d for x in column]

    def slope(j, i):  # ∂hat_j/∂x_i
        return ((i == j) - mpmath.mpf(1) / count) / d - (column[j] - m) * (column[i] - m) / (count * d**3)

    delta_x = [
        mpmath.fsum(delta[j] * gain * slope(j, i) for j in range(count))
        + RATE * (delta_state[0] + 2 * (column[i] - m) * delta_state[1]) / count
        for i in range(count)
    ]
    new = [(1 - RATE) * one + RATE * two for one, two in zip(old, (m, v), strict=True)]
    grad_gain = mpmath.fsum(a * b for a, b in zip(delta, hat, strict=True))
    return [gain * h + shift for h in hat], new, grad_gain, mpmath.fsum(delta), delta_x


@pytest.mark.parametrize(
    "column", [[1.0, -2.0, 4.0], [3.0, 3.0, 3.0], [0.0], [1e3, -1e3], [1e-4, 2e-4, 3e-4]]
)
def test_it_is_its_jacobian_written_out(column):
    delta, old, delta_state = [2.0, 1.0, -0.5][: len(column)], [0.5, 2.0], [1.5, -3.0]
    with mpmath.workdps(60):
        wide = [*map(mpmath.mpf, column)]
        y, new, grad_gain, grad_shift, delta_x = exactly(wide, -1.5, 0.25, delta, old, delta_state)
    as_state = lambda pair: {"mean": np.array([pair[0]], float), "variance": np.array([pair[1]], float)}
    as_column = lambda numbers: np.array(numbers, float)[:, None]
    params = {"gain": np.array([-1.5]), "shift": np.array([0.25])}
    point = params, (as_column(column), as_state(old)), (as_column(delta), as_state(delta_state))
    grads = {"gain": np.array([float(grad_gain)]), "shift": np.array([float(grad_shift)])}
    passed = as_state([(1 - RATE) * one for one in delta_state])
    expected = (as_column(y), as_state(new)), (grads, (as_column(delta_x), passed))
    assert_value(by_hand_with(batch_norm), point, expected)


MUTANTS = {
    "the mean of δx̂ left out": lambda hat, d, scale, by_state: (
        (d - hat * (d * hat).mean(0)[None]) * scale + by_state
    ),
    "the path through the deviation left out": lambda hat, d, scale, by_state: (
        (d - d.mean(0)[None]) * scale + by_state
    ),
    "a sum for a mean": lambda hat, d, scale, by_state: (
        (d - d.sum(0)[None] - hat * (d * hat).sum(0)[None]) * scale + by_state
    ),
    "means over the features": lambda hat, d, scale, by_state: (
        (d - d.mean(1)[:, None] - hat * (d * hat).mean(1)[:, None]) * scale + by_state
    ),
    "the cotangent of the state ignored": lambda hat, d, scale, by_state: (
        (d - d.mean(0)[None] - hat * (d * hat).mean(0)[None]) * scale
    ),
}


def drawn(rows=4, n=3):
    rng = np.random.default_rng(0)
    params = {"gain": rng.standard_normal(n), "shift": rng.standard_normal(n)}
    state, delta_state = (
        {"mean": rng.standard_normal(n), "variance": rng.uniform(0, 2, n)} for _ in range(2)
    )
    return params, (rng.standard_normal((rows, n)), state), (rng.standard_normal((rows, n)), delta_state)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    def backward(params, kept, delta):
        x, m, scale = kept
        grads, (_, delta_state) = batch_norm.backward(params, kept, delta)
        centred, delta_hat = x - m[None], params["gain"][None] * delta[0]
        by_state = RATE / len(x) * (delta[1]["mean"][None] + 2 * delta[1]["variance"][None] * centred)
        return grads, (MUTANTS[name](centred * scale[None], delta_hat, scale[None], by_state), delta_state)

    point = drawn()
    assert_agrees(by_hand_with(batch_norm), by_autodiff_with(standardised), *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(
            by_hand_with(batch_norm._replace(backward=backward)), by_autodiff_with(standardised), *point
        )


def test_a_frozen_norm_that_takes_its_state_for_constants_is_caught():
    def backward(params, x, delta):
        grads, (delta_x, _) = batch_norm_frozen.backward(params, x, delta)
        return grads, (delta_x, delta[1])

    mutant = batch_norm_frozen._replace(backward=backward)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(mutant), by_autodiff_with(frozen), *drawn())


def test_frozen_at_the_statistics_of_a_batch_it_is_the_batch_norm_of_that_batch():
    params, (x, state), _ = drawn()

    def by_state(params, x):
        at = {"mean": x.mean(0), "variance": x.var(0)}
        return batch_norm_frozen.forward(params, (x, at))[0][0]

    assert_agrees(by_state, lambda params, x: batch_norm.forward(params, (x, state))[0][0], params, x)


def test_a_state_that_moves_all_the_way_is_that_of_the_batch_and_one_that_stays_is_the_old_one():
    params, (x, state), _ = drawn()

    def state_after(rate):
        return lambda x, state: batch_norm_with(EPSILON, rate).forward(params, (x, state))[0][1]

    assert_agrees(state_after(1.0), lambda x, _: {"mean": x.mean(0), "variance": x.var(0)}, x, state)
    assert_agrees(state_after(0.0), lambda _, state: state, x, state)


def test_it_keeps_two_numbers_a_feature_beside_its_values_and_the_dtype():
    params = {"gain": jnp.ones(3), "shift": jnp.zeros(3)}
    state = {"mean": jnp.zeros(3), "variance": jnp.ones(3)}
    x = jnp.ones((2, 3), jnp.bfloat16)
    (y, new), (kept, m, scale) = jax.jit(batch_norm.forward)(params, (x, state))
    assert (m.shape, scale.shape) == ((3,), (3,))
    assert (kept.dtype, y.dtype, new["mean"].dtype) == (jnp.bfloat16, jnp.bfloat16, jnp.float32)


def test_numbers_whose_squares_overflow_float16_have_a_gradient():
    one, half = jnp.ones(1, jnp.float16), jnp.float16
    params, state = {"gain": one, "shift": 0 * one}, {"mean": 0 * one, "variance": one}
    (y, _), kept = batch_norm.forward(params, (jnp.array([[1000.0], [-1000.0]], half), state))
    assert y.ravel().tolist() == [1, -1]
    no_state = {"mean": 0 * one, "variance": 0 * one}
    _, (delta_x, _) = batch_norm.backward(params, kept, (jnp.ones((2, 1), half), no_state))
    assert delta_x.ravel().tolist() == [0, 0]


STATE = {"mean": jnp.zeros(3), "variance": jnp.ones(3)}
PARAMS = {"gain": jnp.ones(3), "shift": jnp.zeros(3)}


@pytest.mark.parametrize("x", [jnp.ones((0, 3)), jnp.ones((2, 0, 3)), jnp.ones(3)])
def test_an_empty_batch_and_no_batch_are_refused_in_training_only(x):
    with pytest.raises(UsageError, match="the values must have a batch axis, with at least one row"):
        batch_norm.forward(PARAMS, (x, STATE))
    with pytest.raises(UsageError, match="the values must have a batch axis, with at least one row"):
        batch_norm.init(jax.random.key(0), (x, STATE))
    assert batch_norm_frozen.forward(PARAMS, (x, STATE))[0][0].shape == x.shape


def test_what_does_not_fit_is_refused():
    x = jnp.ones((2, 3))
    for made in (lambda e: batch_norm_with(e, 0.1), batch_norm_frozen_with):
        with pytest.raises(UsageError, match=r"epsilon must be a finite number"):
            made(float("nan"))
    for rate in (-0.1, 1.5, float("nan"), "1"):
        with pytest.raises(UsageError, match=r"rate must be a finite number from 0 to 1"):
            batch_norm_with(1e-5, rate)
    for rule in (batch_norm, batch_norm_frozen):
        for wrong in (x, (x,), (x, {"mean": STATE["mean"]})):
            with pytest.raises(UsageError, match=r"the input must be \(values, \{'mean'"):
                rule.forward(PARAMS, wrong)
        with pytest.raises(UsageError, match=r"variance must have shape \(3,\)"):
            rule.forward(PARAMS, (x, {**STATE, "variance": jnp.ones(2)}))
        with pytest.raises(UsageError, match=r"gain must have shape \(3,\)"):
            rule.forward({**PARAMS, "gain": jnp.ones(2)}, (x, STATE))
        with pytest.raises(UsageError, match="the input must be floating"):
            rule.forward(PARAMS, (jnp.ones((2, 3), int), STATE))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("delta_x = (delta_hat - first - hat", "delta_x = (delta_hat - hat"),
        ("along_rows(2 * share * delta_v", "along_rows(share * delta_v"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(batch_norm, right, wrong, tmp_path)


@pytest.mark.as_user
def test_the_line_of_a_slip_in_the_frozen_norm_is_named(tmp_path):
    assert_named(
        batch_norm_frozen, "one + over_batch(through[leaf], one)", "over_batch(through[leaf], one)", tmp_path
    )
