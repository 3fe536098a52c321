"""The seed at the top, and what travels down from it."""

import inspect

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import INPUT, WEIGHTS, df, f_hidden, f_last, g, layers, network, widths
from .s4_two_derivatives import of_one_input, of_one_weight


@bp.derivation(
    r"\frac{\partial g^{K+1}}{\partial y^K}",
    items=("S2.8",),
    uses=(of_one_weight, of_one_input),
    args=[WEIGHTS, INPUT],
    of=(r"\left(\frac{\partial g(y^K)}{\partial W^k}\right)_k", lambda weights, x: g(network(weights, x))),
)
def the_seed(weights, x):
    """The recursion needs g^{K+1} = g(y^K), and of it only the derivative at y^K.

    There is no W^{K+1}, so its derivative does not exist; nothing asks for it. Put a plane ⟨e, y⟩ with the
    same slope e = ∂g/∂y in place of g, and every gradient stays.
    """
    y_K = network(weights, x)
    e = jax.grad(g)(y_K)
    yield line(
        r"\left(\frac{\partial y^K}{\partial W^k}\right)^{\top} \frac{\partial g}{\partial y^K}",
        jax.vjp(lambda weights: network(weights, x), weights)[1](jax.grad(g)(y_K))[0],
        "chain rule at y^K: the seed is ∂g^{K+1}/∂y^K = ∂g/∂y^K",
    )
    yield line(
        r"\left(\frac{\partial \langle e, y^K \rangle}{\partial W^k}\right)_k, \quad e = \frac{\partial"
        r" g}{\partial y^K}",
        jax.grad(lambda weights: jnp.vdot(e, network(weights, x)))(weights),
        "any loss of that slope does as well",
    )
    _, kept = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)
    grads, _ = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).backward(layers(weights), kept, e)
    yield line(r"\texttt{backproof}", tuple(layer["W"] for layer in grads), "what this library runs")
    yield line(
        r"k = 1, \ldots, K", bp.equal(len(grads), len(weights)), "and there is no gradient of a W^{K+1}"
    )


@bp.derivation(
    r"\left(\frac{\partial g^k}{\partial W^k}\right)_k",
    items=("S2.6", "S2.7", "S2.9"),
    uses=(of_one_weight, of_one_input, the_seed),
    args=[WEIGHTS, INPUT],
    of=(r"\left(\frac{\partial g(y^K)}{\partial W^k}\right)_k", lambda weights, x: g(network(weights, x))),
)
def only_the_error_travels(weights, x):
    """Each layer takes its own cache and the error e^k = ∂g^{k+1}/∂y^k, and hands down e^{k−1}: no more."""
    W_1, W_2, W_3 = weights
    z_1 = W_1 @ x
    z_2 = W_2 @ f_hidden(z_1)
    z_3 = W_3 @ f_hidden(z_2)
    s_3 = jax.grad(g)(f_last(z_3)) * jax.vmap(jax.grad(f_last))(z_3)
    s_2 = (W_3.T @ s_3) * df(z_2)
    s_1 = (W_2.T @ s_2) * df(z_1)
    yield line(
        r"\left(e^k_a f'(z^k_a)\, y^{k-1}_b\right)_k, \quad e^{k-1}_a = \sum_i e^k_i f'(z^k_i) W^k_{ia}",
        (
            jnp.einsum("a,b->ab", s_1, x),
            jnp.einsum("a,b->ab", s_2, f_hidden(z_1)),
            jnp.einsum("a,b->ab", s_3, f_hidden(z_2)),
        ),
        "the two derivatives, from k = K to 1",
    )
    y_K, kept = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)
    step_3, e_2 = bp.layer_step(layers(weights)[2], kept[2], jax.grad(g)(y_K))
    step_2, e_1 = bp.layer_step(layers(weights)[1], kept[1], e_2)
    yield line(
        r"\texttt{backproof}",
        (bp.layer_step(layers(weights)[0], kept[0], e_1)[0]["W"], step_2["W"], step_3["W"]),
        "three steps of this library, with nothing passed on but e",
    )
    yield line(
        r"(W^k, \text{cache}^k, e^k) \mapsto (\partial g / \partial W^k, e^{k-1})",
        bp.holds([*inspect.signature(bp.layer_step).parameters] == ["params_l", "residuals_l", "delta_a"]),
        "a step has no other argument",
    )
