"""A change of variables: the loss as a function of the parameters."""

import jax

import backproof as bp
from backproof import line

from . import INPUT, WEIGHTS, f_hidden, f_last, g, layers, network, widths
from .s2_forward import all_layers_forward


def g_3(W_3, y_2):
    """Return g^K(W^K, y^{K−1}) := g(f^K(W^K y^{K−1})), for K = 3."""
    return g(f_last(W_3 @ y_2))


def g_2(W_2, W_3, y_1):
    """Return g^{K−1}(W^{K−1}, W^K, y^{K−2}) := g^K(W^K, f^{K−1}(W^{K−1} y^{K−2}))."""
    return g_3(W_3, f_hidden(W_2 @ y_1))


def g_1(W_1, W_2, W_3, y_0):
    """Return g^{K−2}(W^{K−2}, …, W^K, y^{K−3}) := g^{K−1}(W^{K−1}, W^K, f^{K−2}(W^{K−2} y^{K−3}))."""
    return g_2(W_2, W_3, f_hidden(W_1 @ y_0))


@bp.derivation(
    r"g^k",
    items=("S2.5",),
    uses=(all_layers_forward,),
    args=[WEIGHTS, INPUT],
    ships=lambda weights, x: g(
        bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)[0]
    ),
)
def every_g_has_one_value(weights, x):
    """g^k ≡ g^K, says the document. Of values this is true: each is the loss, along one trajectory."""
    W_1, W_2, W_3 = weights
    y_1 = f_hidden(W_1 @ x)
    y_2 = f_hidden(W_2 @ y_1)
    y_3 = f_last(W_3 @ y_2)
    yield line(r"g^{K+1} = g(y^K)", g(y_3), "definition")
    yield line(r"g^K(W^K, y^{K-1})", g_3(W_3, y_2), "y^K = f^K(W^K y^{K−1})")
    yield line(r"g^{K-1}(W^{K-1}, W^K, y^{K-2})", g_2(W_2, W_3, y_1), "y^{K−1} = f^{K−1}(W^{K−1} y^{K−2})")
    yield line(r"g^1(W^1, \ldots, W^K, y^0)", g_1(W_1, W_2, W_3, x), "and so on down to the input")


@bp.derivation(
    r"\frac{\partial g^k}{\partial W^k}",
    items=("S2.5",),
    uses=(every_g_has_one_value,),
    args=[WEIGHTS, INPUT],
)
def total_and_partial(weights, x):
    """Of derivatives, g^k ≡ g^K says less than it seems.

    The derivative of the loss by W^k is a total one: W^k also moves y^k, …, y^K. g^k is made so that it is
    a partial one as well: with y^{k−1} held fixed, everything that W^k moves is inside g^k.
    """
    W_1, W_2, W_3 = weights
    y_1 = f_hidden(W_1 @ x)
    y_2 = f_hidden(W_2 @ y_1)
    yield line(
        r"\left(\frac{d g(y^K)}{d W^k}\right)_{k = 1 \ldots K}",
        jax.grad(lambda weights: g(network(weights, x)))(weights),
        "definition: all that W^k moves",
    )
    yield line(
        r"\left(\frac{\partial g^k(W^k, \ldots, W^K, y^{k-1})}{\partial W^k}\right)_{k = 1 \ldots K}",
        (
            jax.grad(g_1, argnums=0)(W_1, W_2, W_3, x),
            jax.grad(g_2, argnums=0)(W_2, W_3, y_1),
            jax.grad(g_3, argnums=0)(W_3, y_2),
        ),
        "y^{k−1} does not depend on W^k",
    )
    y_K, kept = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(layers(weights), x)
    grads, _ = bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).backward(
        layers(weights), kept, jax.grad(g)(y_K)
    )
    yield line(r"\texttt{backproof}", tuple(layer["W"] for layer in grads), "what this library runs")


@bp.derivation(
    r"\frac{\partial g}{\partial W^1}",
    items=("E2", "S2.5"),
    uses=(every_g_has_one_value, total_and_partial),
    args=[WEIGHTS[:2], INPUT],
    refutes=bp.Refutes(
        line=2,
        erratum="E2(f)",
        cause="missing",
        because="'g^k ≡ g^K, only the independent variable differs' is true of values and false of partial"
        " derivatives. g^K(W^K, y^{K−1}) has no argument W^k: with y^{K−1} held fixed its derivative by W^k"
        " is 0. ∂g^K/∂θ has to be read as the total derivative, through y^{K−1}, and that is ∂g^k/∂W^k.",
    ),
)
def the_last_g_differentiated_partially(weights, x):
    """∂g^K/∂θ, read as a partial derivative for a layer below the last; here K = 2 and k = 1."""
    W_1, W_2 = weights
    y_1 = f_hidden(W_1 @ x)
    yield line(
        r"\frac{d g(y^K)}{d W^1}",
        jax.grad(lambda W_1: g(network((W_1, W_2), x)))(W_1),
        "definition: the total derivative",
    )
    yield line(
        r"\frac{\partial g^1(W^1, W^2, y^0)}{\partial W^1}",
        jax.grad(lambda W_1: g_3(W_2, f_hidden(W_1 @ x)))(W_1),
        "the partial derivative of g^1, y^0 held fixed",
    )
    yield line(
        r"\frac{\partial g^K(W^K, y^{K-1})}{\partial W^1}",
        jax.grad(lambda _: g_3(W_2, y_1))(W_1),
        "g^1 ≡ g^K: the partial derivative of g^K, y^1 held fixed",
    )
