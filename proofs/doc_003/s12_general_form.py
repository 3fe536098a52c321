"""The general form, and one step of descent."""

import jax

import backproof as bp
from backproof import line

from . import CLASS, DATUM, LABEL, TESTNET, J_of, cross_entropy, gate_open, h, indicator, one_if, relu
from .s03_jacobians import the_gate
from .s07_residual import output_residual
from .s08_last_parameters import last_weights
from .s11_hidden_parameters import hidden_weights

DEEP = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
    {"W": bp.array("K q"), "b": bp.array("K")},
)


def deep(params, a):
    """Return z^(L) of the input a^(0)."""
    for layer in params[:-1]:
        a = relu(layer["W"] @ a + layer["b"])
    return params[-1]["W"] @ a + params[-1]["b"]


def widths(params):
    """Return n^(0), …, n^(L)."""
    return (params[0]["W"].shape[1], *(layer["b"].size for layer in params))


@bp.derivation(
    r"\nabla_{W^{(l)}} J, \nabla_{b^{(l)}} J",
    items=("S3.16",),
    uses=(output_residual, the_gate, hidden_weights),
    args=[DEEP, bp.array("d"), CLASS],
    of=(
        r"\left(\nabla_{W^{(l)}} J,\; \nabla_{b^{(l)}} J\right)_{l = 1 \ldots L}",
        lambda params, a_0, y: J_of(deep(params, a_0), y),
    ),
    ships=lambda params, a_0, y: bp.value_and_grad(bp.mlp(widths(params), gate_open), cross_entropy)(
        params, a_0, y
    )[1],
)
def general_form(params, a_0, y):
    """L layers and K classes, by the residuals δ^(l) = ∂J/∂z^(l); shown for L = 3."""
    W = [layer["W"] for layer in params]
    z_1 = W[0] @ a_0 + params[0]["b"]
    z_2 = W[1] @ relu(z_1) + params[1]["b"]
    z_3 = W[2] @ relu(z_2) + params[2]["b"]
    delta_3 = h(z_3) - indicator(y, z_3)
    delta_2 = (W[2].T @ delta_3) * one_if(z_2 >= 0)
    delta_1 = (W[1].T @ delta_2) * one_if(z_1 >= 0)
    yield line(
        r"\left(\frac{\partial J}{\partial z^{(l)}} (a^{(l-1)})^{\top},\;"
        r" \frac{\partial J}{\partial z^{(l)}}\right)_{l = 1 \ldots L}",
        tuple(
            {"W": delta[:, None] @ a[None, :], "b": delta}
            for delta, a in (
                (
                    jax.grad(
                        lambda z: J_of(W[2] @ relu(W[1] @ relu(z) + params[1]["b"]) + params[2]["b"], y)
                    )(z_1),
                    a_0,
                ),
                (jax.grad(lambda z: J_of(W[2] @ relu(z) + params[2]["b"], y))(z_2), relu(z_1)),
                (jax.grad(lambda z: J_of(z, y))(z_3), relu(z_2)),
            )
        ),
        "at every layer as at the two of TestNet",
    )
    yield line(
        r"\delta^{(L)} = h - 1(y),\;"
        r" \delta^{(l)} = \left((W^{(l+1)})^{\top} \delta^{(l+1)}\right) * 1(z^{(l)} \ge 0)",
        (
            {"W": delta_1[:, None] @ a_0[None, :], "b": delta_1},
            {"W": delta_2[:, None] @ relu(z_1)[None, :], "b": delta_2},
            {"W": delta_3[:, None] @ relu(z_2)[None, :], "b": delta_3},
        ),
        "the residuals, from l = L − 1 to 1",
    )


def testnet(params, a_0):
    """Return z^(2)."""
    hidden, top = params
    return top["W"] @ relu(hidden["W"] @ a_0 + hidden["b"]) + top["b"]


@bp.derivation(
    r"W^{(l)} - \alpha \frac{\partial J}{\partial W^{(l)}}",
    items=("S3.17",),
    uses=(last_weights, hidden_weights),
    args=[TESTNET, DATUM, LABEL, bp.array("")],
)
def update(params, a_0, y, alpha):
    """One step of gradient descent, on weights and biases."""
    yield line(
        r"W^{(l)}_{i,j} - \alpha \frac{\partial J}{\partial W^{(l)}_{i,j}},\;"
        r" b^{(l)}_i - \alpha \frac{\partial J}{\partial b^{(l)}_i}",
        jax.tree.map(
            lambda w, of_w: w - alpha * of_w,
            params,
            jax.grad(lambda params: J_of(testnet(params, a_0), y))(params),
        ),
        "definition",
    )
    grads = bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1]
    yield line(
        r"W^{(l)} - \alpha \nabla_{W^{(l)}} J,\; b^{(l)} - \alpha \nabla_{b^{(l)}} J",
        tuple(
            {"W": layer["W"] - alpha * of_layer["W"], "b": layer["b"] - alpha * of_layer["b"]}
            for layer, of_layer in zip(params, grads, strict=True)
        ),
        "the gradients derived above",
    )
    net = bp.mlp((3, 4, 2), gate_open)
    z_2, kept = net.forward(params, a_0)
    of_z = cross_entropy.backward(cross_entropy.forward(z_2, y)[1])
    yield line(
        r"\texttt{backproof}",
        bp.descend(net, params, kept, of_z, lambda w, of_w: w - alpha * of_w)[0],
        "what this library runs, layer by layer",
    )
