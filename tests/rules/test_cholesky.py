"""The Cholesky factor against its double loop, by autodiff, and against SciPy and mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.linalg
from laws_of_rules import by_autodiff, by_hand

from agreement import assert_agrees, assert_value
from backproof.arguments import spd
from backproof.errors import UsageError
from backproof.rules import cholesky
from slips_in_files import assert_named


def looped(A):
    """Return the factor of the symmetric part of A, number by number, row by row."""
    A = (A + jnp.swapaxes(A, -1, -2)) / 2
    n = A.shape[-1]
    rows: list[list] = []
    for i in range(n):
        row = []
        for j in range(i + 1):
            rest = (
                A[..., i, j] - sum((row[k] * rows[j][k] for k in range(j)), start=0 * A[..., i, j])
                if j < i
                else (A[..., i, i] - sum((row[k] ** 2 for k in range(i)), start=0 * A[..., i, i]))
            )
            row.append(rest / rows[j][j] if j < i else jnp.sqrt(rest))
        rows.append(row)
    zero = jnp.zeros(A.shape[:-2], A.dtype)
    full = [jnp.stack([*row, *[zero] * (n - len(row))], axis=-1) for row in rows]
    return jnp.stack(full, axis=-2) if full else A


def drawn(batch=(), n=3, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((*batch, n, n))
    return root @ np.swapaxes(root, -1, -2) + np.eye(n), rng.standard_normal((*batch, n, n))


@pytest.mark.parametrize(("batch", "n"), [((), 3), ((2,), 3), ((2, 1), 2), ((0,), 2), ((2,), 1), ((2,), 0)])
def test_it_is_that_of_the_loop_over_rows_and_its_gradient_is_symmetric(batch, n):
    assert_agrees(by_hand(cholesky), by_autodiff(looped), *drawn(batch, n))


def test_it_is_that_of_mpmath_and_of_scipy():
    A, delta = drawn()
    with mpmath.workdps(60):
        exact = np.array(mpmath.cholesky(mpmath.matrix(A.tolist())).tolist(), float)
    assert_value(lambda A: by_hand(cholesky)(A, delta)[0], (A,), exact)
    assert_value(lambda A: by_hand(cholesky)(A, delta)[0], (A,), scipy.linalg.cholesky(A, lower=True))


def test_the_slope_of_log_det_through_the_factor_is_the_inverse():
    A, _ = drawn()

    def through_factor(A):
        L, kept = cholesky.forward((), A)
        delta_L = 2 * jnp.eye(3, dtype=L.dtype) / L  # log det A = 2 Σ log l_ii
        return cholesky.backward((), kept, jnp.where(jnp.eye(3, dtype=bool), delta_L, 0))[1]

    assert_agrees(through_factor, jnp.linalg.inv, A)


def test_a_cotangent_above_the_diagonal_does_not_matter():
    A, delta = drawn()
    gradient = lambda delta: by_hand(cholesky)(A, delta)[1]
    assert_agrees(gradient, lambda delta: gradient(jnp.tril(delta)), delta)


def sym(S):
    return (S + S.T) / 2


MUTANTS = {
    "the half of the diagonal forgotten": lambda L, P, inv: sym(inv.T @ np.tril(P) @ inv),
    "the diagonal left out": lambda L, P, inv: sym(inv.T @ np.tril(P, -1) @ inv),
    "not symmetric": lambda L, P, inv: inv.T @ (np.tril(P) - np.diag(np.diag(P)) / 2) @ inv,
    "twice": lambda L, P, inv: 2 * sym(inv.T @ (np.tril(P) - np.diag(np.diag(P)) / 2) @ inv),
    "the factor on the wrong side": lambda L, P, inv: sym(
        inv @ (np.tril(P) - np.diag(np.diag(P)) / 2) @ inv.T
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    A, delta = drawn()
    L = np.linalg.cholesky(A)
    inverse, product = np.linalg.inv(L), L.T @ delta
    gradient = lambda *point: by_hand(cholesky)(*point)[1]
    half = np.tril(product) - np.diag(np.diag(product)) / 2
    assert_value(gradient, (A, delta), sym(inverse.T @ half @ inverse))
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(gradient, (A, delta), MUTANTS[name](L, product, inverse))


def test_a_matrix_that_is_not_positive_definite_gives_nan():
    assert jnp.isnan(cholesky.forward((), jnp.array([[1.0, 2.0], [2.0, 1.0]]))[0]).any()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_kept_when_compiled(dtype):
    L, kept = jax.jit(cholesky.forward)((), jnp.eye(2, dtype=dtype))
    assert {L.dtype, jax.jit(cholesky.backward)((), kept, L)[1].dtype} == {jnp.dtype(dtype)}


def test_what_does_not_fit_is_refused():
    for wrong in (jnp.ones((3, 2)), jnp.ones(3)):
        with pytest.raises(UsageError, match="x must be square matrices in its last two axes"):
            cholesky.forward((), wrong)
    with pytest.raises(UsageError, match="the input must be floating"):
        cholesky.init(jax.random.key(0), jax.ShapeDtypeStruct((2, 2), "int32"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(jnp.tril(S) + jnp.tril(S, -1)) / 2", "jnp.tril(S)"),
        ("((S + _transposed(S)) / 2)", "S"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    at_one_shape = lambda module: module.cholesky._replace(domain=spd("2 2"))
    assert_named(cholesky, right, wrong, tmp_path, at_one_shape, examples=10)
