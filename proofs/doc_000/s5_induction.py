"""The step of the induction: from the error of a layer to that of the layer below."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line, rules

from . import J, dsigma, sigma
from .s4_next_layer import jacobian_of_a_step


@bp.derivation(
    r"\delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
    items=("S0.9", "S0.12"),
    of=(r"\frac{\partial J}{\partial z^l}", lambda z, W, b, y: J(sigma(W @ sigma(z) + b), y)),
)
def induction_step(
    W: Float[Array, "k n"], b: Float[Array, " k"], z: Float[Array, " n"], y: Float[Array, " k"]
):
    """The step: a true δ^{l+1} gives a true δ^l, whatever stands above; here, the loss of σ(z^{l+1})."""
    z_above = W @ sigma(z) + b
    delta_above = jax.grad(lambda z: J(sigma(z), y))(z_above)  # the induction hypothesis: it is true
    yield line(
        r"\frac{\partial z^{l+1}}{\partial z^l} \frac{\partial J}{\partial z^{l+1}}",
        jax.jacobian(lambda z: W @ sigma(z) + b)(z).T @ delta_above,
        "chain rule through z^{l+1}",
    )
    yield line(
        r"\bigl((W^{l+1})^{\top} \odot (\sigma', \dots, \sigma')\bigr) \delta^{l+1}",
        jacobian_of_a_step.value(W, b, z) @ delta_above,
        "S0.11",
    )
    yield line(
        r"(W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
        (W.T @ delta_above) * dsigma(z),
        "rows scaled after the sum or before",
    )
    yield line(
        r"\texttt{affine.backward}, \texttt{sigmoid.backward}",
        rules.sigmoid.backward(
            (), sigma(z), rules.affine(len(b)).backward({"W": W, "b": b}, sigma(z), delta_above)[1]
        )[1],
        "what this library runs",
    )


@bp.derivation(
    r"\delta^l = \delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l}",
    items=("E0",),
    refutes=bp.Refutes(
        1,
        "E0(c)",
        "transpose",
        "With the matrix of S0.11, which has a column for each output, the factors stand in the wrong order: "
        "an error where n_l ≠ n_{l+1}, and silently wrong where W is square.",
    ),
)
def factors_in_the_wrong_order(
    W: Float[Array, "k n"], z: Float[Array, " n"], delta_above: Float[Array, " k"]
):
    """The document's first form of the recursion, with its own matrix put in."""
    matrix = W.T * dsigma(z)[:, None]
    yield line(
        r"\frac{\partial J}{\partial z^l}",
        jax.grad(lambda z: delta_above @ (W @ sigma(z)))(z),
        "definition, for J linear in z^{l+1}",
    )
    yield line(
        r"\delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l}",
        delta_above @ matrix,
        "as the document writes it",
    )
    yield line(
        r"\frac{\partial z^{l+1}}{\partial z^l} \delta^{l+1}", matrix @ delta_above, "the matrix first"
    )


@bp.derivation(r"\delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l} \neq \delta^l", items=("E0",))
def the_documents_counterexample():
    """W = [[1, 2], [0, 1]], z = 0, δ = (1, 0) for σ the sigmoid: (¼, 0) in place of (¼, ½)."""
    W, z, delta = jnp.array([[1.0, 2.0], [0.0, 1.0]]), jnp.zeros(2), jnp.array([1.0, 0.0])
    matrix = W.T * dsigma(z)[:, None]
    truth = jax.grad(lambda z: delta @ (W @ sigma(z)))(z)
    yield line(r"\delta^l", truth, "definition")
    yield line(r"\frac{\partial z^{l+1}}{\partial z^l} \delta^{l+1}", matrix @ delta, "the matrix first")
    yield line(r"(\tfrac14, \tfrac12)", bp.equal(truth, jnp.array([0.25, 0.5])), "its value")
    yield line(
        r"(\tfrac14, 0)",
        bp.equal(delta @ matrix, jnp.array([0.25, 0.0])),
        "the value of the document's order",
    )
    yield line(
        r"\delta^{l+1} \frac{\partial z^{l+1}}{\partial z^l} \neq \delta^l",
        bp.differ(delta @ matrix, truth),
        "so the order matters",
    )
