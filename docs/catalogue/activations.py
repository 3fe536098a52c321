"""The activations: from the definition, by autodiff, to the line that the rule runs.

`delta` is δa = ∂L/∂a, the gradient that arrives; each derivation ends in δz = ∂L/∂z.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import rules
from backproof.derivations import line

DELTA_Z = r"\delta z"


def shown(rule, f):
    """Return the first line of a rule's derivation, the autodiff of `f`, and the last, what the rule runs."""
    return {
        "of": lambda z, delta: jnp.vdot(delta, f(z)),
        "wrt": "z",
        "ships": lambda z, delta: rule.backward((), rule.forward((), z)[1], delta)[1],
    }


@bp.derivation(DELTA_Z, **shown(rules.identity, lambda z: z))
def identity(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z."""
    yield line(r"\delta a", delta, "the slope is 1")


def sigma(z):
    return 1 / (1 + jnp.exp(-z))


@bp.derivation(DELTA_Z, **shown(rules.sigmoid, sigma))
def sigmoid(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = σ(z) = 1 / (1 + exp(−z))."""
    a = sigma(z)
    slope = jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2
    yield line(r"\delta a \odot \frac{e^{-z}}{(1 + e^{-z})^2}", delta * slope, "quotient rule")
    yield line(r"\delta a \odot a \odot (1 - a)", delta * a * (1 - a), "1 − a = exp(−z) / (1 + exp(−z))")


@bp.derivation(DELTA_Z, **shown(rules.tanh, lambda z: jnp.sinh(z) / jnp.cosh(z)))
def tanh(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = tanh(z) = sinh(z) / cosh(z)."""
    a = jnp.tanh(z)
    yield line(r"\delta a \odot (1 - a^2)", delta * (1 - a**2), "quotient rule, cosh² − sinh² = 1")
    yield line(
        r"\delta a \odot (1 - a) \odot (1 + a)", delta * (1 - a) * (1 + a), "keeps the digits near |a| = 1"
    )


@bp.derivation(DELTA_Z, **shown(rules.relu, lambda z: jnp.where(z > 0, z, 0)))
def relu(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = max(z, 0), with slope 0 at 0."""
    yield line(r"I[z > 0] \odot \delta a", jnp.where(z > 0, delta, 0), "each piece is linear")


@bp.derivation(DELTA_Z, **shown(rules.leaky_relu, lambda z: jnp.where(z > 0, z, 0.01 * z)))
def leaky_relu(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z where z > 0, and s z elsewhere, with s = 0.01."""
    yield line(
        r"\delta a \odot \begin{cases} 1 & z > 0 \\ s & z \le 0 \end{cases}",
        delta * jnp.where(z > 0, 1, 0.01),
        "each piece is linear",
    )


@bp.derivation(DELTA_Z, **shown(rules.elu, lambda z: jnp.where(z > 0, z, jnp.expm1(z))))
def elu(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z where z > 0, and α (exp(z) − 1) elsewhere, with α = 1."""
    a = jnp.where(z > 0, z, jnp.expm1(z))
    yield line(
        r"\delta a \odot \begin{cases} 1 & z > 0 \\ \alpha e^z & z \le 0 \end{cases}",
        delta * jnp.where(z > 0, 1, jnp.exp(z)),
        "each piece alone",
    )
    yield line(
        r"\delta a \odot \begin{cases} 1 & a > 0 \\ a + \alpha & a \le 0 \end{cases}",
        delta * jnp.where(a > 0, 1, a + 1),
        "a = α exp(z) − α",
    )


@bp.derivation(DELTA_Z, **shown(rules.softplus, lambda z: jnp.log1p(jnp.exp(z))))
def softplus(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = log(1 + exp(z))."""
    a = jnp.log1p(jnp.exp(z))
    yield line(r"\delta a \odot \frac{e^z}{1 + e^z}", delta * jnp.exp(z) / (1 + jnp.exp(z)), "chain rule")
    yield line(r"\delta a \odot \sigma(z)", delta * sigma(z), "divided by exp(z)")
    yield line(r"\delta a \odot (1 - e^{-a})", delta * -jnp.expm1(-a), "exp(a) = 1 + exp(z)")


@bp.derivation(DELTA_Z, **shown(rules.silu, lambda z: z * sigma(z)))
def silu(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z σ(z)."""
    s = sigma(z)
    yield line(
        r"\delta a \odot \bigl(\sigma(z) + z \odot \sigma(z) \odot (1 - \sigma(z))\bigr)",
        delta * (s + z * s * (1 - s)),
        "product rule",
    )
    yield line(
        r"\delta a \odot \sigma(z) \odot \bigl(1 + z \odot \sigma(-z)\bigr)",
        delta * s * (1 + z * sigma(-z)),
        "1 − σ(z) = σ(−z)",
    )


def normal(z):
    return jax.scipy.stats.norm.cdf(z)


@bp.derivation(DELTA_Z, **shown(rules.gelu, lambda z: z * normal(z)))
def gelu(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z Φ(z), Φ the normal distribution function and φ its density."""
    density = jnp.exp(-z * z / 2) / jnp.sqrt(2 * jnp.pi)
    yield line(
        r"\delta a \odot \bigl(\Phi(z) + z \odot \varphi(z)\bigr)",
        delta * (normal(z) + z * density),
        "product rule, Φ′ = φ",
    )


CUBIC = 0.044715


def twice_u(z):
    return jnp.sqrt(8 / jnp.pi) * (z + CUBIC * z**3)


@bp.derivation(DELTA_Z, **shown(rules.gelu_tanh, lambda z: z * (1 + jnp.tanh(twice_u(z) / 2)) / 2))
def gelu_tanh(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z ½ (1 + tanh u) = z σ(2u), with 2u = √(8/π) (z + c z³) and c = 0.044715."""
    v, slope = twice_u(z), jnp.sqrt(8 / jnp.pi) * (1 + 3 * CUBIC * z**2)
    yield line(
        r"\delta a \odot \bigl(\sigma(2u) + z \odot \sigma(2u) \odot \sigma(-2u) \odot (2u)'\bigr)",
        delta * (sigma(v) + z * sigma(v) * sigma(-v) * slope),
        "product rule, σ′(v) = σ(v) σ(−v)",
    )
    yield line(
        r"\delta a \odot \sigma(2u) \odot \bigl(1 + z \odot \sigma(-2u) \odot (2u)'\bigr)",
        delta * sigma(v) * (1 + z * sigma(-v) * slope),
        "σ(2u) taken out; (2u)′ = √(8/π) (1 + 3 c z²)",
    )


@bp.derivation(DELTA_Z, **shown(rules.hard_tanh, jax.nn.hard_tanh))
def hard_tanh(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z where |z| ≤ 1, and sign(z) elsewhere, with slope 1 at |z| = 1."""
    yield line(r"I[|z| \le 1] \odot \delta a", jnp.where(jnp.abs(z) <= 1, delta, 0), "each piece is linear")


@bp.derivation(DELTA_Z, **shown(rules.sin, jnp.sin))
def sin(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = sin(z)."""
    yield line(r"\delta a \odot \cos(z)", delta * jnp.cos(z), "the derivative of sin")


@bp.derivation(DELTA_Z, **shown(rules.softmax, lambda z: jnp.exp(z) / jnp.exp(z).sum()))
def softmax(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """p = exp(z) / Σ exp(z), and δp = ∂L/∂p arrives."""
    p = jnp.exp(z) / jnp.exp(z).sum()
    yield line(
        r"\bigl(\operatorname{diag}(p) - p p^\top\bigr)^\top \delta p",
        (jnp.diag(p) - jnp.outer(p, p)).T @ delta,
        "quotient rule: ∂p_k/∂z_j = p_k (I[j = k] − p_j)",
    )
    yield line(r"p \odot (\delta p - p^\top \delta p)", p * (delta - p @ delta), "no matrix is left")


@bp.derivation(DELTA_Z, **shown(rules.relu_with(1.0), lambda z: jnp.where(z >= 0, z, 0)))
def relu_1(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = max(z, 0), with slope 1 at 0."""
    yield line(r"I[z \ge 0] \odot \delta a", jnp.where(z >= 0, delta, 0), "each piece is linear")


@bp.derivation(DELTA_Z, **shown(rules.relu_with(0.5), lambda z: jnp.maximum(z, 0)))
def relu_half(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = max(z, 0), with slope ½ at 0."""
    yield line(
        r"\tfrac12 \bigl(I[z > 0] + I[z \ge 0]\bigr) \odot \delta a",
        delta * ((z > 0).astype(z.dtype) + (z >= 0).astype(z.dtype)) / 2,
        "each piece is linear; at 0, the mean of the slopes on both sides",
    )


@bp.derivation(DELTA_Z, **shown(rules.leaky_relu_with(-0.5), lambda z: jnp.where(z > 0, z, -0.5 * z)))
def leaky_relu_negative(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z where z > 0, and s z elsewhere, with s = −½: a is positive on both sides."""
    yield line(
        r"\delta a \odot \begin{cases} 1 & z > 0 \\ s & z \le 0 \end{cases}",
        delta * jnp.where(z > 0, 1, -0.5),
        "each piece is linear",
    )


@bp.derivation(DELTA_Z, **shown(rules.elu_with(0.5), lambda z: jnp.where(z > 0, z, jnp.expm1(z) / 2)))
def elu_half(z: Float[Array, " n"], delta: Float[Array, " n"]):
    """a = z where z > 0, and α (exp(z) − 1) elsewhere, with α = ½: there is a kink at 0."""
    a = jnp.where(z > 0, z, jnp.expm1(z) / 2)
    yield line(
        r"\delta a \odot \begin{cases} 1 & a > 0 \\ a + \alpha & a \le 0 \end{cases}",
        delta * jnp.where(a > 0, 1, a + 0.5),
        "α exp(z) = a + α",
    )
