"""Jacobians: rows are outputs, and the gate is diagonal."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import gate_open, one_if, relu


@bp.derivation(r"\frac{\partial y}{\partial x}", items=("S3.2",))
def rows_are_outputs(W: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"]):
    """The Jacobian of f: ℝⁿ → ℝᵐ is m × n: a row for each output, a column for each input."""
    params = {"W": W, "b": b}
    yield line(r"\frac{\partial y}{\partial x}", jax.jacobian(lambda x: relu(W @ x + b))(x), "definition")
    yield line(
        r"\left(\frac{\partial y_i}{\partial x_j}\right)_{ij}",
        jnp.stack([jax.grad(lambda x, i=i: relu(W @ x + b)[i])(x) for i in range(len(b))]),
        "row i is the gradient of y_i",
    )
    yield line(
        r"\mathrm{diag}(1(z \ge 0))\, W", jnp.diag(one_if(W @ x + b >= 0)) @ W, "y = relu(z), z = W x + b"
    )
    _, kept = bp.mlp((x.size, len(b)), gate_open, gate_open).forward((params,), x)
    yield line(r"m \times n", bp.holds(W.shape == (len(b), x.size)), "numerator layout")
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.layer_step(params, kept[0], e_i)[1] for e_i in jnp.eye(len(b))]),
        "row i is the backward pass of component i",
    )


@bp.derivation(r"\frac{\partial a}{\partial z}", items=("S3.2", "S3.13"))
def the_gate(z: Float[Array, " n"]):
    """Applied to each component, relu has a diagonal Jacobian: ∂a_i/∂z_j = 0 for j ≠ i."""
    yield line(r"\frac{\partial a}{\partial z}", jax.jacobian(relu)(z), "definition")
    yield line(
        r"\delta_{ij}\, \mathrm{relu}'(z_i)",
        jnp.einsum("ij,i->ij", jnp.eye(z.size), jax.vmap(jax.grad(relu))(z)),
        "a_i = relu(z_i) hears z_i alone",
    )
    yield line(r"\mathrm{diag}(1(z_i \ge 0))", jnp.diag(one_if(z >= 0)), "the slope of relu, 1 at zero too")
    _, kept = bp.rules.relu_with(1.0).forward((), z)
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.relu_with(1.0).backward((), kept, e_i)[1] for e_i in jnp.eye(z.size)]),
        "row by row, what this library runs",
    )
