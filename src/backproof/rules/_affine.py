r"""The affine map z = W x + b, with W of shape n_out × n_in as the documents write it.

Backward, from δz = ∂L/∂z:   ∂L/∂W = δz xᵀ,   ∂L/∂b = δz,   ∂L/∂x = Wᵀ δz,
the first two summed over the batch. Source: S0.8 (document 000), S1.3–S1.5 (UDL eqs 7.22, 7.23).
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, parameter_dtype, require_floating, require_shape

Params = dict[str, Array]


def affine(n_out: int) -> Rule:
    """Return the rule z = W x + b from any n_in to `n_out` features.

    Its parameters are `{"W": (n_out, n_in), "b": (n_out,)}`; W starts from He's normal
    distribution (variance 2 / n_in; He et al. 2015, arXiv:1502.01852, eq. 10), b from zero.

    Raises:
        UsageError: `n_out` is not a positive whole number.
    """
    if not isinstance(n_out, int) or n_out < 1:
        raise UsageError(
            message(
                must="n_out must be a whole number of at least 1",
                found=f"n_out={n_out!r}",
                where="affine",
                do="pass the number of output features, e.g. affine(10)",
            )
        )

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
    W, b = params["W"], params["b"]
    require_floating_rows(x, "affine")
    require_shape(W, (*W.shape[:-1], x.shape[-1]), "affine", "W")
    require_shape(b, W.shape[:1], "affine", "b")
    z = x @ W.T
    return z + jnp.broadcast_to(b, z.shape), x


def affine_backward(
    params: Params, x: Float[Array, "*batch n_in"], delta_z: Float[Array, "*batch n_out"]
) -> tuple[Params, Float[Array, "*batch n_in"]]:
    """Return ({∂L/∂W, ∂L/∂b}, ∂L/∂x)."""
    return affine_grads(x, delta_z), delta_z @ params["W"]  # ∂L/∂x = Wᵀ δz


def affine_grads(x: Float[Array, "*batch n_in"], delta_z: Float[Array, "*batch n_out"]) -> Params:
    """Return {∂L/∂W = Σ δz xᵀ, ∂L/∂b = Σ δz}, the sums taken over all leading axes."""
    batch = tuple(range(delta_z.ndim - 1))
    grad_W = lax.dot_general(delta_z, x, ((batch, batch), ((), ())))
    return {"W": grad_W, "b": delta_z.sum(axis=batch)}


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
