"""Forward, through one layer and through all."""

import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import INPUT, WEIGHTS, f_hidden, f_last, layers, widths


@bp.derivation(r"y^k", items=("S2.4",))
def a_layer_forward(W: Float[Array, "n m"], y: Float[Array, " m"]):
    """One layer, from the matrix to the sums that the document writes out. `y` is y^{k−1}."""
    n, m = W.shape
    yield line(r"f(W y)", f_last(W @ y), "definition")
    yield line(r"f(W_{ij} y_j)", f_last(jnp.einsum("ij,j->i", W, y)), "the product by its indices")
    yield line(
        r"\left(f\left(\sum_j W_{ij} y_j\right)\right)_i",
        jnp.stack([f_last(sum(W[i, j] * y[j] for j in range(m))) for i in range(n)]),
        "one component at a time",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp((m, n), bp.rules.tanh, bp.rules.sigmoid).forward(layers((W,)), y)[0],
        "what this library runs",
    )


@bp.derivation(
    r"y^K",
    items=("S2.4",),
    uses=(a_layer_forward,),
    args=[WEIGHTS, INPUT],
    ships=lambda weights, x: bp.mlp(widths(weights), bp.rules.tanh, bp.rules.sigmoid).forward(
        layers(weights), x
    )[0],
)
def all_layers_forward(weights, x):
    """The layers merged into one function of y^0 = x."""
    W_1, W_2, W_3 = weights
    y_1 = f_hidden(W_1 @ x)
    y_2 = f_hidden(W_2 @ y_1)
    yield line(r"f^K(W^K y^{K-1})", f_last(W_3 @ y_2), "the last layer")
    yield line(r"f^K(W^K f^{K-1}(W^{K-1} y^{K-2}))", f_last(W_3 @ f_hidden(W_2 @ y_1)), "the one before it")
    yield line(
        r"f^K(W^K \cdots f^1(W^1 y^0))", f_last(W_3 @ f_hidden(W_2 @ f_hidden(W_1 @ x))), "down to the input"
    )
