"""The losses on top of a network: from the definition, by autodiff, to the line that is run.

The derivations are for one token, one pair or one batch, as said; over more of them a loss is a sum.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import losses
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
