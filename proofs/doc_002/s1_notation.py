"""Notation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import INPUT, WEIGHTS, f_hidden, f_last, layers, widths


@bp.derivation(r"n_k,\; W^k,\; y^k", items=("S2.1", "S2.2"), args=[WEIGHTS, INPUT])
def shapes(weights, x):
    """Superscripts count layers; n_k, the width of layer k, is the one subscript that does too."""
    n = widths(weights)
    params = layers(weights)
    y_K, kept = bp.mlp(n, bp.rules.tanh, bp.rules.sigmoid).forward(params, x)
    y = [*(k.x for k in kept), y_K]
    yield line(
        r"k = 1, \ldots, K", bp.holds(len(params) == len(kept) == len(n) - 1), "a matrix for every layer"
    )
    for k in (1, 2, 3):
        yield line(
            rf"W^{k} \in \mathbb{{R}}^{{n_{k} \times n_{k - 1}}}",
            bp.holds(params[k - 1]["W"].shape == (n[k], n[k - 1])),
            "a linear operator from ℝ^{n_{k−1}} to ℝ^{n_k}, as a matrix",
        )
        yield line(
            rf"y^{k} \in \mathbb{{R}}^{{n_{k}}}", bp.holds(y[k].shape == (n[k],)), "what layer k puts out"
        )
    yield line(r"y^0 = x", bp.equal(y[0], x), "the input is what layer 0 puts out")


@bp.derivation(r"y^2", items=("S2.1",))
def superscripts_are_no_powers(W_1: Float[Array, "p d"], W_2: Float[Array, "p p"], x: Float[Array, " d"]):
    """y^2 is the output of layer 2, and y^1_i its component before."""
    y_1 = f_hidden(W_1 @ x)
    y_2, kept = bp.mlp((x.size, y_1.size, y_1.size), bp.rules.tanh, bp.rules.sigmoid).forward(
        layers((W_1, W_2)), x
    )
    yield line(r"y^1 = f^1(W^1 y^0)", bp.equal(kept[1].x, y_1), "layer 1")
    yield line(r"y^2 = f^2(W^2 y^1)", bp.equal(y_2, f_last(W_2 @ y_1)), "layer 2")
    yield line(r"y^2 \neq y^1 \odot y^1", bp.differ(y_2, y_1 * y_1, somewhere=True), "no power")


@bp.derivation(r"\frac{\partial y_i}{\partial W_{ab}}", items=("S2.1",))
def subscripts_are_components(W: Float[Array, "n m"], y: Float[Array, " m"]):
    """Component i of a layer hears row i of its matrix and no other."""
    of_W = jax.jacobian(lambda W: f_hidden(W @ y))(W)
    other_rows = jnp.einsum("ia,iab->iab", 1 - jnp.eye(len(W)), of_W)
    yield line(
        r"\frac{\partial y_i}{\partial W_{ab}} = 0 \quad (a \neq i)",
        bp.equal(other_rows, jnp.zeros_like(other_rows)),
        "row a of W belongs to component a",
    )
    row = jnp.einsum("iib->ib", of_W)
    yield line(
        r"\frac{\partial y_i}{\partial W_{ib}} \neq 0",
        bp.differ(row, jnp.zeros_like(row), somewhere=True),
        "its own",
    )


@bp.derivation(r"W(\alpha u + v)", items=("S2.2",))
def a_linear_operator(
    W: Float[Array, "n m"], u: Float[Array, " m"], v: Float[Array, " m"], alpha: Float[Array, ""]
):
    """W^k is linear, and its columns are the images of the basis."""
    yield line(
        r"W(\alpha u + v) = \alpha W u + W v",
        bp.equal(W @ (alpha * u + v), alpha * (W @ u) + W @ v),
        "linearity",
    )
    yield line(
        r"W = (W e_1, \ldots, W e_{n_{k-1}})",
        bp.equal(jax.vmap(lambda basis: W @ basis)(jnp.eye(u.size)).T, W),
        "columns",
    )
    no_bias = {"W": W, "b": jnp.zeros(len(W))}
    yield line(
        r"\texttt{backproof}",
        bp.equal(bp.rules.affine(len(W)).forward(no_bias, u)[0], W @ u),
        "what this library runs, with b = 0",
    )


@bp.derivation(r"\frac{\partial f^k(z)}{\partial z}", items=("S2.3",))
def f_acts_on_each_component(z: Float[Array, " n"]):
    """f^k: ℝ → ℝ, written over a vector, means: to every component. Its Jacobian is diagonal."""
    yield line(r"\frac{\partial f(z)}{\partial z}", jax.jacobian(f_hidden)(z), "definition")
    yield line(
        r"\left(\frac{\partial f(z_i)}{\partial z_j}\right)_{ij}",
        jnp.stack([jax.grad(lambda z, i=i: f_hidden(z[i]))(z) for i in range(z.size)]),
        "row i is the gradient of component i",
    )
    yield line(
        r"\mathrm{diag}(f'(z_i))",
        jnp.diag(jax.vmap(jax.grad(f_hidden))(z)),
        "f(z_i) does not hear z_j for j ≠ i",
    )
    y, kept = bp.rules.tanh.forward((), z)
    yield line(
        r"f(z) = (f(z_1), \ldots, f(z_n))",
        bp.equal(y, jnp.stack([f_hidden(z_i) for z_i in z])),
        "by component",
    )
    yield line(
        r"\texttt{backproof}",
        jax.vmap(lambda e: bp.rules.tanh.backward((), kept, e)[1])(jnp.eye(z.size)),
        "row by row, what this library runs",
    )
