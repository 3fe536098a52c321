"""Fixed points against the inverse matrix of a linear step, mpmath's roots, and autodiff of the loop."""

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
from backproof.rule import Rule
from backproof.rules import affine, fixed_point, kepler
from backproof.rules._fixed_point import kepler_step
from slips_in_files import assert_named


def linear_forward(W, x):
    return W @ x[0] + x[1], x[0]


def linear_backward(W, y, delta):
    return jnp.outer(delta, y), (W.T @ delta, delta)


LINEAR = Rule("linear", lambda key, x: (jnp.zeros((3, 3)), x[1]), linear_forward, linear_backward)


def by_inverse(W, x):
    return jnp.linalg.inv(jnp.eye(3, dtype=W.dtype) - W) @ x[1] + 0 * x[0]


def drawn(seed=0):
    """Return (W, (start, x), cotangent), with a W of slope 1/8 that is not symmetric."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((3, 3))
    return W / np.linalg.norm(W, 2) / 8, tuple(rng.standard_normal((2, 3))), rng.standard_normal(3)


@given(st.integers(0, 2**32 - 1))
def test_of_a_linear_step_it_is_that_of_the_inverse_matrix(seed):
    assert_agrees(by_hand_with(fixed_point(LINEAR, 24)), by_autodiff_with(by_inverse), *drawn(seed))


def looped(phase, x):
    y = x[0] * 0
    for _ in range(24):
        y = x[1] + jnp.sin(y + jnp.broadcast_to(phase, y.shape)) / 8
    return y


@pytest.mark.parametrize("batch", [(), (2,), (2, 1), (0,)])
def test_it_is_that_of_autodiff_through_every_step_of_the_loop(batch):
    rng = np.random.default_rng(0)
    x, delta = tuple(rng.standard_normal((2, *batch, 3))), rng.standard_normal((*batch, 3))
    assert_agrees(by_hand_with(kepler), by_autodiff_with(looped), rng.standard_normal(3), x, delta)


@pytest.mark.parametrize("x", [0.0, 1.0, -3.0, 100.0])
def test_it_solves_keplers_equation(x):
    phase, delta = 0.5, -1.5
    with mpmath.workdps(60):
        y = mpmath.findroot(lambda y: y - x - mpmath.sin(y + phase) / 8, x)
        slope = mpmath.cos(y + phase) / 8
        by_x = delta / (1 - slope)
    expected = np.array([y], float), (np.array([slope * by_x], float), (np.zeros(1), np.array([by_x], float)))
    point = np.array([phase]), (np.array([7.0]), np.array([x])), np.array([delta])
    assert_value(by_hand_with(kepler), point, expected)


def test_neither_value_nor_gradient_depends_on_the_start_or_on_more_iterations():
    W, (start, x), delta = drawn()
    other = by_hand_with(fixed_point(LINEAR, 30))
    assert_agrees(
        by_hand_with(fixed_point(LINEAR, 24)),
        lambda W, x, delta: other(W, (3 * x[0] + 1, x[1]), delta),
        W,
        (start, x),
        delta,
    )


def test_too_few_iterations_are_caught():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(fixed_point(LINEAR, 8)), by_autodiff_with(by_inverse), *drawn())


def memory_of(f, *args):
    return jax.jit(f).lower(*args).compile().memory_analysis().temp_size_in_bytes


def test_memory_does_not_grow_with_the_iterations_and_that_of_autodiff_does():
    x = jnp.ones((64, 64)), jnp.ones((64, 64))

    def by_hand(count):
        return memory_of(by_hand_with(fixed_point(kepler_step, count)), jnp.ones(64), x, jnp.ones((64, 64)))

    def by_autodiff(count):
        loop = lambda phase, x: fixed_point(kepler_step, count).forward(phase, x)[0]
        return memory_of(by_autodiff_with(loop), jnp.ones(64), x, jnp.ones((64, 64)))

    assert by_hand(10) == by_hand(500)
    assert by_autodiff(500) > 10 * by_autodiff(10)


MUTANTS = {
    "δ for λ": lambda W, y, d: LINEAR.backward(W, y, d),
    "J for its transpose": lambda W, y, d: LINEAR.backward(W, y, np.linalg.inv(np.eye(3) - W) @ d),
    "λ without δ": lambda W, y, d: LINEAR.backward(W, y, W.T @ np.linalg.inv(np.eye(3) - W).T @ d),
    "the sign of J": lambda W, y, d: LINEAR.backward(W, y, np.linalg.inv(np.eye(3) + W).T @ d),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    W, x, delta = drawn()
    y = np.linalg.inv(np.eye(3) - W) @ x[1]

    def gradients(W, x, delta):
        grad, (_, delta_x) = by_hand_with(fixed_point(LINEAR, 24))(W, x, delta)[1]
        return grad, delta_x

    exact = np.linalg.inv(np.eye(3) - W).T @ delta
    assert_value(gradients, (W, x, delta), (np.outer(exact, y), exact))
    grad, (_, delta_x) = MUTANTS[name](W, y, delta)
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(gradients, (W, x, delta), (np.asarray(grad), np.asarray(delta_x)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_kept_when_compiled(dtype):
    x = jnp.ones((2, 3), dtype), jnp.ones((2, 3), dtype)
    y, kept = jax.jit(kepler.forward)(jnp.ones(3, dtype), x)
    grads = jax.jit(kepler.backward)(jnp.ones(3, dtype), kept, y)
    assert {leaf.dtype for leaf in jax.tree.leaves((y, grads))} == {jnp.dtype(dtype)}


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="step must be a Rule"):
        fixed_point(jnp.sin, 10)
    with pytest.raises(UsageError, match="iterations must be a whole number of at least 1"):
        fixed_point(kepler_step, 0)
    row, short = jax.ShapeDtypeStruct((3,), "float32"), jax.ShapeDtypeStruct((2,), "float32")
    params, y = kepler.init(jax.random.key(0), (row, row))
    assert (params.shape, y) == ((3,), row)
    step = kepler_step._replace(init=lambda key, x: (jnp.zeros(3), short))
    with pytest.raises(UsageError, match=r"found float32\[3\] to float32\[2\]"):
        fixed_point(step, 10).init(jax.random.key(0), (row, row))
    assert affine(3).name in fixed_point(affine(3), 2).name


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("residuals, _repeated(through_step, delta_y, iterations))", "residuals, delta_y)"),
        ("return y, step.forward(params, (y, x[1]))[1]", "return y, step.forward(params, (start, x[1]))[1]"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(kepler, right, wrong, tmp_path, made=lambda module: module.kepler, examples=20)
