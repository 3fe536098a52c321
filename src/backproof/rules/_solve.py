r"""The solution y = A⁻¹ b of a system of linear equations, x = (A, b), for square matrices A.

Backward, from δy = ∂L/∂y:   ∂L/∂b = A⁻ᵀ δy,   ∂L/∂A = −(∂L/∂b) yᵀ.
The first is a system with Aᵀ, the second the outer product with what the first gave: no inverse is made.
Kept are the factors of A = P L U and y. The factors are made once, in 2n³/3 operations; with them either
system takes 2n². Everything is computed in float32 at least. A singular matrix gives infinities or NaN.
Source: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", https://people.maths.ox.ac.uk/gilesm/files/AD2008.pdf (derived in
`docs/catalogue/linear_algebra.py`; the paper was not at hand).
Slips that people make: A for Aᵀ, which no symmetric A shows, and yᵀ ∂L/∂b for its transpose; the report names
the line.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule, require_floating, require_shape
from backproof.rules._rms_norm import at_least_float32

Matrix = Float[Array, "*batch n n"]
Vector = Float[Array, "*batch n"]
Columns = Float[Array, "*batch n k"]
# L and U in one matrix, and the order of the rows of A in it.
Factors = tuple[Matrix, Int[Array, "*batch n"]]


def solve_init(key: jax.Array, x: Any) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
    """Return no parameters, and the form of y, which is that of b."""
    _require_system(x)
    return (), x[1]


def solve_forward(params: tuple[()], x: tuple[Matrix, Vector]) -> tuple[Vector, tuple[Factors, Vector]]:
    """Return y = A⁻¹ b, and what the backward pass reads: the factors of A, and y."""
    _require_system(x)
    A, b = x
    factors = factorised(A)
    y = solved(factors, b.astype(factors[0].dtype)[..., None])[..., 0]
    return y.astype(b.dtype), (factors, y)


def solve_backward(
    params: tuple[()], kept: tuple[Factors, Vector], delta_y: Vector
) -> tuple[tuple[()], tuple[Matrix, Vector]]:
    """Return ((), (∂L/∂A, ∂L/∂b))."""
    factors, y = kept
    delta_b = solved(factors, delta_y.astype(y.dtype)[..., None], transposed=True)[..., 0]
    dtype = delta_y.dtype
    return (), ((-delta_b[..., :, None] * y[..., None, :]).astype(dtype), delta_b.astype(dtype))


def factorised(A: Matrix) -> Factors:
    """Return the factors of A, in float32 at least."""
    lu, _, rows = lax.linalg.lu(A.astype(at_least_float32(A)))
    return lu, rows


def solved(factors: Factors, columns: Columns, *, transposed: bool = False) -> Columns:
    """Return A⁻¹ B for columns B, or A⁻ᵀ B, from A with its rows in another order, which is L U."""
    lu, rows = factors
    through = partial(lax.linalg.triangular_solve, lu, left_side=True, transpose_a=transposed)
    unit = partial(through, lower=True, unit_diagonal=True)
    upper = partial(through, lower=False)
    if transposed:
        return _ordered(unit(upper(columns)), jnp.argsort(rows, axis=-1))
    return upper(unit(_ordered(columns, rows)))


def _ordered(columns: Columns, rows: Int[Array, "*batch n"]) -> Columns:
    return jnp.take_along_axis(columns, rows[..., None], axis=-2)


def require_square(A: Any, where: str, name: str = "x") -> None:
    """Raise `UsageError` unless `A`, called `name` in the text, is floating square matrices."""
    require_floating(A, where, name)
    shape = getattr(A, "shape", None)
    if shape is None or len(shape) < 2 or shape[-1] != shape[-2]:
        raise UsageError(
            message(
                must=f"{name} must be square matrices in its last two axes",
                found=f"{name} of shape {shape}" if shape is not None else type(A).__name__,
                where=where,
                do="pass an array of shape (*batch, n, n)",
            )
        )


def _require_system(x: Any) -> None:
    """Raise `UsageError` unless `x` is (A, b), of one dtype, with a right-hand side for each matrix."""
    is_pair = isinstance(x, tuple) and len(x) == 2
    if not is_pair or jnp.result_type(x[0]) != jnp.result_type(x[1]):
        found = f"dtypes {', '.join(str(jnp.result_type(one)) for one in x)}" if is_pair else type(x).__name__
        raise UsageError(
            message(
                must="the input must be (A, b), two arrays of one dtype",
                found=found,
                where="solve",
                do="pass (A, b), with A of shape (*batch, n, n) and b of shape (*batch, n)",
            )
        )
    require_square(x[0], "solve", "A")
    require_shape(x[1], x[0].shape[:-1], "solve", "b", "pass one right-hand side for each matrix")


# Other sizes show nothing more of this code, and each one compiles LAPACK's calls anew.
solve: Rule = Rule("solve", solve_init, solve_forward, solve_backward, (array("2 3 3"), array("2 3")))
