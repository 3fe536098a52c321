"""Solutions of systems against 60 digits of mpmath, and against autodiff of an inverse."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from laws_of_rules import by_autodiff, by_hand

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import solve
from slips_in_files import assert_named


def by_inverse(x):
    A, b = x
    return jnp.einsum("...ij,...j->...i", jnp.linalg.inv(A), b)


def drawn(batch=(), n=3, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((*batch, n, n)) + 2 * np.eye(n)
    return (A, rng.standard_normal((*batch, n))), rng.standard_normal((*batch, n))


@pytest.mark.parametrize("batch", [(), (2,), (2, 1), (0,)])
def test_it_is_that_of_the_inverse_matrix_by_matrix(batch):
    assert_agrees(by_hand(solve), by_autodiff(by_inverse), *drawn(batch))


@pytest.mark.parametrize("n", [0, 1])
def test_no_equation_and_one_are_systems_too(n):
    assert_agrees(by_hand(solve), by_autodiff(by_inverse), *drawn((2,), n))


SYSTEMS = {
    "rows are exchanged": [[0.0, 2.0, 1.0], [1.0, 0.0, 0.5], [3.0, 1.0, 0.0]],
    "diagonal": [[2.0, 0.0, 0.0], [0.0, -0.5, 0.0], [0.0, 0.0, 1.0]],
    "nearly singular": [[1.0, 1.0, 0.0], [1.0, 1.0 + 2.0**-30, 0.0], [0.0, 1.0, 1.0]],
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_exact_within_the_rounding_of_its_condition(name):
    A, b, delta = SYSTEMS[name], [1.0, -2.0, 0.5], [0.5, 1.0, -3.0]
    with mpmath.workdps(60):
        inverse = mpmath.matrix(A) ** -1
        y, delta_b = inverse * mpmath.matrix(b), inverse.T * mpmath.matrix(delta)
        delta_A = -delta_b * y.T
    numbers = lambda matrix: np.array(matrix.tolist(), float)
    expected = numbers(y)[:, 0], (numbers(delta_A), numbers(delta_b)[:, 0])
    assert_value(by_hand(solve), ((np.array(A), np.array(b)), np.array(delta)), expected)


MUTANTS = {
    "A for its transpose": lambda A, y, d: (-np.linalg.solve(A, d)[:, None] * y, np.linalg.solve(A, d)),
    "the sign": lambda A, y, d: (np.linalg.solve(A.T, d)[:, None] * y, np.linalg.solve(A.T, d)),
    "the outer product transposed": lambda A, y, d: (
        -y[:, None] * np.linalg.solve(A.T, d), np.linalg.solve(A.T, d),
    ),
    "the right-hand side for y": lambda A, y, d: (
        -np.linalg.solve(A.T, d)[:, None] * (A @ y), np.linalg.solve(A.T, d),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    x, delta = drawn()
    y = np.linalg.solve(*x)
    right = -np.linalg.solve(x[0].T, delta)[:, None] * y, np.linalg.solve(x[0].T, delta)
    gradient = lambda *point: by_hand(solve)(*point)[1]
    assert_value(gradient, (x, delta), right)
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(gradient, (x, delta), MUTANTS[name](x[0], y, delta))


def test_the_factors_are_made_once_and_no_inverse_is():
    x, delta = drawn()
    program = jax.make_jaxpr(by_hand(solve))(jax.tree.map(np.float32, x), np.float32(delta))
    names = [eqn.primitive.name for eqn in program.jaxpr.eqns]
    assert (names.count("lu"), names.count("triangular_solve")) == (1, 4)


def test_a_singular_matrix_has_no_solution_and_the_dtype_is_kept_when_compiled():
    assert not jnp.isfinite(solve.forward((), (jnp.ones((2, 2)), jnp.ones(2)))[0]).any()
    for dtype in ("float32", "bfloat16", "float16"):
        x = jnp.eye(2, dtype=dtype), jnp.ones(2, dtype)
        y, kept = jax.jit(solve.forward)((), x)
        grads = jax.jit(solve.backward)((), kept, y)[1]
        assert {leaf.dtype for leaf in (y, *grads)} == {jnp.dtype(dtype)}


def test_what_does_not_fit_is_refused():
    A, b = jnp.eye(3), jnp.ones(3)
    with pytest.raises(UsageError, match=r"the input must be \(A, b\), two arrays of one dtype, but found"):
        solve.forward((), A)
    with pytest.raises(UsageError, match="but found dtypes float32, bfloat16"):
        solve.forward((), (A, b.astype("bfloat16")))
    with pytest.raises(UsageError, match="A must be floating"):
        solve.forward((), (A.astype(int), b.astype(int)))
    for wrong in (jnp.ones((3, 2)), jnp.ones(3)):
        with pytest.raises(UsageError, match="A must be square matrices in its last two axes"):
            solve.init(jax.random.key(0), (wrong, b))
    with pytest.raises(UsageError, match=r"b must have shape \(3,\)"):
        solve.forward((), (A, jnp.ones(2)))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[..., None], transposed=True)[..., 0]", "[..., None])[..., 0]"),
        ("-delta_b[..., :, None] * y[..., None, :]", "-delta_b[..., None, :] * y[..., :, None]"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    at_one_shape = lambda module: module.solve._replace(domain=(array("2 2"), array("2")))
    assert_named(solve, right, wrong, tmp_path, at_one_shape, examples=4)
