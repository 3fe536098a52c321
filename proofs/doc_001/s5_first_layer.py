"""The first layer, the whole way back, and the author's question."""

import jax

import backproof as bp
from backproof import line

from . import DATUM, OUTPUT, PHI, f, g, gate, widths
from .s2_parameters import bias, weights
from .s3_through_a_layer import through_a_layer


@bp.derivation(
    r"\frac{\partial L_i}{\partial b_0}, \frac{\partial L_i}{\partial W_0}",
    items=("S1.6",),
    uses=(bias, weights, through_a_layer),
    args=[PHI[:2], DATUM, bp.array("q")],
)
def first_layer(phi, x_i, dz_1):
    """The last step of the backward pass: the layer that the datum enters."""
    (W_0, b_0), (W_1, b_1) = ((layer["W"], layer["b"]) for layer in phi)
    z_0 = b_0 + W_0 @ x_i
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"\frac{\partial L_i}{\partial b_0},\; \frac{\partial L_i}{\partial W_0}",
        jax.vjp(lambda b_0, W_0: b_1 + W_1 @ f(b_0 + W_0 @ x_i), b_0, W_0)[1](dz_1),
        "definition: chain rule at z_1, for any loss",
    )
    yield line(
        r"\left(\frac{\partial z_0}{\partial b_0}\right)^{\top} \frac{\partial L_i}{\partial z_0},\;"
        r" \left(\frac{\partial z_0}{\partial W_0}\right)^{\top} \frac{\partial L_i}{\partial z_0}",
        jax.vjp(lambda b_0, W_0: b_0 + W_0 @ x_i, b_0, W_0)[1](
            jax.vjp(lambda z_0: b_1 + W_1 @ f(z_0), z_0)[1](dz_1)[0]
        ),
        "by way of z_0",
    )
    dz_0 = gate(z_0) * (W_1.T @ dz_1)
    yield line(
        r"\frac{\partial L_i}{\partial z_0},\; \frac{\partial L_i}{\partial z_0} x_i^{\top}",
        (dz_0, dz_0[:, None] @ x_i[None, :]),
        "the rules for b and W, and the step from z_1 to z_0",
    )
    grads = bp.layer_step(phi[0], residuals[0], W_1.T @ dz_1)[0]
    yield line(
        r"\texttt{backproof}",
        (bp.layer_step(phi[0], residuals[0], W_1.T @ dz_1)[0]["b"], grads["W"]),
        "what this library runs",
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial \phi}",
    items=("S1.3", "S1.4", "S1.5", "S1.6", "S1.9"),
    uses=(bias, weights, through_a_layer, first_layer),
    args=[PHI, DATUM, OUTPUT],
)
def whole_backward_pass(phi, x_i, dz_M):
    """The author asks: why does the pass start from z_0, and not from x_0?

    Because x_ι = f[z_{ι−1}] defines x_ι only for ι ≥ 1: below the first layer there is no z_{−1}, and the
    datum does not go through f. Call the datum x_0 := x_i all the same, and nothing is special any more:
    the rules for b_ι and W_ι at ι = 0 are the document's last two lines. Only the rule for z_{ι−1} ends at
    ι = 1, for want of a z_{−1}. The book starts from z_0 so that x_i keeps its own name.
    """
    W = [layer["W"] for layer in phi]
    z_0 = phi[0]["b"] + W[0] @ x_i
    z_1 = phi[1]["b"] + W[1] @ f(z_0)
    x_1, x_2 = f(z_0), f(z_1)
    dz_1 = gate(z_1) * (W[2].T @ dz_M)
    dz_0 = gate(z_0) * (W[1].T @ dz_1)
    yield line(
        r"\frac{\partial L_i}{\partial \phi}", jax.vjp(lambda phi: g(phi, x_i), phi)[1](dz_M)[0], "definition"
    )
    yield line(
        r"\left(\frac{\partial L_i}{\partial z_0} x_i^{\top}, \frac{\partial L_i}{\partial z_0}\right),\;"
        r" \left(\frac{\partial L_i}{\partial z_\iota} x_\iota^{\top},"
        r" \frac{\partial L_i}{\partial z_\iota}\right)_{\iota = 1 \ldots M}",
        (
            {"W": dz_0[:, None] @ x_i[None, :], "b": dz_0},
            {"W": dz_1[:, None] @ x_1[None, :], "b": dz_1},
            {"W": dz_M[:, None] @ x_2[None, :], "b": dz_M},
        ),
        "the document: ι = M … 1, and the first layer after them",
    )
    yield line(
        r"\left(\frac{\partial L_i}{\partial z_\iota} x_\iota^{\top},"
        r" \frac{\partial L_i}{\partial z_\iota}\right)_{\iota = 0 \ldots M}, \quad x_0 := x_i",
        tuple(
            {"W": dz[:, None] @ x[None, :], "b": dz}
            for dz, x in zip((dz_0, dz_1, dz_M), (x_i, x_1, x_2), strict=True)
        ),
        "one rule for every layer, once the datum is called x_0",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_M)[0],
        "what this library runs: the one rule",
    )


@bp.derivation(r"\frac{\partial L_i}{\partial x_i}", items=("S1.9",), args=[PHI[:2], DATUM, bp.array("q")])
def below_the_first_layer(phi, x_i, dz_1):
    """What a step to ι = 0 would be: no gate, for no f stands below; and no parameter needs it."""
    W_0, W_1 = phi[0]["W"], phi[1]["W"]
    z_0 = phi[0]["b"] + W_0 @ x_i
    yield line(
        r"\frac{\partial L_i}{\partial x_i}", jax.vjp(lambda x: g(phi, x), x_i)[1](dz_1)[0], "definition"
    )
    yield line(
        r"W_0^{\top} \frac{\partial L_i}{\partial z_0}",
        W_0.T @ (gate(z_0) * (W_1.T @ dz_1)),
        "z_0 = b_0 + W_0 x_i: the datum enters without f",
    )
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    yield line(
        r"W_0^{\top} \frac{\partial L_i}{\partial z_0} \neq"
        r" \mathbb{I}[x_i > 0] \odot W_0^{\top} \frac{\partial L_i}{\partial z_0}",
        bp.differ(
            W_0.T @ (gate(z_0) * (W_1.T @ dz_1)),
            gate(x_i) * (W_0.T @ (gate(z_0) * (W_1.T @ dz_1))),
            somewhere=True,
        ),
        "the general step, with the datum for z_{−1}, would be wrong",
    )
    yield line(
        r"\texttt{backproof}",
        bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_1)[1],
        "what this library returns beside the gradients",
    )


@bp.derivation(
    r"\frac{\partial L_i}{\partial \phi} \text{ bit for bit}", items=("S1.9",), args=[PHI, DATUM, OUTPUT]
)
def the_same_arithmetic(phi, x_i, dz_M):
    """The loop to ι = 0 does not only equal the special case: it is the same arithmetic."""
    _, residuals = bp.mlp(widths(phi), bp.rules.relu).forward(phi, x_i)
    grads, _ = bp.mlp(widths(phi), bp.rules.relu).backward(phi, residuals, dz_M)
    dz_0 = bp.deltas(phi, residuals, dz_M)[0]
    yield line(
        r"\frac{\partial L_i}{\partial W_0} = \frac{\partial L_i}{\partial z_0} x_i^{\top}",
        bp.holds(grads[0]["W"] == dz_0[:, None] * x_i[None, :]),
        "the general loop gives the document's special case, every bit of it",
    )
    yield line(
        r"\frac{\partial L_i}{\partial b_0} = \frac{\partial L_i}{\partial z_0}",
        bp.holds(grads[0]["b"] == dz_0),
        "and so for the bias",
    )
