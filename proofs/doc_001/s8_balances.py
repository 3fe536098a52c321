"""Balances, by which a pass can be checked with no second opinion."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import DATUM, PHI, f, g, gate, widths
from .s3_through_a_layer import slope_of_f, through_a_layer
from .s5_first_layer import whole_backward_pass


@bp.derivation(
    r"\langle z_\iota, \frac{\partial L_i}{\partial z_\iota} \rangle",
    items=("S1.12",),
    uses=(slope_of_f,),
    ships=lambda z, dx: jnp.vdot(z, bp.rules.relu.backward((), f(z), dx)[1]),
)
def balance_across_a_gate(z: Float[Array, " m"], dx: Float[Array, " m"]):
    """ReLU is linear on either side of 0: what it passes on, it passes on in full. `dx` is ∂L_i/∂x_{ι+1}."""
    yield line(
        r"\langle z_\iota, \partial L_i/\partial z_\iota \rangle",
        jnp.vdot(z, jax.vjp(f, z)[1](dx)[0]),
        "definition",
    )
    yield line(
        r"\langle z_\iota, \mathbb{I}[z_\iota > 0] \odot dx \rangle", jnp.vdot(z, gate(z) * dx), "the gate"
    )
    yield line(
        r"\langle z_\iota \odot \mathbb{I}[z_\iota > 0], dx \rangle",
        jnp.vdot(z * gate(z), dx),
        "moved across",
    )
    yield line(
        r"\langle x_{\iota+1}, \partial L_i/\partial x_{\iota+1} \rangle",
        jnp.vdot(f(z), dx),
        "z I[z > 0] = f[z]",
    )


@bp.derivation(
    r"\langle z_\iota, \frac{\partial L_i}{\partial z_\iota} \rangle",
    items=("S1.12",),
    uses=(through_a_layer, balance_across_a_gate),
)
def balance_across_a_layer(
    W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"], dz: Float[Array, " n"]
):
    """Between neighbours nothing is lost but the bias; a wrong step shows here, whatever came from above."""
    yield line(
        r"\langle z_\iota, \partial L_i/\partial z_\iota \rangle",
        jnp.vdot(z, jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0]),
        "definition",
    )
    yield line(
        r"\langle x_{\iota+1}, W_{\iota+1}^{\top} \partial L_i/\partial z_{\iota+1} \rangle",
        jnp.vdot(f(z), W.T @ dz),
        "the balance across the gate",
    )
    yield line(
        r"\langle W_{\iota+1} x_{\iota+1}, \partial L_i/\partial z_{\iota+1} \rangle",
        jnp.vdot(W @ f(z), dz),
        "what a transpose is",
    )
    yield line(
        r"\langle z_{\iota+1} - b_{\iota+1}, \partial L_i/\partial z_{\iota+1} \rangle",
        jnp.vdot((b + W @ f(z)) - b, dz),
        "z = b + W x",
    )
    phi = ({"W": jnp.eye(z.size), "b": jnp.zeros(z.size)}, {"W": W, "b": b})
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, z)
    wrong = gate(z) * (2 * W.T @ dz)
    yield line(
        r"\langle z_\iota, \text{a wrong step} \rangle \neq"
        r" \langle z_{\iota+1} - b_{\iota+1}, \partial L_i/\partial z_{\iota+1} \rangle",
        bp.differ(jnp.vdot(z, wrong), jnp.vdot((b + W @ f(z)) - b, dz), somewhere=True),
        "a step with a 2 too many does not balance",
    )
    yield line(
        r"\langle z_\iota, \texttt{backproof} \rangle",
        jnp.vdot(z, bp.deltas(phi, residuals, dz)[0]),
        "what this library runs, in a network that begins with z_ι",
    )


@bp.derivation(
    r"\text{unit 1, dead}",
    items=("S1.12",),
    uses=(whole_backward_pass,),
    args=[PHI[:2], DATUM, bp.array("q")],
)
def a_dead_unit(phi, x_i, dz_1):
    """A unit whose gate is shut learns nothing and passes nothing on."""
    z_0 = phi[0]["b"] + phi[0]["W"] @ x_i
    yield bp.assume(z_0[0] <= 0, r"z_{0,1} \le 0")
    grads = jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_1)[0]
    yield line(
        r"\left(\frac{\partial L_i}{\partial W_0}\right)_{1,:},\;"
        r" \left(\frac{\partial L_i}{\partial b_0}\right)_1,\;"
        r" \left(\frac{\partial L_i}{\partial W_1}\right)_{:,1}",
        (
            jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_1)[0][0]["W"][0],
            grads[0]["b"][0],
            grads[1]["W"][:, 0],
        ),
        "definition",
    )
    dz_01 = gate(z_0)[0] * jnp.vdot(phi[1]["W"][:, 0], dz_1)
    yield line(
        r"\frac{\partial L_i}{\partial z_{0,1}} x_i,\; \frac{\partial L_i}{\partial z_{0,1}},\;"
        r" \frac{\partial L_i}{\partial z_1} x_{1,1}",
        (dz_01 * x_i, dz_01, dz_1 * f(z_0)[0]),
        "the rules, for the first component",
    )
    yield line(
        r"0,\; 0,\; 0",
        (jnp.zeros_like(x_i), jnp.zeros(()), jnp.zeros_like(dz_1)),
        "the gate is shut, and x_{1,1} = f[z_{0,1}] = 0",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    shipped = bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[0]
    yield line(
        r"\texttt{backproof}",
        (
            bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[0][0]["W"][0],
            shipped[0]["b"][0],
            shipped[1]["W"][:, 0],
        ),
        "what this library runs",
    )
