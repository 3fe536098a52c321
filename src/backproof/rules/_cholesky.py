r"""The Cholesky factor L, lower triangular with A = L Lᵀ, of symmetric positive-definite matrices A.

Backward, from δL, the gradient by the factor, the gradient by A is
    sym(L⁻ᵀ Φ(Lᵀ δL) L⁻¹),   with sym(S) = (S + Sᵀ)/2,
where Φ takes the lower triangle, with half of the diagonal. It follows from dL = L Φ(L⁻¹ dA L⁻ᵀ), and the
half is there because L⁻¹ dL and its transpose, which sum to L⁻¹ dA L⁻ᵀ, share the diagonal. Entries of δL
above the diagonal do not matter: L is 0 there, whatever A is, and Φ leaves them out.
Entries of a symmetric matrix move together. This is the gradient of A ↦ L((A + Aᵀ)/2), which is symmetric,
and the convention of `jnp.linalg.cholesky`: a_ij and its mirror a_ji have half of the slope each. Code that
stores one triangle alone must add the two halves.
Kept is L. Everything is computed in float32 at least. A matrix that is not positive definite gives NaN.
Source: Murray 2016, "Differentiation of the Cholesky decomposition", arXiv:1602.07527 (derived in
`docs/catalogue/linear_algebra.py`; the paper was not at hand).
Slips that people make: the half of the diagonal forgotten, S left unsymmetric; the report names the line.
"""

import jax
import jax.numpy as jnp
from jax import lax

from backproof.arguments import spd
from backproof.rule import Rule
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._solve import Matrix, require_square


def cholesky_init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
    """Return no parameters, and the form of L, which is that of A."""
    require_square(x, "cholesky")
    return (), x


def cholesky_forward(params: tuple[()], x: Matrix) -> tuple[Matrix, Matrix]:
    """Return L in the precision of A, and in float32 at least."""
    require_square(x, "cholesky")
    L = jnp.linalg.cholesky(x.astype(at_least_float32(x)))
    return L.astype(x.dtype), L


def cholesky_backward(params: tuple[()], L: Matrix, delta_L: Matrix) -> tuple[tuple[()], Matrix]:
    """Return ((), sym(L⁻ᵀ Φ(Lᵀ δL) L⁻¹))."""
    phi = _lower_with_half_the_diagonal(_transposed(L) @ delta_L.astype(L.dtype))
    half = lax.linalg.triangular_solve(L, phi, left_side=True, lower=True, transpose_a=True)
    S = lax.linalg.triangular_solve(L, half, left_side=False, lower=True)
    return (), ((S + _transposed(S)) / 2).astype(delta_L.dtype)


def _lower_with_half_the_diagonal(S: Matrix) -> Matrix:
    """Return Φ(S)."""
    return (jnp.tril(S) + jnp.tril(S, -1)) / 2


def _transposed(S: Matrix) -> Matrix:
    return jnp.swapaxes(S, -1, -2)


cholesky: Rule = Rule("cholesky", cholesky_init, cholesky_forward, cholesky_backward, spd("2 3"))
