"""The gradients of the biases."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import df, f_hidden, f_last, g, with_bias, with_one
from .s4_two_derivatives import of_one_input, of_one_weight
from .s6_bias_as_a_neuron import bias_as_a_column


@bp.derivation(
    r"\frac{\partial g}{\partial \tilde W^1}, \frac{\partial g}{\partial \tilde W^2}",
    items=("S2.10",),
    uses=(bias_as_a_column, of_one_weight, of_one_input),
    args=[bp.array("p d"), bp.array("p"), bp.array("q p"), bp.array("q"), bp.array("d")],
)
def bias_gradients(W_1, b_1, W_2, b_2, x):
    """With the bias in W̃ the document's two derivatives stay as they are; one error is dropped."""

    def loss(W_1, b_1, W_2, b_2):
        return g(f_last(W_2 @ f_hidden(W_1 @ x + b_1) + b_2))

    def augmented(V_1, V_2):
        return g(f_last(V_2 @ with_one(f_hidden(V_1 @ with_one(x)))))

    V_1, V_2 = with_bias(W_1, b_1), with_bias(W_2, b_2)
    z_1 = V_1 @ with_one(x)
    z_2 = V_2 @ with_one(f_hidden(z_1))
    s_2 = jax.grad(g)(f_last(z_2)) * jax.vmap(jax.grad(f_last))(z_2)
    e_1 = (V_2.T @ s_2)[:-1]  # the last component belongs to the constant neuron: nobody is below it
    yield line(
        r"\left[\frac{\partial g}{\partial W^k} \,\middle|\, \frac{\partial g}{\partial b^k}\right]_{k ="
        r" 1, 2}",
        tuple(
            jnp.concatenate([of_W, of_b[:, None]], axis=1)
            for of_W, of_b in (
                jax.grad(loss, argnums=(0, 1))(W_1, b_1, W_2, b_2),
                jax.grad(loss, argnums=(2, 3))(W_1, b_1, W_2, b_2),
            )
        ),
        "definition, with an explicit bias",
    )
    yield line(
        r"\left(\frac{\partial g}{\partial \tilde W^k}\right)_{k = 1, 2}",
        jax.grad(augmented, argnums=(0, 1))(V_1, V_2),
        "the bias is the last column of W̃",
    )
    yield line(
        r"\left(e^k_a f'(z^k_a)\, \tilde y^{k-1}_b\right)_{k = 1, 2}",
        (
            jnp.einsum("a,b->ab", e_1 * df(z_1), with_one(x)),
            jnp.einsum("a,b->ab", s_2, with_one(f_hidden(z_1))),
        ),
        "the document's rule, with ỹ for y; the error of the constant neuron is dropped",
    )
    yield line(
        r"\left[ e^k_a f'(z^k_a)\, y^{k-1}_b \,\middle|\, e^k_a f'(z^k_a) \right]_{k = 1, 2}",
        (
            with_bias(jnp.einsum("a,b->ab", e_1 * df(z_1), x), e_1 * df(z_1)),
            with_bias(jnp.einsum("a,b->ab", s_2, f_hidden(z_1)), s_2),
        ),
        "the last component of ỹ is 1: the last column is ∂g/∂b^k",
    )
    params = ({"W": W_1, "b": b_1}, {"W": W_2, "b": b_2})
    net = bp.mlp((x.size, len(b_1), len(b_2)), bp.rules.tanh, bp.rules.sigmoid)
    y_K, kept = net.forward(params, x)
    yield line(
        r"\texttt{backproof}",
        tuple(
            with_bias(layer["W"], layer["b"])
            for layer in bp.mlp((x.size, len(b_1), len(b_2)), bp.rules.tanh, bp.rules.sigmoid).backward(
                params, kept, jax.grad(g)(y_K)
            )[0]
        ),
        "what this library runs, W and b put side by side",
    )
