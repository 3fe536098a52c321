"""The gate at exactly zero."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import f, gate
from .s3_through_a_layer import through_a_layer


@bp.derivation(r"\mathbb{I}[0 > 0]", items=("S1.7",))
def nothing_passes_at_zero(da: Float[Array, " m"]):
    """The gate is strict: at z = 0 exactly it is shut, whatever arrives."""
    zero = jnp.zeros_like(da)
    yield line(
        r"\left.\frac{\partial f}{\partial z}\right|_{0} \odot da", jax.vjp(f, zero)[1](da)[0], "definition"
    )
    yield line(r"\mathbb{I}[0 > 0] \odot da", gate(zero) * da, "the document's gate")
    yield line(r"0", jnp.zeros_like(da), "0 > 0 is false")
    yield line(r"\texttt{backproof}", bp.rules.relu.backward((), f(zero), da)[1], "what this library runs")
    yield line(
        r"\texttt{backproof at } -0", bp.rules.relu.backward((), f(-zero), da)[1], "and at the other zero"
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial z_{\iota-1}}",
    items=("E1", "S1.7"),
    uses=(through_a_layer,),
    refutes=bp.Refutes(
        line=2,
        erratum="E1(e)",
        cause="at-zeros",
        because="The book's notebook 7.2 opens the gate where x > 0, notebook 7.3 where x ≥ 0: two"
        " subgradients, equal but at z = 0. With W = 1, b = 0, x = 0, y = 1 the first gives ∂L/∂b_0 = 0, the"
        " second −1. Either may be taken; one network must not take both.",
    ),
)
def two_gates(W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"], dz: Float[Array, " n"]):
    """Two gates in one book."""
    yield line(
        r"\frac{\partial L_i}{\partial z_{\iota-1}}",
        jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0],
        "definition",
    )
    yield line(
        r"\mathbb{I}[z > 0] \odot (W^{\top} dz)", gate(z) * (W.T @ dz), "the document, and notebook 7.2"
    )
    yield line(
        r"\mathbb{I}[z \ge 0] \odot (W^{\top} dz)", jnp.where(z >= 0, 1.0, 0.0) * (W.T @ dz), "notebook 7.3"
    )


@bp.derivation(r"f'(0)", items=("E1", "S1.7"), args=[bp.array("", low=0, high=0)])
def slopes_at_zero(zero):
    """Equal functions, to which autodiff gives different slopes at the kink; each has a rule here."""
    slopes = {
        "jax.nn.relu": (f, 0.0),
        "where(z > 0, z, 0)": (lambda z: jnp.where(z > 0, z, 0.0), 0.0),
        "maximum(z, 0)": (lambda z: jnp.maximum(z, 0.0), 0.5),
        "where(z >= 0, z, 0)": (lambda z: jnp.where(z >= 0, z, 0.0), 1.0),
        "(z + abs(z))/2": (lambda z: (z + jnp.abs(z)) / 2, 1.0),
    }
    for name, (function, slope) in slopes.items():
        rule = bp.rules.relu_with(slope) if slope else bp.rules.relu
        shown, (_, residuals) = rule.name.replace("_", r"\_"), rule.forward((), zero[None])
        yield line(
            rf"\text{{{name}}}: f'(0) = {slope}",
            bp.equal(jax.grad(function)(zero), slope),
            "autodiff of this way to write ReLU",
        )
        yield line(
            rf"\texttt{{{shown}}}: f'(0) = {slope}",
            bp.equal(rule.backward((), residuals, jnp.ones(1))[1][0], slope),
            "the rule of this library with the same slope",
        )


@bp.derivation(r"\frac{\partial L}{\partial b_0}", items=("E1", "S1.7"))
def smallest_network_at_the_kink():
    """W = 1, b = 0, x = 0, y = 1, half the squared error: z = 0, and the gates part."""
    phi, x, y = ({"W": jnp.ones((1, 1)), "b": jnp.zeros(1)},), jnp.zeros(1), jnp.ones(1)
    for gate_rule, expected in ((bp.rules.relu, 0.0), (bp.rules.relu_with(1.0), -1.0)):
        net = bp.mlp((1, 1), gate_rule, last=gate_rule)
        yield line(
            rf"\frac{{\partial L}}{{\partial b_0}} = {expected:g}",
            bp.equal(bp.value_and_grad(net, bp.losses.half_squared_error)(phi, x, y)[1][0]["b"][0], expected),
            f"with {gate_rule.name}: {gate_rule.at_kinks}",
        )
