"""The affine map and the losses: from the definition, by autodiff, to the line that is run.

The derivations are for one sample; over a batch, a loss and the gradients of parameters are sums.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import losses, rules
from backproof.derivations import line


def through_affine(W, b, x, delta):
    return jnp.vdot(delta, W @ x + b)


def shipped_affine(W, b, x, delta):
    grads, delta_x = rules.affine(b.size).backward({"W": W, "b": b}, x, delta)
    return grads["W"], grads["b"], delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial W}, \frac{\partial L}{\partial b}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_affine,
    wrt=("W", "b", "x"),
    ships=shipped_affine,
)
def affine(W: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], delta: Float[Array, " m"]):
    """z = W x + b, and δz = ∂L/∂z arrives."""
    yield line(
        r"\Bigl(\delta z\, x^\top,\; \delta z,\; W^\top \delta z\Bigr)",
        (jnp.outer(delta, x), delta, W.T @ delta),
        "∂z_i/∂W_ij = x_j, ∂z_i/∂b_i = 1, ∂z_i/∂x_j = W_ij",
    )


def shown(loss, f):
    """Return the first line of a loss's derivation, the autodiff of `f`, and the last, what the loss runs."""
    return {"of": f, "wrt": "y", "ships": lambda y, t: loss.backward(loss.forward(y, t)[1])}


DJ_DY = r"\frac{\partial J}{\partial y}"


@bp.derivation(DJ_DY, **shown(losses.half_squared_error, lambda y, t: jnp.sum((y - t) ** 2) / 2))
def half_squared_error(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = ½ Σ (y − t)²."""
    yield line(r"y - t", y - t, "½ · 2 = 1")


def cross_entropy(y, t):
    return -jnp.sum(t * (y - jax.scipy.special.logsumexp(y)))


@bp.derivation(DJ_DY, **shown(losses.softmax_cross_entropy_dense, cross_entropy))
def softmax_cross_entropy(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = −Σ_k t_k log p_k with p the softmax of the logits y."""
    p = jax.nn.softmax(y)
    yield line(r"-\bigl(t - p \textstyle\sum_k t_k\bigr)", -(t - p * t.sum()), "∂ logsumexp(y)/∂y = p")
    yield line(r"p \textstyle\sum_k t_k - t", p * t.sum() - t, "the same; p − t for Σ t = 1")


def of_logits(y, t):
    return jnp.sum(t * jnp.logaddexp(0, -y) + (1 - t) * jnp.logaddexp(0, y))


@bp.derivation(DJ_DY, **shown(losses.binary_cross_entropy, of_logits))
def binary_cross_entropy(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = −Σ t log σ(y) + (1 − t) log σ(−y), of logits y."""
    s, other = jax.nn.sigmoid(y), jax.nn.sigmoid(-y)
    yield line(r"-t \odot \sigma(-y) + (1 - t) \odot \sigma(y)", -t * other + (1 - t) * s, "term by term")
    yield line(r"\sigma(y) - t", s - t, "σ(−y) = 1 − σ(y)")
    yield line(r"(1 - t) \odot \sigma(y) - t \odot \sigma(-y)", (1 - t) * s - t * other, "no term cancels")


def huber_by_pieces(d):
    def value(y, t):
        e = jnp.abs(y - t)
        return jnp.sum(jnp.where(e <= d, e**2 / 2, d * (e - d / 2)))

    return value


@bp.derivation(DJ_DY, **shown(losses.huber, huber_by_pieces(1.0)))
def huber(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = Σ ½ e² where |e| ≤ d, and d (|e| − ½ d) beyond; e = y − t and d = 1."""
    e = y - t
    yield line(
        r"\begin{cases} e & |e| \le d \\ d \operatorname{sign}(e) & |e| > d \end{cases}",
        jnp.where(jnp.abs(e) <= 1, e, jnp.sign(e)),
        "each piece alone",
    )
    yield line(r"\min(\max(e, -d), d)", jnp.clip(e, -1, 1), "both in one")


@bp.derivation(DJ_DY, **shown(losses.huber_with(0.5), huber_by_pieces(0.5)))
def huber_half(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = Σ ½ e² where |e| ≤ d, and d (|e| − ½ d) beyond; e = y − t and d = ½."""
    yield line(r"\min(\max(e, -d), d)", jnp.clip(y - t, -0.5, 0.5), "each piece alone")


@bp.derivation(DJ_DY, **shown(losses.hinge, lambda y, t: jnp.where(t * y < 1, 1 - t * y, 0).sum()))
def hinge(y: Float[Array, " n"], t: Float[Array, " n"]):
    """J = Σ max(0, 1 − t y), with slope 0 at the margin t y = 1."""
    yield line(r"-t \odot I[t \odot y < 1]", jnp.where(t * y < 1, -t, 0), "each piece is linear")


def rows(y, t):
    return jnp.sum((y - t) ** 2) / 2 / len(y)


@bp.derivation(DJ_DY, **shown(losses.mean(losses.half_squared_error), rows))
def mean(y: Float[Array, "N n"], t: Float[Array, "N n"]):
    """J = (1/N) Σ over N samples, here of half the squared error."""
    yield bp.assume(len(y) > 0, r"N > 0")
    yield line(r"\tfrac1N (y - t)", (y - t) / len(y), "the gradient of the sum, divided by N")
