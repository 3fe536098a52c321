"""log |det A| against Leibniz' sum over permutations, in NumPy and by autodiff."""

import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from laws_of_rules import by_autodiff, by_hand

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import log_determinant
from slips_in_files import assert_named


def by_permutations(A):
    n = A.shape[-1]
    total = 0
    for order in itertools.permutations(range(n)):
        odd = sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n)) % 2
        term = math.prod((A[..., i, order[i]] for i in range(n)), start=jnp.ones(A.shape[:-2], A.dtype))
        total = total - term if odd else total + term
    return jnp.log(jnp.abs(total))


def drawn(batch=(), n=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*batch, n, n)), rng.standard_normal(batch)


@pytest.mark.parametrize(("batch", "n"), [((), 3), ((2,), 3), ((2, 1), 2), ((0,), 2), ((2,), 1), ((2,), 0)])
def test_it_is_that_of_the_sum_over_permutations(batch, n):
    assert_agrees(by_hand(log_determinant), by_autodiff(by_permutations), *drawn(batch, n))


MATRICES = {
    "a negative determinant": [[0.0, 2.0, 1.0], [1.0, 0.0, 0.5], [-3.0, 1.0, 0.0]],
    "a determinant of 1": [[1.0, 5.0, 0.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]],
    "nearly singular": [[1.0, 1.0, 0.0], [1.0, 1.0 + 2.0**-30, 0.0], [0.0, 1.0, 1.0]],
}


@pytest.mark.parametrize("name", MATRICES)
def test_it_is_exact_within_the_rounding_of_its_condition(name):
    with mpmath.workdps(60):
        A = mpmath.matrix(MATRICES[name])
        value, gradient = mpmath.log(abs(mpmath.det(A))), (-1.5 * A**-1).T
    expected = np.float64(value), np.array(gradient.tolist(), float)
    assert_value(by_hand(log_determinant), (np.array(MATRICES[name]), np.float64(-1.5)), expected)


def test_a_determinant_that_overflows_has_a_logarithm_and_a_gradient():
    A = jnp.diag(jnp.full(3, 1e30, jnp.float32))
    y, kept = log_determinant.forward((), A)
    assert jnp.isfinite(y)
    assert jnp.isfinite(log_determinant.backward((), kept, jnp.ones(()))[1]).all()


def test_a_singular_matrix_is_at_minus_infinity():
    assert log_determinant.forward((), jnp.ones((2, 2)))[0] == -jnp.inf


MUTANTS = {
    "the inverse for its transpose": lambda A, d: d * np.linalg.inv(A),
    "the gradient of the determinant": lambda A, d: d * np.linalg.det(A) * np.linalg.inv(A).T,
    "the cotangent forgotten": lambda A, d: np.linalg.inv(A).T,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    A, delta = drawn()
    gradient = lambda *point: by_hand(log_determinant)(*point)[1]
    assert_value(gradient, (A, np.float64(delta)), delta * np.linalg.inv(A).T)
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(gradient, (A, np.float64(delta)), MUTANTS[name](A, delta))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_kept_when_compiled(dtype):
    y, kept = jax.jit(log_determinant.forward)((), jnp.eye(2, dtype=dtype))
    assert {y.dtype, jax.jit(log_determinant.backward)((), kept, y)[1].dtype} == {jnp.dtype(dtype)}


def test_what_does_not_fit_is_refused():
    for wrong in (jnp.ones((3, 2)), jnp.ones(3)):
        with pytest.raises(UsageError, match="log_determinant: x must be square matrices"):
            log_determinant.forward((), wrong)
    with pytest.raises(UsageError, match="the input must be floating"):
        log_determinant.init(jax.random.key(0), jax.ShapeDtypeStruct((2, 2), "int32"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("solved(factors, scaled, transposed=True)", "solved(factors, scaled)"),
        (
            "solved(factors, scaled, transposed=True)",
            "solved(factors, one, transposed=True)",
        ),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    at_one_shape = lambda module: module.log_determinant._replace(domain=array("2 2 2"))
    assert_named(log_determinant, right, wrong, tmp_path, at_one_shape, examples=10)
