"""The batch."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import PHI, f, g, gate, widths
from .s5_first_layer import whole_backward_pass


@bp.derivation(
    r"\frac{\partial}{\partial \phi} \sum_i L_i",
    items=("S1.8",),
    uses=(whole_backward_pass,),
    args=[PHI[:2], bp.array("B d"), bp.array("B q")],
)
def batch(phi, x, dz_1):
    """Calculate these derivatives for every sample of the batch and add them up."""
    z_0 = x @ phi[0]["W"].T + jnp.ones((len(x), 1)) * phi[0]["b"][None, :]
    dz_0 = gate(z_0) * (dz_1 @ phi[1]["W"])
    yield line(
        r"\frac{\partial}{\partial \phi} \sum_i L_i",
        jax.grad(lambda phi: jnp.sum(jax.vmap(lambda x_i, dz: jnp.vdot(dz, g(phi, x_i)))(x, dz_1)))(phi),
        "definition, each L_i with its own ∂L_i/∂z_M",
    )
    yield line(
        r"\sum_i \frac{\partial L_i}{\partial \phi}",
        jax.tree.map(
            lambda of_each: of_each.sum(axis=0),
            jax.vmap(lambda x_i, dz: jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz)[0])(x, dz_1),
        ),
        "a derivative of a sum is the sum of the derivatives",
    )
    yield line(
        r"\left(\sum_i \frac{\partial L_i}{\partial z_\iota} x_\iota^{\top},\;"
        r" \sum_i \frac{\partial L_i}{\partial z_\iota}\right)_{\iota = 0, 1}",
        (
            {"W": jnp.einsum("ia,ib->ab", dz_0, x), "b": jnp.einsum("ia->a", dz_0)},
            {"W": jnp.einsum("ia,ib->ab", dz_1, f(z_0)), "b": jnp.einsum("ia->a", dz_1)},
        ),
        "the rules of one sample, summed",
    )
    yield line(
        r"\left(D_\iota^{\top} X_\iota,\; D_\iota^{\top} 1\right)_{\iota = 0, 1}",
        (
            {"W": dz_0.T @ x, "b": dz_0.sum(axis=0)},
            {"W": dz_1.T @ f(z_0), "b": dz_1.sum(axis=0)},
        ),
        "with a sample in each row, the sum of products is one product of matrices",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x)
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[0],
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial}{\partial \phi} \frac{1}{B} \sum_i L_i",
    items=("S1.8",),
    uses=(batch,),
    args=[PHI[:1], bp.array("B d"), bp.array("B p")],
    ships=lambda phi, x, y: bp.value_and_grad(
        bp.mlp(widths(phi), bp.rules.relu), bp.losses.mean(bp.losses.half_squared_error)
    )(phi, x, y)[1],
)
def mean_of_a_batch(phi, x, y):
    """A mean over the batch divides W and b alike; to average b alone is neither convention."""
    (only,) = phi
    size = len(x)

    def squares(phi):
        return jax.vmap(lambda x_i, y_i: jnp.sum((g(phi, x_i) - y_i) ** 2) / 2)(x, y)

    yield line(
        r"\frac{\partial}{\partial \phi} \frac{1}{B} \sum_i L_i",
        jax.grad(lambda phi: jnp.mean(squares(phi)))(phi),
        "definition",
    )
    total = jax.grad(lambda phi: jnp.sum(squares(phi)))(phi)
    yield line(
        r"\frac{1}{B} \sum_i \frac{\partial L_i}{\partial \phi}",
        jax.tree.map(lambda leaf: leaf / size, total),
        "every leaf of the sum, divided by B",
    )
    D = x @ only["W"].T + jnp.ones((size, 1)) * only["b"][None, :] - y
    yield line(
        r"\frac{1}{B} D^{\top} X,\; \frac{1}{B} D^{\top} 1",
        ({"W": D.T @ x / size, "b": D.sum(axis=0) / size},),
        "∂L_i/∂z = z − y for half the squared error",
    )
    yield line(
        r"\left(D^{\top} X, \tfrac{1}{B} D^{\top} 1\right) \neq \sum_i \partial L_i / \partial \phi",
        bp.differ(({"W": D.T @ x, "b": D.sum(axis=0) / size},), total, somewhere=True),
        "averaging the bias alone is not the sum …",
    )
    yield line(
        r"\left(D^{\top} X, \tfrac{1}{B} D^{\top} 1\right) \neq \tfrac{1}{B} \sum_i \partial L_i /"
        r" \partial \phi",
        bp.differ(
            ({"W": D.T @ x, "b": D.sum(axis=0) / size},),
            jax.tree.map(lambda leaf: leaf / size, total),
            somewhere=True,
        ),
        "… and not the mean",
    )
