"""The error at the output: the base case of the induction, computed once for both gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line, rules

from . import SHIPPED, SIGMAS, J, drawn, dsigma, network, sigma
from .s1_loss import loss_slope


@bp.derivation(
    r"\delta^L = (a^L - y) \odot \sigma'(z^L)",
    items=("S0.3", "S0.9"),
    uses=(loss_slope,),
    of=(r"\frac{\partial J}{\partial z^L}", lambda z, y: J(sigma(z), y)),
    ships=lambda z, y: rules.sigmoid.backward((), rules.sigmoid.forward((), z)[1], sigma(z) - y)[1],
)
def output_delta(z: Float[Array, " n"], y: Float[Array, " n"]):
    """The error at the output, the base case: from the definition to what the shipped backward pass runs."""
    yield line(
        r"\Bigl(\frac{\partial a^L}{\partial z^L}\Bigr)^{\top} \frac{\partial J}{\partial a^L}",
        jax.jacobian(sigma)(z).T @ (sigma(z) - y),
        "chain rule",
    )
    yield line(
        r"\operatorname{diag}(\sigma'(z^L)) (a^L - y)",
        jnp.diag(dsigma(z)) @ (sigma(z) - y),
        "σ acts on each component alone, so its Jacobian is diagonal",
    )
    yield line(
        r"(a^L - y) \odot \sigma'(z^L)", (sigma(z) - y) * dsigma(z), "a diagonal matrix scales components"
    )


def slope(f, z):
    """f′(z) for a function f of one number, component by component."""
    return jax.vmap(jax.grad(f))(z)


@bp.derivation(r"\delta^L = (a^L - y) \odot \sigma'(z^L)", items=("S0.2", "S0.3"))
def output_delta_for_every_sigma(z: Float[Array, " n"], y: Float[Array, " n"]):
    """The same for σ the sigmoid, tanh, softplus and the sine: the document's proof uses none of them."""
    each = SIGMAS.items()
    yield line(
        r"\frac{\partial J}{\partial z^L}",
        {n: jax.grad(lambda z, f=f: J(f(z), y))(z) for n, f in each},
        "definition",
    )
    yield line(r"(a^L - y) \odot \sigma'(z^L)", {n: (f(z) - y) * slope(f, z) for n, f in each}, "S0.3")
    yield line(
        r"\texttt{backward}",
        {n: SHIPPED[n].backward((), SHIPPED[n].forward((), z)[1], f(z) - y)[1] for n, f in each},
        "what this library runs",
    )


@bp.derivation(r"\delta^l \text{ is computed once a layer}", items=("S0.6",))
def shared_factor():
    """∂J/∂z^l is common to both gradients, so it is computed first and once.

    Counted in the traced backward pass of a network of four layers: L − 1 products Wᵀδ, L outer products
    δaᵀ, one Wᵀδ for the input, and σ′ once a layer. (cos is the slope of sin, and stands nowhere else.)
    """
    sizes = (3, 4, 2, 5, 2)
    L = len(sizes) - 1
    net = network(sizes, rules.sin)
    params, x, _ = drawn(sizes)
    residuals = net.forward(params, x)[1]
    traced = str(jax.make_jaxpr(net.backward)(params, residuals, jnp.ones(sizes[-1])))
    yield line(
        r"(L-1) + L + 1",
        bp.equal(traced.count("dot_general["), (L - 1) + L + 1),
        "matrix products in the sweep",
    )
    yield line(r"L", bp.equal(traced.count(" cos "), L), "slopes of σ in the sweep")
