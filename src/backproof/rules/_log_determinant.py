r"""The logarithm of the determinant's magnitude, y = log |det A|, for square matrices A.

Backward, from δy = ∂L/∂y:   ∂L/∂A = δy A⁻ᵀ.
With A = P L U, y is the sum of log |u_ii|: a product of the u_ii would overflow in large matrices. The sign
of the determinant is constant around A, and is not returned. Kept are the factors, of which A⁻ᵀ is made in
the backward pass alone. Everything is computed in float32 at least. A singular matrix has y = −∞ and no
gradient.
Source: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", https://people.maths.ox.ac.uk/gilesm/files/AD2008.pdf (derived in
`docs/catalogue/linear_algebra.py`; the paper was not at hand).
Slips that people make: A⁻¹ for A⁻ᵀ, which no symmetric A shows, and the cotangent forgotten; the report
names the line.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.rule import Rule
from backproof.rules._solve import Factors, Matrix, factorised, require_square, solved


def log_determinant_init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
    """Return no parameters, and the form of y: one number for each matrix."""
    require_square(x, "log_determinant")
    return (), jax.ShapeDtypeStruct(x.shape[:-2], x.dtype)


def log_determinant_forward(params: tuple[()], x: Matrix) -> tuple[Float[Array, "*batch"], Factors]:
    """Return log |det A|, and the factors of A."""
    require_square(x, "log_determinant")
    factors = factorised(x)
    diagonal = jnp.diagonal(factors[0], axis1=-2, axis2=-1)
    return jnp.log(jnp.abs(diagonal)).sum(axis=-1).astype(x.dtype), factors


def log_determinant_backward(
    params: tuple[()], factors: Factors, delta_y: Float[Array, "*batch"]
) -> tuple[tuple[()], Matrix]:
    """Return ((), δy A⁻ᵀ)."""
    lu, _ = factors
    one = jnp.broadcast_to(jnp.eye(lu.shape[-1], dtype=lu.dtype), lu.shape)
    scaled = delta_y.astype(lu.dtype)[..., None, None] * one
    return (), solved(factors, scaled, transposed=True).astype(delta_y.dtype)


log_determinant: Rule = Rule(
    "log_determinant",
    log_determinant_init,
    log_determinant_forward,
    log_determinant_backward,
    array("2 3 3"),
)
