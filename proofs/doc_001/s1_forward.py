"""Forward through the network, and where the way back starts."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import DATUM, OUTPUT, PHI, f, g, widths


def kept_with(phi, kept):
    """Return (W_ι, b_ι, what layer ι keeps) for each layer."""
    return [(layer["W"], layer["b"], k) for layer, k in zip(phi, kept, strict=True)]


@bp.derivation(r"x_1, x_2, z_M", items=("S1.1",), args=[PHI, DATUM])
def forward(phi, x_i):
    """Calculate and store: what the backward pass will need, and the output."""
    (W_0, b_0), (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in phi)
    z_0 = b_0 + W_0 @ x_i
    x_1 = f(z_0)
    z_1 = b_1 + W_1 @ x_1
    x_2 = f(z_1)
    yield line(
        r"x_1,\; x_2,\; b_2 + W_2 x_2", (x_1, x_2, b_2 + W_2 @ x_2), "definition, one layer after the other"
    )
    yield line(
        r"f[b_0 + W_0 x_i],\; f[b_1 + W_1 f[\cdot]],\; b_2 + W_2 f[b_1 + W_1 f[b_0 + W_0 x_i]]",
        (
            f(b_0 + W_0 @ x_i),
            f(b_1 + W_1 @ f(b_0 + W_0 @ x_i)),
            b_2 + W_2 @ f(b_1 + W_1 @ f(b_0 + W_0 @ x_i)),
        ),
        "each letter replaced by what it stands for",
    )
    z_M, kept = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(r"\texttt{backproof}", (kept[1].x, kept[2].x, z_M), "what this library keeps and puts out")
    yield line(r"x_0 := x_i", bp.equal(kept[0].x, x_i), "the datum is kept as the input of the first layer")
    z = tuple(bp.rules.affine(len(b)).forward({"W": W, "b": b}, k.x)[0] for W, b, k in kept_with(phi, kept))
    yield line(r"z_0, z_1, z_M", bp.equal(z, (z_0, z_1, z_M)), "from which every z can be had again")


def loss(z_M, y_i):
    """Return a loss that no catalogue has: the start must not care which it is."""
    return jnp.sum(jnp.sin(z_M) * y_i) + jnp.sum(z_M) ** 2 / 4


@bp.derivation(
    r"\frac{\partial L_i}{\partial \phi}",
    items=("S1.2",),
    args=[PHI, DATUM, OUTPUT],
    of=(
        r"\frac{\partial}{\partial\phi}\, \mathrm{loss}[g[x_i, \phi], y_i]",
        lambda phi, x_i, y_i: loss(g(phi, x_i), y_i),
    ),
)
def start(phi, x_i, y_i):
    """The loss is heard of once, through ∂L_i/∂z_M; from there on any loss is the same."""
    z_M, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"\left(\frac{\partial z_M}{\partial \phi}\right)^{\top} \frac{\partial L_i}{\partial z_M}",
        jax.vjp(lambda phi: g(phi, x_i), phi)[1](jax.grad(loss)(z_M, y_i))[0],
        "chain rule at z_M",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, jax.grad(loss)(z_M, y_i))[0],
        "what this library runs",
    )


@bp.derivation(r"s\,u + t\,v", items=("S1.2",), args=[PHI, DATUM, OUTPUT, OUTPUT, bp.array(""), bp.array("")])
def linear_in_the_cotangent(phi, x_i, u, v, s, t):
    """Whatever ∂L_i/∂z_M is: the backward pass is linear in it."""
    net = bp.mlp(widths(phi), bp.rules.relu)
    _, residuals = net.forward(phi, x_i)
    _, pull = jax.vjp(lambda phi: g(phi, x_i), phi)
    yield line(
        r"\left(\frac{\partial z_M}{\partial \phi}\right)^{\top} (s u + t v)",
        jax.vjp(lambda phi: g(phi, x_i), phi)[1](s * u + t * v)[0],
        "definition",
    )
    yield line(
        r"s \left(\frac{\partial z_M}{\partial \phi}\right)^{\top} u"
        r" + t \left(\frac{\partial z_M}{\partial \phi}\right)^{\top} v",
        jax.tree.map(lambda of_u, of_v: s * of_u + t * of_v, pull(u)[0], pull(v)[0]),
        "a matrix acts linearly",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, s * u + t * v)[0],
        "what this library runs",
    )
