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


def divergence(m, v, m_0, v_0):
    s, s_0 = jnp.exp(v / 2), jnp.exp(v_0 / 2)
    return jnp.sum(jnp.log(s_0 / s) + (s**2 + (m - m_0) ** 2) / (2 * s_0**2) - 0.5)


def shipped_kl(m, v, m_0, v_0):
    return losses.gaussian_kl.backward(losses.gaussian_kl.forward((m, v), (m_0, v_0))[1])


IN_PAIR = r"\Bigl(\frac{\partial J}{\partial m}, \frac{\partial J}{\partial v}\Bigr)"


@bp.derivation(IN_PAIR, of=divergence, wrt=("m", "v"), ships=shipped_kl)
def gaussian_kl(
    m: Float[Array, " n"], v: Float[Array, " n"], m_0: Float[Array, " n"], v_0: Float[Array, " n"]
):
    """J = Σ log(s₀/s) + (s² + (m − m₀)²)/(2 s₀²) − ½ of the deviations s = e^{v/2} and s₀ = e^{v₀/2}."""
    yield line(
        r"\Bigl(\frac{m - m_0}{s_0^2},\; -\frac12 + \frac{s}{s_0^2} \frac{\partial s}{\partial v}\Bigr)",
        ((m - m_0) / jnp.exp(v_0), -0.5 + jnp.exp(v / 2) / jnp.exp(v_0) * jnp.exp(v / 2) / 2),
        "log s = v/2, and ∂s/∂v = s/2",
    )
    yield line(
        r"\Bigl((m - m_0)\, e^{-v_0},\; \tfrac12 \bigl(e^{v - v_0} - 1\bigr)\Bigr)",
        ((m - m_0) * jnp.exp(-v_0), (jnp.exp(v - v_0) - 1) / 2),
        "s² = e^v; the code computes e^w − 1 by expm1",
    )


def standard_divergence(m, v):
    return divergence(m, v, jnp.zeros_like(m), jnp.zeros_like(v))


def shipped_standard(m, v):
    return losses.standard_gaussian_kl.backward(losses.standard_gaussian_kl.forward((m, v), ())[1])


@bp.derivation(IN_PAIR, of=standard_divergence, wrt=("m", "v"), ships=shipped_standard)
def standard_gaussian_kl(m: Float[Array, " n"], v: Float[Array, " n"]):
    """J = Σ (e^v + m² − 1 − v)/2, the divergence from the Gaussian of mean 0 and variance 1."""
    yield line(r"\bigl(m,\; \tfrac12 (e^v - 1)\bigr)", (m, (jnp.exp(v) - 1) / 2), "m₀ = v₀ = 0")


BETA = 0.1


def preference(pi_w, pi_l, r_w, r_l):
    return -jnp.sum(jax.nn.log_sigmoid(BETA * (pi_w - r_w) - BETA * (pi_l - r_l)))


def shipped_dpo(pi_w, pi_l, r_w, r_l):
    return losses.dpo.backward(losses.dpo.forward((pi_w, pi_l), (r_w, r_l))[1])


@bp.derivation(
    r"\Bigl(\frac{\partial J}{\partial \pi_w}, \frac{\partial J}{\partial \pi_l}\Bigr)",
    of=preference,
    wrt=("pi_w", "pi_l"),
    ships=shipped_dpo,
)
def dpo(pi_w: Float[Array, " n"], pi_l: Float[Array, " n"], r_w: Float[Array, " n"], r_l: Float[Array, " n"]):
    """J = −Σ log σ(β h), with h = (π_w − r_w) − (π_l − r_l)."""
    h = (pi_w - r_w) - (pi_l - r_l)
    slope = -BETA * (1 - jax.nn.sigmoid(BETA * h))
    yield line(
        r"\Bigl(\frac{\partial J}{\partial h},\; -\frac{\partial J}{\partial h}\Bigr),\quad"
        r" \frac{\partial J}{\partial h} = -\beta\, (1 - \sigma(\beta h))",
        (slope, -slope),
        "(log σ)′ = 1 − σ, ∂h/∂π_w = 1, ∂h/∂π_l = −1",
    )
    push = BETA * jax.nn.sigmoid(-BETA * h)
    yield line(
        r"\bigl(-\beta\, \sigma(-\beta h),\; \beta\, \sigma(-\beta h)\bigr)",
        (-push, push),
        "1 − σ(z) = σ(−z), without cancellation",
    )


GAMMA, ALPHA = 2.0, 0.25


def weighed(y, t):
    p = jax.nn.sigmoid(y)
    of_one, of_zero = ALPHA * (1 - p) ** GAMMA * jnp.log(p), (1 - ALPHA) * p**GAMMA * jnp.log(1 - p)
    return -jnp.sum(t * of_one + (1 - t) * of_zero)


@bp.derivation(
    r"\frac{\partial J}{\partial z}",
    of=weighed,
    wrt="y",
    ships=lambda y, t: losses.focal.backward(losses.focal.forward(y, t)[1]),
)
def focal(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = −Σ a t (1 − p)^γ log p + (1 − a)(1 − t) p^γ log(1 − p), with p = σ(z) and logits z (here y)."""

    def by_product(u):
        p = jax.nn.sigmoid(u)
        return -GAMMA * (1 - p) ** (GAMMA - 1) * p * (1 - p) * jnp.log(p) + (1 - p) ** GAMMA * (1 - p)

    yield line(
        r"-a t\, g(z) + (1 - a)(1 - t)\, g(-z),\quad g = -\gamma (1 - p)^{\gamma - 1} p' \log p"
        r" + (1 - p)^\gamma \frac{p'}{p}",
        -ALPHA * t * by_product(y) + (1 - ALPHA) * (1 - t) * by_product(-y),
        "the rule for products, with p′ = p (1 − p); 1 − σ(z) = σ(−z) gives the second term from the first",
    )

    def without_cancelling(u):
        other = jax.nn.sigmoid(-u)
        return other**GAMMA * (GAMMA * jax.nn.sigmoid(u) * jax.nn.softplus(-u) + other)

    yield line(
        r"-a t\, g(z) + (1 - a)(1 - t)\, g(-z),\quad g(u) = \sigma(-u)^\gamma \bigl(\gamma\, \sigma(u)"
        r" \log(1 + e^{-u}) + \sigma(-u)\bigr)",
        -ALPHA * t * without_cancelling(y) + (1 - ALPHA) * (1 - t) * without_cancelling(-y),
        "−log σ(u) = log(1 + e^{−u}), and σ(−u)^γ taken out",
    )


TAU = 0.5
BOTH = losses.info_nce_with(TAU, symmetric=True)


def told_apart(x, y):
    S = x @ y.T / TAU
    return -jnp.trace(jax.nn.log_softmax(S, 1) + jax.nn.log_softmax(S, 0)) / 2


@bp.derivation(
    r"\Bigl(\frac{\partial J}{\partial x}, \frac{\partial J}{\partial y}\Bigr)",
    of=told_apart,
    wrt=("x", "y"),
    ships=lambda x, y: BOTH.backward(BOTH.forward((x, y), ())[1]),
)
def info_nce(x: Float[Array, "b n"], y: Float[Array, "b n"]):
    """J = −½ Σ_i (log P_ii + log Q_ii), with P and Q the softmax of the rows and of the columns of S = x yᵀ/τ."""
    S = x @ y.T / TAU
    P, Q, one = jax.nn.softmax(S, 1), jax.nn.softmax(S, 0), jnp.eye(len(x))
    G = ((P - one) + (Q - one)) / 2
    yield line(
        r"\Bigl(\textstyle\sum_j G_{ij} \frac{\partial S_{ij}}{\partial x_i},\; \sum_i G_{ij}"
        r" \frac{\partial S_{ij}}{\partial y_j}\Bigr),\quad G = \tfrac12 \bigl((P - I) + (Q - I)\bigr)",
        ((G[:, :, None] * y).sum(1) / TAU, (G[:, :, None] * x[:, None]).sum(0) / TAU),
        "row i of S is the logits of a cross entropy with label i, and so is column i",
    )
    G = (P + Q) / 2 - one
    yield line(
        r"\Bigl(\frac{G y}{\tau},\; \frac{G^\top x}{\tau}\Bigr),\quad G = \tfrac12 (P + Q) - I",
        (G @ y / TAU, G.T @ x / TAU),
        "as products",
    )
