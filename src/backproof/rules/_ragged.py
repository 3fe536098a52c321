r"""The ragged product y_i = W_g x_i: rows of x lie group by group, and each group g has a matrix of its own.

With sizes n_1 … n_G, which sum to the number of rows, the first n_1 rows belong to group 1, the next n_2 to
group 2, and so on; a group may be empty. Backward, from δy = ∂L/∂y:
    ∂L/∂W_g = Σ of δy_i x_iᵀ over the rows i of group g,   δx_i = W_gᵀ δy_i.
The matrix of an empty group has gradient 0. Kept are x and the sizes.
The sizes are known only when the program runs, so their sum is not checked.
Source: the definition; such products are those of experts to which tokens have been sorted (Shazeer et al.
2017, "Outrageously large neural networks", arXiv:1701.06538; the paper was not at hand).
Slips that people make: δx takes the matrix of another group, where groups are empty; ∂L/∂W_g is a mean.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from backproof.arguments import array, partition
from backproof.errors import UsageError, message
from backproof.rule import (
    PyTree,
    Rule,
    parameter_dtype,
    require_floating,
    require_shape,
    require_whole_number,
)

Params = dict[str, Array]
# The rows, and the number of rows of each group.
Rows = tuple[Float[Array, "m n_in"], Int[Array, " groups"]]


def ragged_matmul(groups: int, n_out: int) -> Rule:
    """Return the rule y_i = W_g x_i, where x is the pair (rows, sizes), to (m, n_out).

    The rows have shape (m, n_in). The sizes, of shape (groups,), are whole numbers ≥ 0 that sum to m; they
    have no gradient: `delta_x` has None in their place. The parameters are `{"W": (groups, n_out, n_in)}`,
    which start as those of `affine` do.

    Args:
        groups: the number of groups.
        n_out: the number of outputs of each row.

    Raises:
        UsageError: `groups` or `n_out` is not a positive whole number.
    """
    groups = require_whole_number(groups, "groups", "ragged_matmul")
    n_out = require_whole_number(n_out, "n_out", "ragged_matmul")
    name = f"ragged_matmul({groups}, {n_out})"

    def init(key: jax.Array, x: PyTree) -> tuple[Params, jax.ShapeDtypeStruct]:
        _require_rows(x, groups, name)
        (m, n_in), dtype = x[0].shape, parameter_dtype(x[0])
        W = jax.random.normal(key, (groups, n_out, n_in), dtype) * (2 / max(n_in, 1)) ** 0.5
        return {"W": W}, jax.ShapeDtypeStruct((m, n_out), dtype)

    def forward(params: Params, x: Rows) -> tuple[Float[Array, "m n_out"], Rows]:
        _require_rows(x, groups, name)
        require_floating(params["W"], name, "W")
        rows, sizes = x
        shape = (groups, n_out, rows.shape[1])
        require_shape(params["W"], shape, name, "W", "initialise the parameters with rule.init(key, x)")
        return product(rows, params["W"].swapaxes(1, 2), sizes), x

    def backward(params: Params, x: Rows, delta_y: Float[Array, "m n_out"]) -> tuple[Params, PyTree]:
        W, (rows, sizes) = params["W"], x
        require_shape(delta_y, (len(rows), n_out), name, "delta_y", "pass ∂L/∂y, one row for each row of x")
        grad_W = sums_of_outer(delta_y, rows, sizes, W.dtype)
        return {"W": grad_W}, (product(delta_y, W, sizes), None)

    domain = (array("m n_in"), partition(f"{groups}", of="m"))
    return Rule(name, init, forward, backward, domain)


def product(
    rows: Float[Array, "m k"], matrices: Float[Array, "groups k n"], sizes: Int[Array, " groups"]
) -> Float[Array, "m n"]:
    """Return each row times the matrix of its group, in the dtype of the rows."""
    return lax.ragged_dot(rows, matrices.astype(rows.dtype), sizes)


def sums_of_outer(
    delta: Float[Array, "m n_out"],
    rows: Float[Array, "m n_in"],
    sizes: Int[Array, " groups"],
    dtype: DTypeLike,
) -> Float[Array, "groups n_out n_in"]:
    """Return Σ δy_i x_iᵀ over the rows of each group, in `dtype`."""
    over_rows = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
    return lax.ragged_dot_general(delta, rows, sizes, over_rows, preferred_element_type=dtype)


def _require_rows(x: PyTree, groups: int, where: str) -> None:
    """Raise `UsageError` unless `x` is floating rows and a whole number for each group."""
    if not isinstance(x, tuple) or len(x) != 2:
        raise UsageError(
            message(
                must="x must be a pair (rows, sizes)",
                found=f"{len(x)} entries" if isinstance(x, tuple) else type(x).__name__,
                where=where,
                do="pass the rows, sorted by group, and the number of rows of each group",
            )
        )
    rows, sizes = x
    require_floating(rows, where, "rows")
    if jnp.ndim(rows) != 2:
        raise UsageError(
            message(
                must="rows must have two axes",
                found=f"rows of shape {jnp.shape(rows)}",
                where=where,
                do="merge the axes of the batch first, e.g. rows.reshape(-1, n_in)",
            )
        )
    require_shape(sizes, (groups,), where, "sizes", "pass the number of rows of each group")
    if not jnp.issubdtype(sizes.dtype, jnp.integer):
        raise UsageError(
            message(
                must="sizes must be whole numbers",
                found=f"sizes of dtype {sizes.dtype}",
                where=where,
                do="convert them first, e.g. sizes.astype(jnp.int32)",
            )
        )
