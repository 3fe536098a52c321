"""Plain references of our own, for rules whose primal is an approximation or cannot be differentiated."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
from jax import Array

TERMS = 60  # of a power series; with |x| <= 4 the last is far below one unit of float64
ORDER = 64
STEPS = 1000  # of the trapezoidal rule, which converges geometrically on a period or a decaying line
NEWTON = 40  # steps to Lambert's w; they double the digits each


def _gauss() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss and Legendre to the last digit; NumPy's weights lack the last two."""
    nodes, weights = [], []
    with mp.workdps(30):
        for guess in np.polynomial.legendre.leggauss(ORDER)[0]:
            x = mp.mpf(guess)
            for _ in range(2):
                below, here = mp.legendre(ORDER - 1, x), mp.legendre(ORDER, x)
                slope = ORDER * (x * here - below) / (x * x - 1)
                x = x - here / slope
            nodes.append(float(x))
            weights.append(float(2 / ((1 - x * x) * slope**2)))
    return np.array(nodes), np.array(weights)


NODES, WEIGHTS = _gauss()


def integral(f, x: Array) -> Array:
    """Return the integral of `f` from 0 to `x`, by 64 Gaussian nodes."""
    t = x[..., None] * (jnp.asarray(NODES, x.dtype) + 1) / 2
    return x / 2 * jnp.sum(f(t) * jnp.asarray(WEIGHTS, x.dtype), -1)


def bessel_i_scaled(order: int, x: Array) -> Array:
    """Return exp(−x) I_order(x), x ≥ 0: the mean of exp(x (cos θ − 1)) cos(order θ) over a circle."""
    angle = jnp.asarray(2 * np.pi * np.arange(STEPS) / STEPS, x.dtype)
    return jnp.mean(jnp.exp(-2 * x[..., None] * jnp.sin(angle / 2) ** 2) * jnp.cos(order * angle), -1)


def bessel_k_scaled(order: int, x: Array) -> Array:
    """Return exp(x) K_order(x), x > 0: the integral of exp(−x (cosh t − 1)) cosh(order t) over t ≥ 0."""
    t = jnp.asarray(np.linspace(0, 8, STEPS), x.dtype)
    weights = jnp.asarray(np.where(np.arange(STEPS) == 0, 0.5, 1.0) * 8 / (STEPS - 1), x.dtype)
    return jnp.sum(weights * jnp.exp(-2 * x[..., None] * jnp.sinh(t / 2) ** 2) * jnp.cosh(order * t), -1)


def erfcx(x: Array) -> Array:
    """Return exp(x²) erfc(x), x ≥ 0: 2/√π times the integral of exp(−t² − 2xt), with t = u / (1 + x)."""
    scale = 1 / (1 + x[..., None])
    whole = integral(
        lambda u: jnp.exp(-((u * scale) ** 2) - 2 * x[..., None] * u * scale), jnp.full_like(x, 20)
    )
    return 2 / np.sqrt(np.pi) * whole / (1 + x)


def dawson(x: Array) -> Array:
    """Return Dawson's D(x) = x times the integral of exp(−x² v (2 − v)) over 0 < v < 1, with v = w / (1 + x²)."""
    scale = 1 / (1 + x[..., None] ** 2)
    end = jnp.minimum(1 + x**2, 40)  # the rest is below one unit
    whole = integral(lambda w: jnp.exp(-(x[..., None] ** 2) * w * scale * (2 - w * scale)), end)
    return x / (1 + x**2) * whole


def owens_t(h: Array, a: Array) -> Array:
    """Return Owen's T: the integral of exp(−h²(1 + u²)/2) / (2π (1 + u²)) over u from 0 to `a`."""
    return integral(lambda u: jnp.exp(-(h[..., None] ** 2) * (1 + u**2) / 2) / (2 * np.pi * (1 + u**2)), a)


def hypergeometric(above: tuple[Array, ...], below: tuple[Array, ...], x: Array) -> Array:
    """Return the sum of x^k / k! times the rising factorials `above` over those `below`."""
    k = jnp.arange(TERMS, dtype=x.dtype)
    factors = x[..., None] / (k + 1)
    for a in above:
        factors = factors * (a[..., None] + k)
    for b in below:
        factors = factors / (b[..., None] + k)
    return 1 + jnp.sum(jnp.cumprod(factors, -1), -1)


def betainc(a: Array, b: Array, x: Array) -> Array:
    """Return the regularised incomplete beta function for 0 ≤ x ≤ 1/2, by its power series."""
    log_norm = jax.lax.lgamma(a + b) - jax.lax.lgamma(a) - jax.lax.lgamma(b)
    return jnp.exp(log_norm + a * jnp.log(x)) * hypergeometric((a, 1 - b), (a + 1,), x) / a


def lambertw(z: Array) -> Array:
    """Return w with w e^w = z, z > −1/e, by Newton's method from log(1 + z)."""
    w = jnp.log1p(z)
    for _ in range(NEWTON):
        w = w - (w - z * jnp.exp(-w)) / (1 + w)
    return w


def determinant_of_three(m: Array) -> Array:
    """Return the determinant of a 3 × 3 matrix as its six products."""
    return jnp.dot(
        m[0],
        jnp.stack(
            [m[1, (i + 1) % 3] * m[2, (i + 2) % 3] - m[1, (i + 2) % 3] * m[2, (i + 1) % 3] for i in range(3)]
        ),
    )


def power_law_log_density(x: Array, alpha: Array, low: Array, high: Array) -> Array:
    """Return the log density proportional to x^alpha on [low, high], alpha ≠ −1."""
    mass = (high ** (1 + alpha) - low ** (1 + alpha)) / (1 + alpha)
    return alpha * jnp.log(x) - jnp.log(mass)


def power_law_quantile(q: Array, alpha: Array, low: Array, high: Array) -> Array:
    """Return the quantile of the same law."""
    return (low ** (1 + alpha) + q * (high ** (1 + alpha) - low ** (1 + alpha))) ** (1 / (1 + alpha))


def simplex_projection(y: Array) -> Array:
    """Return the nearest point of the probability simplex."""
    sorted_y = jnp.sort(y)[::-1]
    k = jnp.arange(1, y.size + 1)
    size = jnp.sum(sorted_y * k > jnp.cumsum(sorted_y) - 1)
    threshold = (jnp.sum(jnp.where(k <= size, sorted_y, 0)) - 1) / size
    return jnp.maximum(y - threshold, 0)
