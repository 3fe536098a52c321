"""The way back, for one layer: to the layer below, and the two layouts that may not be mixed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import f, gate


@bp.derivation(r"\frac{\partial f[z]}{\partial z}", items=("S1.5", "S1.7"))
def slope_of_f(z: Float[Array, " m"]):
    """The Jacobian of ReLU, at 0 too, where both sides choose the slope 0."""
    yield line(r"\frac{\partial f[z]}{\partial z}", jax.jacobian(f)(z), "definition")
    yield line(
        r"\mathrm{diag}(f'[z_a])",
        jnp.where(jnp.eye(z.size) == 1, jax.vmap(jax.grad(f))(z)[:, None] * jnp.ones((1, z.size)), 0.0),
        "f acts on each component alone",
    )
    yield line(r"\mathrm{diag}(\mathbb{I}[z > 0])", jnp.diag(gate(z)), "f′ is 1 above zero and 0 elsewhere")
    yield line(
        r"\texttt{backproof}",
        jax.vmap(lambda e: bp.rules.relu.backward((), bp.rules.relu.forward((), z)[1], e)[1])(
            jnp.eye(z.size)
        ),
        "row by row, what this library runs",
    )


@bp.derivation(r"\frac{\partial L_i}{\partial z_{\iota-1}}", items=("S1.5",), uses=(slope_of_f,))
def through_a_layer(
    W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"], dz: Float[Array, " n"]
):
    """From ∂L_i/∂z_ι (`dz`) to ∂L_i/∂z_{ι−1}: the step that is repeated. `z` is z_{ι−1}."""
    yield line(
        r"\left(\frac{\partial z_\iota}{\partial z_{\iota-1}}\right)^{\top}"
        r" \frac{\partial L_i}{\partial z_\iota}",
        jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0],
        "definition: chain rule at z_ι, for any loss",
    )
    yield line(
        r"\left(\frac{\partial x_\iota}{\partial z_{\iota-1}}\right)^{\top}"
        r"\left(\frac{\partial z_\iota}{\partial x_\iota}\right)^{\top} \frac{\partial L_i}{\partial"
        r" z_\iota}",
        jax.jacobian(f)(z).T @ (jax.jacobian(lambda x: b + W @ x)(f(z)).T @ dz),
        "by way of x_ι = f[z_{ι−1}]",
    )
    yield line(
        r"\left(\frac{\partial x_\iota}{\partial z_{\iota-1}}\right)^{\top} W_\iota^{\top}"
        r" \frac{\partial L_i}{\partial z_\iota}",
        jax.jacobian(f)(z).T @ (W.T @ dz),
        "∂z_ι/∂x_ι = W_ι",
    )
    yield line(
        r"\mathrm{diag}(\mathbb{I}[z_{\iota-1} > 0])\, W_\iota^{\top} \frac{\partial L_i}{\partial z_\iota}",
        jnp.diag(gate(z)) @ (W.T @ dz),
        "the slope of f, a diagonal that is its own transpose",
    )
    yield line(
        r"\mathbb{I}[z_{\iota-1} > 0] \odot \left(W_\iota^{\top} \frac{\partial L_i}{\partial"
        r" z_\iota}\right)",
        gate(z) * (W.T @ dz),
        "a diagonal matrix multiplies entry by entry",
    )
    yield line(
        r"\texttt{backproof}",
        bp.rules.relu.backward((), f(z), bp.rules.affine(b.size).backward({"W": W, "b": b}, f(z), dz)[1])[1],
        "what this library runs, the gate read off x_ι = f[z_{ι−1}]",
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial z_{\iota-1}}",
    items=("E1",),
    uses=(through_a_layer,),
    refutes=bp.Refutes(
        line=2,
        erratum="E1(c)",
        cause="argument-transposed",
        because="The book printed the chain with its partial derivatives in the order of the numerator"
        " layout but the matrices of the other: W dz for Wᵀ dz. It fits only where W is square, and there it"
        " is silently another number. Its author: 'extremely difficult to find this kind of error in your"
        " own work'.",
    ),
)
def order_of_partials(
    W: Float[Array, "n n"], b: Float[Array, " n"], z: Float[Array, " n"], dz: Float[Array, " n"]
):
    """The order of the partial derivatives (udlbook, issue 39), read literally on square layers."""
    yield line(
        r"\frac{\partial L_i}{\partial z_{\iota-1}}",
        jax.vjp(lambda z: b + W @ f(z), z)[1](dz)[0],
        "definition",
    )
    yield line(r"\mathbb{I}[z > 0] \odot (W^{\top} dz)", gate(z) * (W.T @ dz), "the document")
    yield line(
        r"\mathbb{I}[z > 0] \odot \left(\frac{\partial z_\iota}{\partial x_\iota}"
        r" \frac{\partial L_i}{\partial z_\iota}\right)",
        gate(z) * (W @ dz),
        "∂z/∂x = W as a Jacobian with a row for each output, in the order of the other layout",
    )


@bp.derivation(
    r"\frac{\partial z_\iota}{\partial z_{\iota-1}}",
    items=("E1",),
    refutes=bp.Refutes(
        line=2,
        erratum="E1(d)",
        cause="transpose",
        because="The book's chapter and appendix put ∂f_j/∂z_i at (i, j): denominator layout, the transpose"
        " of what autodiff returns. The two may not be mixed in one line; in that layout gradients stay"
        " columns and the product runs Jacobian times gradient.",
    ),
)
def two_layouts(W: Float[Array, "n m"], b: Float[Array, " n"], z: Float[Array, " m"]):
    """One Jacobian, two layouts."""
    yield line(
        r"\frac{\partial z_\iota}{\partial z_{\iota-1}}",
        jax.jacobian(lambda z: b + W @ f(z))(z),
        "definition",
    )
    yield line(
        r"W_\iota\, \mathrm{diag}(\mathbb{I}[z_{\iota-1} > 0])",
        W @ jnp.diag(gate(z)),
        "a row for each output",
    )
    yield line(
        r"\mathrm{diag}(\mathbb{I}[z_{\iota-1} > 0])\, W_\iota^{\top}",
        jnp.diag(gate(z)) @ W.T,
        "the book's layout, a column for each output",
    )
