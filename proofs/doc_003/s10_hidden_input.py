"""Backward: through the gate, to z^(1)."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import LABEL, TESTNET, J_of, cross_entropy, h, indicator, one_if, relu
from .s03_jacobians import the_gate
from .s09_hidden_output import hidden_output


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(1)}}",
    items=("S3.13",),
    uses=(the_gate, hidden_output),
    args=[TESTNET[1], bp.array("4"), LABEL],
)
def hidden_input(layer, z_1, y):
    """Through the gate: entry by entry, for ∂a/∂z is diagonal."""
    W, b = layer["W"], layer["b"]
    z_2 = W @ relu(z_1) + b
    delta = h(z_2) - indicator(y, z_2)
    of_a = jax.grad(lambda a: J_of(W @ a + b, y))(relu(z_1))
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}}",
        jax.grad(lambda z: J_of(W @ relu(z) + b, y))(z_1),
        "definition",
    )
    yield line(
        r"\sum_j \frac{\partial J}{\partial a_j} \frac{\partial a_j}{\partial z_i}",
        jnp.stack([jnp.vdot(of_a, jax.jacobian(relu)(z_1)[:, i]) for i in range(4)]),
        "chain rule at a^(1)",
    )
    yield line(
        r"\frac{\partial J}{\partial a_i}\, 1(z_i \ge 0)",
        jnp.stack([of_a[i] * one_if(z_1[i] >= 0) for i in range(4)]),
        "the Jacobian is diagonal",
    )
    yield line(
        r"\left(\sum_k (p(y=k) - 1(y=k))\, W_{k,i}\right) 1(z_i \ge 0)",
        jnp.stack([(delta[0] * W[0, i] + delta[1] * W[1, i]) * one_if(z_1[i] >= 0) for i in range(4)]),
        "∂J/∂a^(1), component i",
    )
    yield line(
        r"\left((W^{(2)})^{\top} \delta^{(2)}\right) * 1(z^{(1)} \ge 0)",
        (W.T @ delta) * one_if(z_1 >= 0),
        "as vectors",
    )
    a_1, kept = bp.rules.relu_with(1.0).forward((), z_1)
    of_z_2 = cross_entropy.backward(cross_entropy.forward(W @ a_1 + b, y)[1])
    yield line(
        r"\texttt{backproof}",
        bp.rules.relu_with(1.0).backward((), kept, bp.rules.affine(2).backward(layer, a_1, of_z_2)[1])[1],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(1)}}",
    items=("E3", "S3.13"),
    args=[TESTNET[1], bp.array("4"), LABEL],
    uses=(hidden_input,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(i)",
        cause="contract-shape",
        because="∂J/∂a · ∂a/∂z is a product with a diagonal matrix; the display puts the vector of its"
        " diagonal in its place. A product of two vectors is one number. With vectors it must be the product"
        " entry by entry.",
    ),
)
def a_vector_for_a_diagonal_matrix(layer, z_1, y):
    """∂J/∂a^(1) · ∂a^(1)/∂z^(1), with the vector 1(z ≥ 0) for the Jacobian."""
    W, b = layer["W"], layer["b"]
    of_a = jax.grad(lambda a: J_of(W @ a + b, y))(relu(z_1))
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}}",
        jax.grad(lambda z: J_of(W @ relu(z) + b, y))(z_1),
        "definition",
    )
    yield line(
        r"\frac{\partial J}{\partial a} \cdot \frac{\partial a}{\partial z}",
        of_a @ jnp.diag(one_if(z_1 >= 0)),
        "with a matrix",
    )
    yield line(r"\frac{\partial J}{\partial a} \cdot 1(z \ge 0)", of_a @ one_if(z_1 >= 0), "as printed")


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(1)}}",
    items=("E3", "S3.13"),
    args=[{"W": bp.array("2 n"), "b": bp.array("2")}, bp.array("n"), LABEL],
    uses=(hidden_input,),
    refutes=bp.Refutes(
        line=2,
        erratum="E3(l)",
        cause="at-zeros",
        because="The gate 1(z ≥ 0) is not the one of document 001, nor that of jax.nn.relu, which are shut"
        " at zero. They differ at z = 0 alone: W = 1, b = 0, x = 0, y = 1 gives −1 against 0. Both are"
        " subgradients.",
    ),
)
def the_gate_of_another_document(layer, z_1, y):
    """Document 003's gate, in a network whose relu is jax.nn.relu."""
    W, b = layer["W"], layer["b"]
    of_a = jax.grad(lambda a: J_of(W @ a + b, y))(jax.nn.relu(z_1))
    yield line(
        r"\frac{\partial J}{\partial z^{(1)}}",
        jax.grad(lambda z: J_of(W @ jax.nn.relu(z) + b, y))(z_1),
        "definition, with jax.nn.relu",
    )
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}} * 1(z^{(1)} > 0)", of_a * one_if(z_1 > 0), "document 001"
    )
    yield line(
        r"\frac{\partial J}{\partial a^{(1)}} * 1(z^{(1)} \ge 0)", of_a * one_if(z_1 >= 0), "document 003"
    )
