"""The whole network: the error and the gradients of every layer."""

import jax

import backproof as bp
from backproof import line

from . import NETWORK, J, dsigma, forward, shipped_deltas, shipped_gradient, sigma
from .s2_output_error import output_delta
from .s3_output_parameters import output_bias, output_weights
from .s5_induction import induction_step


def J_of_z(params, l, z, y):
    """J as a function of z^l, the layers above it run."""
    a = sigma(z)
    for layer in params[l:]:
        a = sigma(layer["W"] @ a + layer["b"])
    return J(a, y)


def true_deltas(params, x, y):
    """(δ^1, …, δ^L), each by autodiff of J in z^l."""
    z, _ = forward(params, x)
    return [jax.grad(lambda v, l=l: J_of_z(params, l, v, y))(z[l - 1]) for l in range(1, len(params) + 1)]


def step_jacobian(layer, z):
    """∂z^{l+1}/∂z^l by autodiff, a row for each output."""
    return jax.jacobian(lambda v: layer["W"] @ sigma(v) + layer["b"])(z)


@bp.derivation(
    r"\delta^l = \frac{\partial J}{\partial z^L} \frac{\partial z^L}{\partial z^{L-1}} \cdots "
    r"\frac{\partial z^{l+1}}{\partial z^l}",
    items=("S0.7",),
    args=NETWORK,
    ships=lambda params, x, y: shipped_deltas(params, x, y)[0],
)
def product_of_jacobians(params, x, y):
    """The error of the first of three layers as a product along the chain: a row vector from the left."""
    z, a = forward(params, x)
    delta_L = (a[-1] - y) * dsigma(z[-1])
    yield line(r"\frac{\partial J}{\partial z^1}", true_deltas(params, x, y)[0], "definition")
    yield line(
        r"\delta^3 \Bigl(\frac{\partial z^3}{\partial z^2} \frac{\partial z^2}{\partial z^1}\Bigr)",
        delta_L @ (step_jacobian(params[2], z[1]) @ step_jacobian(params[1], z[0])),
        "chain rule",
    )
    yield line(
        r"\Bigl(\delta^3 \frac{\partial z^3}{\partial z^2}\Bigr) \frac{\partial z^2}{\partial z^1}",
        (delta_L @ step_jacobian(params[2], z[1])) @ step_jacobian(params[1], z[0]),
        "bracketed from the left: vectors only",
    )


@bp.derivation(
    r"\frac{\partial J}{\partial W^l} = \delta^l (a^{l-1})^{\top}, \;"
    r"\frac{\partial J}{\partial b^l} = \delta^l",
    items=("S0.8",),
    args=NETWORK,
    uses=(output_weights, output_bias),
    ships=lambda params, x, y: shipped_gradient(params, x, y),
)
def every_layer(params, x, y):
    """At every layer the gradients are those of the last one, with that layer's δ and input."""
    _, a = forward(params, x)
    yield line(
        r"\frac{\partial J}{\partial W^l}, \frac{\partial J}{\partial b^l}",
        jax.grad(lambda p: J(forward(p, x)[1][-1], y))(params),
        "definition",
    )
    yield line(
        r"\delta^l (a^{l-1})^{\top}, \; \delta^l",
        tuple(
            {"W": d[:, None] @ below[None, :], "b": d}
            for d, below in zip(true_deltas(params, x, y), a[:-1], strict=True)
        ),
        "z^l = W^l a^{l−1} + b^l, as in S0.4 and S0.5",
    )


@bp.derivation(
    r"\delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l)",
    items=("S0.9", "S0.12"),
    args=NETWORK,
    uses=(induction_step,),
    ships=lambda params, x, y: shipped_deltas(params, x, y),
)
def recursion(params, x, y):
    """Base case and step together: every δ of three layers, from the top."""
    z, _ = forward(params, x)
    delta_3 = output_delta.value(z[-1], y)
    delta_2 = (params[2]["W"].T @ delta_3) * dsigma(z[1])
    yield line(
        r"\Bigl(\frac{\partial J}{\partial z^l}\Bigr)_{l = 1, 2, 3}",
        tuple(true_deltas(params, x, y)),
        "definition",
    )
    yield line(
        r"(W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l), \; l = 2, 1",
        ((params[1]["W"].T @ delta_2) * dsigma(z[0]), delta_2, delta_3),
        "the base case, then the step twice",
    )
