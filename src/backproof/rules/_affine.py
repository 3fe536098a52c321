r"""The affine map z = W x + b, with W of shape n_out × n_in as the documents write it.

Backward, from δz = ∂L/∂z:   ∂L/∂W = δz xᵀ,   ∂L/∂b = δz,   ∂L/∂x = Wᵀ δz,
the first two summed over the batch. Source: S0.8 (document 000), S1.3–S1.5 (UDL eqs 7.22, 7.23).
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from backproof.arguments import array
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
INIT = "initialise the parameters for this input with rule.init(key, x)"


def affine(n_out: int) -> Rule:
    """Return the rule z = W x + b from any n_in to `n_out` features.

    Its parameters are `{"W": (n_out, n_in), "b": (n_out,)}`; W starts from He's normal
    distribution (variance 2 / n_in; He et al. 2015, arXiv:1502.01852, eq. 10), b from zero.

    Raises:
        UsageError: `n_out` is not a positive whole number.
    """
    n_out = require_whole_number(n_out, "n_out", "affine")

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_floating_rows(x, f"affine({n_out})")
        n_in, dtype = x.shape[-1], parameter_dtype(x)
        W = jax.random.normal(key, (n_out, n_in), dtype) * (2 / max(n_in, 1)) ** 0.5
        return {"W": W, "b": jnp.zeros(n_out, dtype)}, jax.ShapeDtypeStruct((*x.shape[:-1], n_out), dtype)

    return Rule(f"affine({n_out})", init, affine_forward, affine_backward, array("*batch n"))


def affine_forward(
    params: Params, x: Float[Array, "*batch n_in"]
) -> tuple[Float[Array, "*batch n_out"], Float[Array, "*batch n_in"]]:
    """Return z = W x + b, and x, which the gradient of W needs."""
    require_affine_params(params, "affine")
    require_floating_rows(x, "affine")
    W, b = params["W"], params["b"]
    require_shape(x, (*x.shape[:-1], W.shape[1]), "affine", "x", f"W has shape {W.shape}; {INIT}")
    z = x @ W.T.astype(x.dtype)
    return z + jnp.broadcast_to(b.astype(z.dtype), z.shape), x


def affine_backward(
    params: Params, x: Float[Array, "*batch n_in"], delta_z: Float[Array, "*batch n_out"]
) -> tuple[Params, Float[Array, "*batch n_in"]]:
    """Return ({∂L/∂W, ∂L/∂b}, ∂L/∂x)."""
    require_delta_like_output(params, x, delta_z, "affine", "delta_z")
    return affine_grads(x, delta_z, params["W"].dtype), affine_delta(params, delta_z)


def affine_delta(params: Params, delta_z: Float[Array, "*batch n_out"]) -> Float[Array, "*batch n_in"]:
    """Return ∂L/∂x = Wᵀ δz, in the dtype of δz: the sum over the last axes of δz and Wᵀ.

    This equals δz W. In bfloat16, though, the CPU compiler runs a product with a transposed matrix in
    float32, as for z = x Wᵀ and for autodiff, while it runs δz W itself in bfloat16, which is slower.
    """
    return jnp.inner(delta_z, params["W"].T.astype(delta_z.dtype))


def affine_grads(
    x: Float[Array, "*batch n_in"], delta_z: Float[Array, "*batch n_out"], dtype: DTypeLike | None = None
) -> Params:
    """Return {∂L/∂W = Σ δz xᵀ, ∂L/∂b = Σ δz}, the sums taken over all leading axes, in `dtype` if given."""
    batch = tuple(range(delta_z.ndim - 1))
    grad_W = lax.dot_general(delta_z, x, ((batch, batch), ((), ())), preferred_element_type=dtype)
    return {"W": grad_W, "b": delta_z.sum(axis=batch, dtype=dtype)}


def require_floating_rows(x: PyTree, where: str) -> None:
    """Raise `UsageError` unless `x` is one floating array with a last axis to act on."""
    require_floating(x, where)
    if not hasattr(x, "shape") or len(x.shape) < 1:
        raise UsageError(
            message(
                must="the input must be one array with at least one axis",
                found=f"x of shape {getattr(x, 'shape', type(x).__name__)}",
                where=where,
                do="add a feature axis, e.g. x[..., None]",
            )
        )


def require_affine_params(params: Params, where: str) -> None:
    """Raise `UsageError` unless `params` is `{"W": …, "b": …}`, floating, with an entry of b per row of W."""
    keys = sorted(params) if isinstance(params, dict) else None
    if keys != ["W", "b"]:
        missing = [key for key in ("W", "b") if key not in (keys or ())]
        raise UsageError(
            message(
                must="the parameters must be a dict of W and b",
                found=f"no {' and no '.join(missing)}" if missing else f"keys {keys}",
                where=where,
                do=INIT,
            )
        )
    W, b = params["W"], params["b"]
    for name, leaf in params.items():
        require_floating(leaf, where, name)
    if jnp.ndim(W) != 2:
        raise UsageError(
            message(must="W must have two axes", found=f"W.shape={jnp.shape(W)}", where=where, do=INIT)
        )
    require_shape(b, W.shape[:1], where, "b", INIT)


def require_delta_like_output(params: Params, x: Array, delta: Array, where: str, name: str) -> None:
    """Raise `UsageError` unless `delta`, called `name` in the text, has the shape of W x + b."""
    expected = (*x.shape[:-1], params["W"].shape[0])
    require_shape(delta, expected, where, name, "pass ∂L/∂(output), one entry for each entry of the output")
