"""The losses on top of a network: from the definition, by autodiff, to the line that is run.

The derivations are for one token, one pair or one batch, as said; over more of them a loss is a sum.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import losses, rules
from backproof.derivations import line

SMOOTHING, Z_LOSS = 0.1, 0.01
SMOOTHED = losses.token_cross_entropy_with(smoothing=SMOOTHING, z_loss=Z_LOSS)


def smoothed_entropy(z):
    s = jax.scipy.special.logsumexp(z)
    q = SMOOTHING / z.size + (1 - SMOOTHING) * (jnp.arange(z.size) == 0)
    return -jnp.sum(q * (z - s)) + Z_LOSS * s**2


def shipped_token(z):
    return SMOOTHED.backward(SMOOTHED.forward(z, jnp.zeros((), int))[1])


@bp.derivation(r"\frac{\partial J}{\partial z}", of=smoothed_entropy, wrt="z", ships=shipped_token)
def token_cross_entropy(z: Float[Array, " K>=1"]):
    """J = −Σ_k q_k log p_k + c s², with s = log Σ e^z, p = e^{z − s}, and q the smoothed label, here class 0.

    Σ q = 1, because the part ε that smoothing takes from the label is spread over all K classes.
    """
    s = jax.scipy.special.logsumexp(z)
    p, is_label = jax.nn.softmax(z), jnp.arange(z.size) == 0
    q = SMOOTHING / z.size + (1 - SMOOTHING) * is_label
    yield line(
        r"-q + p \textstyle\sum_k q_k + 2 c s\, p",
        -q + p * q.sum() + 2 * Z_LOSS * s * p,
        "∂s/∂z = p",
    )
    yield line(
        r"p - (1 - \varepsilon) I_y - \tfrac{\varepsilon}{K} + 2 c s\, p",
        p - (1 - SMOOTHING) * is_label - SMOOTHING / z.size + 2 * Z_LOSS * s * p,
        "Σ q = 1; I_y is 1 at the label y and 0 elsewhere",
    )
    others = jnp.where(is_label, 0, p).sum()
    yield line(
        r"\begin{cases} -\textstyle\sum_{j \ne y} p_j & k = y \\ p_k & k \ne y \end{cases}"
        r" + \varepsilon \bigl(I_y - \tfrac1K\bigr) + 2 c s\, p",
        jnp.where(is_label, -others, p) + SMOOTHING * (is_label - 1 / z.size) + 2 * Z_LOSS * s * p,
        "p_y − 1 = −Σ_{j≠y} p_j, in which nothing cancels",
    )


def through_head(W, x, delta_x, delta_W):
    return jnp.vdot(delta_x, x) + jnp.vdot(delta_W, W)


def shipped_head(W, x, delta_x, delta_W):
    head = rules.linear_head(len(W))
    grads, delta = head.backward({"W": W}, head.forward({"W": W}, x)[1], (delta_x, delta_W))
    return grads["W"], delta


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial W}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_head,
    wrt=("W", "x"),
    ships=shipped_head,
)
def linear_head(
    W: Float[Array, "K>=1 n"],
    x: Float[Array, " n"],
    delta_x: Float[Array, " n"],
    delta_W: Float[Array, "K>=1 n"],
):
    """y = (x, W), and (δx, δW) arrives."""
    yield line(
        r"\Bigl(\delta W,\; \delta x\Bigr)", (delta_W, delta_x), "each part of y is what it is made of"
    )


IN_PAIRS = losses.linear_cross_entropy_with(chunk=2)


def entropy_of_product(x, W):
    return -jnp.sum(jax.nn.log_softmax(x @ W.T)[:, 0])


def shipped_linear(x, W):
    return IN_PAIRS.backward(IN_PAIRS.forward((x, W), jnp.zeros(len(x), int))[1])


@bp.derivation(
    r"\Bigl(\frac{\partial J}{\partial x}, \frac{\partial J}{\partial W}\Bigr)",
    of=entropy_of_product,
    wrt=("x", "W"),
    ships=shipped_linear,
)
def linear_cross_entropy(x: Float[Array, "N n"], W: Float[Array, "K>=1 n"]):
    """J = −Σ_n log p_{n y} with p_n the softmax of z_n = W x_n, and every label y here class 0.

    Rows of x and of δz = ∂J/∂z are tokens, so that z = x Wᵀ.
    """
    p = jax.nn.softmax(x @ W.T)
    is_label = jnp.broadcast_to(jnp.arange(len(W)) == 0, p.shape)
    delta_z = p - is_label
    yield line(
        r"\Bigl(\textstyle\sum_k \delta z_{nk} W_k,\; \sum_n \delta z_{nk} x_n\Bigr)",
        ((delta_z[:, :, None] * W).sum(1), (delta_z[:, :, None] * x[:, None]).sum(0)),
        "δz = p − I_y, ∂z_{nk}/∂x_n = W_k, ∂z_{nk}/∂W_k = x_n",
    )
    yield line(r"\bigl(\delta z\, W,\; \delta z^\top x\bigr)", (delta_z @ W, delta_z.T @ x), "as products")
    delta_x, grad_W = jnp.zeros_like(x), jnp.zeros_like(W)
    for i in range(0, len(x), 2):
        delta_x = delta_x.at[i : i + 2].set(delta_z[i : i + 2] @ W)
        grad_W = grad_W + delta_z[i : i + 2].T @ x[i : i + 2]
    yield line(
        r"\Bigl(\bigl[\delta z_C W\bigr]_C,\; \textstyle\sum_C \delta z_C^\top x_C\Bigr)",
        (delta_x, grad_W),
        "chunk by chunk of the tokens; δz_C needs no other chunk",
    )
