"""Bugs from public projects outside the formula: transposes, shapes, lost or overwritten cotangents."""

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int, Shaped

from backproof.arguments import array, integers
from backproof.selftest.case import Args, Cotangents, by_vjp

POOL = 3
COLUMNS = 4
SIZES = st.sampled_from((1, 2, 3, 5))
SEEDS = st.integers(0, 2**32 - 1)


# Matrix times vector: ∂A = ct bᵀ, an outer product; the transpose of a vector is that vector.


def _matvec(A: Float[Array, "m k"], b: Float[Array, " k"]) -> Float[Array, " m"]:
    return A @ b


def _matvec_as_if_of_matrices(args: Args, ct: Array) -> Cotangents:
    A, b = args
    return ct @ b.T, A.T @ ct


def _matvec_pullback(args: Args, ct: Array) -> Cotangents:
    A, b = args
    return ct[:, None] * b[None, :], A.T @ ct


# RMS normalisation with a weight.


def _unit_rms(x: Float[Array, "n h"]) -> tuple[Float[Array, "n h"], Float[Array, "n 1"]]:
    scale = 1 / jnp.sqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6)
    return x * scale, scale


def _rms_norm(x: Float[Array, "n h"], w: Float[Array, " h"]) -> Float[Array, "n h"]:
    return _unit_rms(x)[0] * w


def _rms_norm_pullback(args: Args, ct: Array) -> Cotangents:
    x, w = args
    unit, scale = _unit_rms(x)
    delta = ct * w
    return scale * (delta - unit * (unit * delta).mean(-1, keepdims=True)), (ct * unit).sum(0)


def _rms_norm_without_weight(args: Args, ct: Array) -> Cotangents:
    return _rms_norm_pullback(args, ct)[0], None


# Solve U x = b: entries below the diagonal are not read, so their cotangent is zero.


def _solve_upper(U: Float[Array, "n n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    return solve_triangular(jnp.triu(U), b)


def _solve_upper_dense(args: Args, ct: Array) -> Cotangents:
    U, b = args
    delta_b = solve_triangular(jnp.triu(U), ct, trans=1)
    return -delta_b[:, None] * _solve_upper(U, b)[None, :], delta_b


def _solve_upper_pullback(args: Args, ct: Array) -> Cotangents:
    dense, delta_b = _solve_upper_dense(args, ct)
    return jnp.triu(dense), delta_b


# Solve Lᵀ x = b, L lower triangular: ∂b = L⁻¹ ct, ∂L = −tril(x ∂bᵀ).


def _solve_transposed(L: Float[Array, "n n"], b: Float[Array, "n m"]) -> Float[Array, "n m"]:
    return solve_triangular(jnp.tril(L), b, lower=True, trans=1)


def _solve_as_if_not_transposed(args: Args, ct: Array) -> Cotangents:
    L, b = args
    delta_b = solve_triangular(jnp.tril(L), ct, lower=True, trans=1)
    return -jnp.tril(delta_b @ _solve_transposed(L, b).T), delta_b


def _solve_transposed_pullback(args: Args, ct: Array) -> Cotangents:
    L, b = args
    delta_b = solve_triangular(jnp.tril(L), ct, lower=True)
    return -jnp.tril(_solve_transposed(L, b) @ delta_b.T), delta_b


def _triangular_system(n: int, right_shape: tuple[int, ...], seed: int) -> Args:
    """Return a square matrix with a diagonal away from zero, and a right-hand side."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n, n)) / 2
    np.fill_diagonal(matrix, rng.uniform(1, 2, n))
    return matrix.astype(np.float32), rng.standard_normal((n, *right_shape)).astype(np.float32)


# Aᵀ B, where A has four columns and is given by values with their rows and columns.


def _from_triples(args: Args) -> Float[Array, "r 4"]:
    values, rows, columns, B = args
    return jnp.zeros((B.shape[0], COLUMNS), values.dtype).at[rows, columns].add(values)


def _transposed_product(
    values: Float[Array, " z"], rows: Int[Array, " z"], columns: Int[Array, " z"], B: Float[Array, "r k"]
) -> Float[Array, "4 k"]:
    return _from_triples((values, rows, columns, B)).T @ B


def _transposed_product_as_if_not(args: Args, ct: Array) -> Cotangents:
    _, rows, columns, B = args
    return (ct[rows] * B[columns]).sum(1), None, None, _from_triples(args) @ ct


def _transposed_product_pullback(args: Args, ct: Array) -> Cotangents:
    _, rows, columns, B = args
    return (ct[columns] * B[rows]).sum(1), None, None, _from_triples(args) @ ct


# Zero padding: one row above, two columns on the right.


def _pad(x: Float[Array, "m n"]) -> Float[Array, "m+1 n+2"]:
    return jnp.pad(x, ((1, 0), (0, 2)))


# Max pooling, window 3, stride 1: an input may be the largest in several windows.


def _windows(x: Float[Array, "b n"]) -> Float[Array, "b out 3"]:
    out = x.shape[1] - POOL + 1
    return jnp.stack([x[:, i : i + out] for i in range(POOL)], axis=-1)


def _max_pool(x: Float[Array, "b n"]) -> Float[Array, "b out"]:
    return _windows(x).max(-1)


def _max_pool_overwriting(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    offset = _windows(x).argmax(-1)
    rows, grad = jnp.arange(x.shape[0]), jnp.zeros_like(x)
    for start in range(ct.shape[1]):
        grad = grad.at[rows, start + offset[:, start]].set(ct[:, start])
    return (grad,)


def _max_pool_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    offset = _windows(x).argmax(-1)
    grad = jnp.zeros_like(x)
    for i in range(POOL):
        grad = grad.at[:, i : i + ct.shape[1]].add(jnp.where(offset == i, ct, 0))
    return (grad,)


# Two uses of one input: its cotangents add up.


def _upsample_and_scale(x: Float[Array, "b n"]) -> dict[str, Shaped[Array, "..."]]:
    return {"twice": jnp.repeat(x, 2, axis=1), "scaled": 3 * x}


def _from_twice(x: Float[Array, "b n"], ct: dict[str, Array]) -> Float[Array, "b n"]:
    return ct["twice"].reshape(*x.shape, 2).sum(-1)


# (2x)²: a residual taken as a constant makes the second derivative wrong.


def _square_of_double(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.square(2 * x)


def _at_least_one_by_one(x: Array) -> bool:
    return min(x.shape) >= 1


def _some_columns(x: Array) -> bool:
    return x.shape[1] >= 1


def _as_wide_as_the_window(x: Array) -> bool:
    return x.shape[1] >= POOL


CASES = (
    by_vjp(
        "vector taken for a matrix", "structure", "harvard-edge/cs249r_book#1781",
        _matvec,
        [array("m k", low=-5, high=5, where=_at_least_one_by_one), array("k", low=-5, high=5)],
        wrong=_matvec_as_if_of_matrices, right=_matvec_pullback,
    ),
    by_vjp(
        "weight of RMS norm forgotten", "structure", "unslothai/unsloth#4533",
        _rms_norm,
        [array("n h", low=-5, high=5, where=_some_columns), array("h", low=-3, high=3)],
        wrong=_rms_norm_without_weight, right=_rms_norm_pullback,
    ),
    by_vjp(
        "triangle that is not read", "structure", "jax-ml/jax#1458",
        _solve_upper,
        st.builds(_triangular_system, SIZES, st.just(()), SEEDS),
        wrong=_solve_upper_dense, right=_solve_upper_pullback,
    ),
    by_vjp(
        "transpose of a triangular solve ignored", "transpose", "pymc-devs/pytensor#1230",
        _solve_transposed,
        st.builds(_triangular_system, SIZES, st.tuples(SIZES), SEEDS),
        wrong=_solve_as_if_not_transposed, right=_solve_transposed_pullback,
    ),
    by_vjp(
        "transpose of a sparse matrix ignored", "transpose", "jax-ml/jax#40625",
        _transposed_product,
        [
            array("z", low=-10, high=10),
            integers("z", 0, "r"),
            integers("z", 0, COLUMNS - 1),
            array("r+1 k", low=-10, high=10),
        ],
        wrong=_transposed_product_as_if_not, right=_transposed_product_pullback,
    ),
    by_vjp(
        "pad ignores its cotangent", "cotangent", "apache/mxnet#19043",
        _pad,
        [array("m n", low=-10, high=10)],
        wrong=lambda args, _: (jnp.ones_like(args[0]),), right=lambda _, ct: (ct[1:, :-2],),
    ),
    by_vjp(
        "max pooling overwrites", "state", "FluxML/Flux.jl#1197",
        _max_pool,
        [array("b n", low=-10, high=10, where=_as_wide_as_the_window)],
        wrong=_max_pool_overwriting, right=_max_pool_pullback,
    ),
    by_vjp(
        "second use overwrites the first", "state", "huggingface/candle#3507",
        _upsample_and_scale,
        [array("b n", low=-10, high=10)],
        wrong=lambda args, ct: (_from_twice(args[0], ct),),
        right=lambda args, ct: (_from_twice(args[0], ct) + 3 * ct["scaled"],),
    ),
    by_vjp(
        "saved intermediate is a constant", "transform", "pytorch/pytorch#58509",
        _square_of_double,
        [array("n", low=-10, high=10)],
        wrong=lambda args, ct: (4 * lax.stop_gradient(2 * args[0]) * ct,),
        right=lambda args, ct: (8 * args[0] * ct,),
    ),
)  # fmt: skip
