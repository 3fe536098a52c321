"""The chain rule on a neuron, and the figures of the course."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import ONE
from .s01_chain_rule import a_product, a_sum


@bp.derivation(
    r"\frac{\partial f}{\partial w}, \frac{\partial f}{\partial x}", items=("S3.1",), uses=(a_sum, a_product)
)
def a_neuron(w: Float[Array, " 3"], x: Float[Array, " 2"]):
    """A neuron, f = 1/(1 + e^{−s}), s = w_0 x_0 + w_1 x_1 + w_2: one simple function after the other."""

    def f_of(w, x):
        return 1 / (1 + jnp.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))

    s = w[0] * x[0] + w[1] * x[1] + w[2]
    u = 1 + jnp.exp(-s)
    f = 1 / u
    of_s = jnp.stack([x[0], x[1], jnp.ones(())]), w[:2]
    yield line(
        r"\frac{\partial f}{\partial w},\; \frac{\partial f}{\partial x}",
        jax.grad(f_of, (0, 1))(w, x),
        "definition",
    )
    yield line(
        r"\left(-\frac{1}{u^2}\right) \cdot 1 \cdot e^{-s} \cdot (-1) \cdot"
        r" \frac{\partial s}{\partial (w, x)}, \quad u = 1 + e^{-s}",
        jax.tree.map(lambda of_leaf: (-1 / u**2) * 1.0 * jnp.exp(-s) * -1.0 * of_leaf, of_s),
        "1/u, then 1 + v, then e^r, then −s; then products and sums",
    )
    yield line(
        r"(1 - f)\, f\, \frac{\partial s}{\partial (w, x)}",
        jax.tree.map(lambda of_leaf: (1 - f) * f * of_leaf, of_s),
        "e^{−s}/u² = (u − 1)/u · 1/u = (1 − f) f",
    )
    params = {"W": w[None, :2], "b": w[2:]}
    _, kept = bp.mlp((2, 1), bp.rules.sigmoid, bp.rules.sigmoid).forward((params,), x)
    grads, of_x = bp.layer_step(params, kept[0], jnp.ones(1))
    yield line(
        r"\frac{\partial f}{\partial x} = (1 - f) f\, w",
        bp.equal(of_x, (1 - f) * f * w[:2]),
        "and so w is what x hears",
    )
    yield line(
        r"\texttt{backproof}",
        (jnp.concatenate([grads["W"][0], grads["b"]]), bp.layer_step(params, kept[0], jnp.ones(1))[1]),
        "what this library runs",
    )


@bp.derivation(r"w = (2, -3, -3),\; x = (-1, -2)", items=("S3.1",), uses=(a_neuron,), args=[ONE])
def the_figures_of_the_course(one):
    """The numbers that the course gives for this neuron, to its three digits."""
    params, x = {"W": one * jnp.array([[2.0, -3.0]]), "b": jnp.array([-3.0])}, jnp.array([-1.0, -2.0])
    f, kept = bp.mlp((2, 1), bp.rules.sigmoid, bp.rules.sigmoid).forward((params,), x)
    grads, of_x = bp.layer_step(params, kept[0], jnp.ones(1))
    for name, got, figure in (
        ("f", f[0], 0.731),
        (r"\partial f / \partial w_0", grads["W"][0, 0], -0.197),
        (r"\partial f / \partial w_1", grads["W"][0, 1], -0.393),
        (r"\partial f / \partial w_2", grads["b"][0], 0.197),
        (r"\partial f / \partial x_0", of_x[0], 0.393),
        (r"\partial f / \partial x_1", of_x[1], -0.590),
    ):
        yield line(rf"{name} = {figure}", bp.at_most(jnp.abs(got - figure), 0.0005), "to three digits")
