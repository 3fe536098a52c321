"""Rules of the packages for probability: TensorFlow Probability on jax, numpyro, distrax."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import references
from hypothesis import strategies as st
from record import AS_AUTODIFF, RIGHT, Call, Published, Witness, derivative

import backproof as bp
from backproof.arguments import parse

TFP = "tfp-nightly"
POSITIVE, NEGATIVE = parse("f32[n]>0"), parse("f32[n]<0")
ONE_SHAPE = "3"  # these compile for seconds at every shape
FIRST_ORDER = {"second_order": False}
POWER_LAW = (
    bp.array("n", low=1.5, high=2.5),
    bp.array("n", low=0.5, high=2),
    bp.array("n", low=0.5, high=1),
    bp.array("n", low=3, high=5),
)


def _tfp(name, *args, of, wrap=None, **settings):
    """Return how `tfp.math.name` is verified against `of`; `wrap` fixes some of its arguments."""

    def call():
        import tensorflow_probability.substrates.jax as tfp

        fn = getattr(tfp.math, name)
        # its documentation names float32 and float64, and its series take seconds a point
        own = {"examples": 20, "dtypes": ("float32",), **settings}
        return Call(wrap(fn) if wrap else fn, list(args), of, own)

    return call


def _of_order(order):
    return lambda fn: lambda z: fn(jnp.full_like(z, order), z)


def _distrax(name, *args):
    def call():
        from distrax._src.utils import math

        return Call(getattr(math, name), list(args))

    return call


def _power_law(method, of, *args, at=None):
    """Return how a method of numpyro's law is verified; `at` fixes its exponent."""

    def call():
        from numpyro.distributions import DoublyTruncatedPowerLaw as Law

        whole = lambda x, alpha, low, high: getattr(Law(alpha, low, high), method)(x)
        fixed = lambda x, low, high: whole(x, jnp.full_like(x, at), low, high)
        return Call(whole if at is None else fixed, list(args), of)

    return call


def _log1mexp():
    from numpyro.distributions.util import log1mexp

    return Call(log1mexp, [NEGATIVE])


def _positive_definite(*more):
    """Return a strategy of (matrix, …) with a well-conditioned symmetric positive definite matrix."""

    def draw(seed):
        random = np.random.default_rng(seed)
        n = int(random.integers(1, 5))
        half = random.standard_normal((n, n))
        matrix = half @ half.T + n * np.eye(n)
        return (matrix.astype("float32"), *(random.standard_normal((n, m)).astype("float32") for m in more))

    return st.integers(0, 2**31).map(draw)


def _hpsd(name, of, *more):
    def call():
        import tensorflow_probability.substrates.jax as tfp

        return Call(getattr(tfp.math, name), _positive_definite(*more), of)

    return call


def _quadratic_form(m, b):
    return b.T @ jnp.linalg.solve(_symmetric(m), b)


def _symmetric(matrix):
    return (matrix + matrix.T) / 2


def _exact_betainc(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


def _exact_log_density(x, alpha, low, high):
    return mp.log((1 + alpha) * x**alpha / (high ** (1 + alpha) - low ** (1 + alpha)))


def _dawson_slope(x):
    return 1 - mp.sqrt(mp.pi) * x * mp.exp(-(x**2)) * mp.erfi(x)


def _scaled_k_slope(order):
    return lambda z: mp.diff(lambda t: mp.exp(t) * mp.besselk(order, t), z)


RULES = (
    Published(
        TFP, "tfp.math.log_cosh", _tfp("log_cosh", bp.array("n"), of=lambda x: jnp.abs(x) + jnp.log1p(jnp.expm1(-2 * jnp.abs(x)) / 2)), "all reals", RIGHT, "tanh x",
        (Witness((1e-20,), mp.tanh), Witness((-3.0,), mp.tanh)),
    ),
    Published(
        TFP, "tfp.math.lbeta", _tfp("lbeta", POSITIVE, POSITIVE, of=lambda x, y: jax.lax.lgamma(x) + jax.lax.lgamma(y) - jax.lax.lgamma(x + y)), "x, y > 0; “more accurate for arguments above 8”",
        AS_AUTODIFF + " where x ≫ y", "∂x = ψ(x) − ψ(x + y), which is −y/x there; the value is computed without this cancellation, the gradient with it",
        (Witness((2.0, 3.0), lambda x, y: mp.digamma(x) - mp.digamma(x + y)), Witness((1e6, 1.0), lambda x, y: mp.digamma(x) - mp.digamma(x + y), right=False)),
    ),
    Published(
        TFP, "tfp.math.log_gamma_difference", _tfp("log_gamma_difference", POSITIVE, POSITIVE, of=lambda x, y: jax.lax.lgamma(y) - jax.lax.lgamma(x + y)), "x, y > 0",
        AS_AUTODIFF + " where y ≫ x", "∂y = ψ(y) − ψ(x + y), as for lbeta; its comment says so",
        (Witness((2.0, 3.0), lambda x, y: mp.digamma(y) - mp.digamma(x + y), 1), Witness((1.0, 1e6), lambda x, y: mp.digamma(y) - mp.digamma(x + y), 1, right=False)),
    ),
    Published(
        TFP, "tfp.math.dawsn", _tfp("dawsn", bp.array("n"), of=references.dawson), "all reals", "loses digits beyond ±3", "1 − 2x D(x), as in jax",
        (Witness((1.0,), _dawson_slope), Witness((30.0,), _dawson_slope, right=False)),
    ),
    Published(
        TFP, "tfp.math.erfcx", _tfp("erfcx", bp.array("n", low=0, high=1e3), of=references.erfcx), "all reals", "loses digits at x > 10", "2x erfcx(x) − 2/√π: erfcx(x) → 1/(√π x), so the two cancel",
        (Witness((1.0,), lambda x: 2 * x * mp.exp(x * x) * mp.erfc(x) - 2 / mp.sqrt(mp.pi)), Witness((20.0,), lambda x: 2 * x * mp.exp(x * x) * mp.erfc(x) - 2 / mp.sqrt(mp.pi), right=False)),
    ),
    Published(
        TFP, "tfp.math.lambertw", _tfp("lambertw", bp.array("n", low=-0.2, high=50), of=references.lambertw), "z ≥ −1/e", RIGHT, "w / (z (1 + w)), and 1 at 0",
        (Witness((1e-30,), lambda z: mp.lambertw(z) / (z * (1 + mp.lambertw(z)))), Witness((2.0,), lambda z: mp.lambertw(z) / (z * (1 + mp.lambertw(z))))),
    ),
    Published(
        TFP, "tfp.math.owens_t", _tfp("owens_t", bp.array("n", low=-3, high=3), bp.array("n", low=-3, high=3), of=references.owens_t), "all reals", RIGHT, "as in jax",
        (Witness((2.0, -1.5), lambda h, a: mp.exp(-(1 + a * a) * h * h / 2) / (2 * mp.pi * (1 + a * a)), 1),),
    ),
    Published(
        TFP, "tfp.math.betainc", _tfp("betainc", bp.array("n", low=0.5, high=4), bp.array("n", low=0.5, high=4), bp.array("n", low=0.05, high=0.45), of=references.betainc), "a, b > 0, 0 ≤ x ≤ 1", "wrong at whole b (in ∂b)",
        "the power series ends at the first factor k − b that is 0; the derivative of the terms after it is not 0",
        (*(Witness((2.0, 2.9, 0.3), derivative(_exact_betainc, i), i) for i in range(3)),
         *(Witness((a, b, 0.3), derivative(_exact_betainc, 1), 1, right=False) for a, b in ((1.0, 1.0), (2.0, 3.0)))),
    ),
    Published(
        TFP, "tfp.math.bessel_ive, v = 1", _tfp("bessel_ive", bp.array(ONE_SHAPE, low=0.1, high=1e4), of=lambda z: references.bessel_i_scaled(1, z), wrap=_of_order(1), **FIRST_ORDER), "z real; no gradient for v", "loses digits at large z", "ive_(v+1) + (v/z − 1) ive: a difference of almost equal numbers",
        (Witness((1.0,), lambda z: mp.diff(lambda t: mp.exp(-t) * mp.besseli(1, t), z)), Witness((1e4,), lambda z: mp.diff(lambda t: mp.exp(-t) * mp.besseli(1, t), z), right=False)),
    ),
    Published(
        TFP, "tfp.math.bessel_ive, z = 0", _tfp("bessel_ive", bp.array(ONE_SHAPE, low=0, high=3), of=lambda z: references.bessel_i_scaled(1, z), wrap=_of_order(1), **FIRST_ORDER), "z real", "wrong at z = 0", "e^−z I_1(z) = z/2 − …, so the slope is ½; the rule computes v/0 · 0",
        (Witness((0.5,), lambda z: mp.diff(lambda t: mp.exp(-t) * mp.besseli(1, t), z)), Witness((0.0,), lambda z: mp.mpf("0.5"), right=False)),
    ),
    Published(
        TFP, "tfp.math.bessel_ive, in v", _tfp("bessel_ive", bp.array("", low=1, high=1), bp.array(ONE_SHAPE, low=0.5, high=3), of=lambda v, z: jnp.exp(-z) * z**v / 2**v / jnp.exp(jax.lax.lgamma(v + 1)) * _even_series(v, z), **FIRST_ORDER), "“not defined” in v", "wrong at every v: 0 is returned",
        "an undefined gradient is returned as 0, without a word; ∂v of I_v(z) is not 0",
        (Witness((1.5, 2.0), lambda v, z: mp.diff(lambda t: mp.exp(-z) * mp.besseli(t, z), v), right=False),),
    ),
    Published(
        TFP, "tfp.math.bessel_kve, v = 0", _tfp("bessel_kve", bp.array(ONE_SHAPE, low=0.5, high=1e3), of=lambda z: references.bessel_k_scaled(0, z), wrap=_of_order(0), **FIRST_ORDER), "z > 0", "loses digits at large z", "(z − v)/z kve − kve_(v−1)",
        (Witness((1.0,), _scaled_k_slope(0)), Witness((1e3,), _scaled_k_slope(0), right=False)),
    ),
    Published(
        TFP, "tfp.math.log_bessel_kve, v = 0", _tfp("log_bessel_kve", bp.array(ONE_SHAPE, low=0.5, high=1e3), of=lambda z: jnp.log(references.bessel_k_scaled(0, z)), wrap=_of_order(0), **FIRST_ORDER), "z > 0; “more numerically stable”", "loses digits at large z", "−expm1(log of a mean of two K − log K)",
        (Witness((1.0,), lambda z: 1 - mp.besselk(1, z) / mp.besselk(0, z)), Witness((1e3,), lambda z: 1 - mp.besselk(1, z) / mp.besselk(0, z), right=False)),
    ),
    Published(
        TFP, "tfp.math.bessel_iv_ratio, v = 1", _tfp("bessel_iv_ratio", bp.array(ONE_SHAPE, low=0.1, high=1e3), of=lambda z: references.bessel_i_scaled(1, z) / references.bessel_i_scaled(0, z), wrap=_of_order(1), **FIRST_ORDER), "z > 0", "loses digits at large z", "½ (1 + r (r' − 2r − …)): the slope is 1/(2z²), the terms are 1",
        (Witness((1.0,), lambda z: mp.diff(lambda t: mp.besseli(1, t) / mp.besseli(0, t), z)), Witness((1e3,), lambda z: mp.diff(lambda t: mp.besseli(1, t) / mp.besseli(0, t), z), right=False)),
    ),
    Published(TFP, "tfp.math.hpsd_logdet", _hpsd("hpsd_logdet", lambda m: jnp.linalg.slogdet(_symmetric(m))[1]), "symmetric positive definite", RIGHT, "∂ log det A = A⁻¹"),
    Published(TFP, "tfp.math.hpsd_solve", _hpsd("hpsd_solve", lambda m, b: jnp.linalg.solve(_symmetric(m), b), 2), "symmetric positive definite", RIGHT, "−½ (u xᵀ + x uᵀ) with A u = g"),
    Published(
        TFP, "tfp.math.hpsd_quadratic_form_solve, one column", _hpsd("hpsd_quadratic_form_solve", _quadratic_form, 1), "symmetric positive definite", RIGHT, "−u g uᵀ and 2 u g with A u = b",
    ),
    Published(
        TFP, "tfp.math.hpsd_quadratic_form_solve, two columns", _hpsd("hpsd_quadratic_form_solve", _quadratic_form, 2), "symmetric positive definite; b may be a matrix", "wrong at two or more columns",
        "d(bᵀA⁻¹b) = dbᵀ u + uᵀ db − uᵀ dA u; the rule has 2 uᵀ db, which is the same for one column only",
        (Witness(([[3.0, 1], [1, 2]], [[1.0, 2], [3, -1]]), lambda m, b: (m[1, 1] * b[0, 1] - m[0, 1] * b[1, 1]) / (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]), 1, (0, 0), (0, 1), right=False),),
    ),
    Published("numpyro", "numpyro…util.log1mexp", _log1mexp, "x < 0", RIGHT, "−e^x / (1 − e^x) = −1 / (e^−x − 1)", (Witness((-1e-30,), lambda x: -1 / mp.expm1(-x)), Witness((-3.0,), lambda x: -1 / mp.expm1(-x)))),
    Published(
        "numpyro", "numpyro…DoublyTruncatedPowerLaw.log_prob", _power_law("log_prob", references.power_law_log_density, *POWER_LAW), "low ≤ x ≤ high", "wrong at every low and high",
        "∂low log f = (1+α) lowᵅ / (highᵅ⁺¹ − lowᵅ⁺¹), ∂high its counterpart with a minus; the rule gives ∂f, not ∂f/f, and no minus",
        tuple(Witness((2.0, 1.5, 1.0, 4.0), derivative(_exact_log_density, i), i, right=i < 2) for i in range(4)),
    ),
    Published(
        "numpyro", "numpyro…DoublyTruncatedPowerLaw.cdf, α = −1",
        _power_law("cdf", lambda x, low, high: jnp.log(x / low) / jnp.log(high / low), POWER_LAW[0], *POWER_LAW[2:], at=-1.0), "low ≤ x ≤ high", "wrong at every high: its sign", "log(x/low) / log(high/low) falls as high grows; the rule has no minus",
        (Witness((2.0, 1.0, 4.0), lambda x, low, high: -mp.log(x / low) / (mp.log(high / low) ** 2 * high), 2, right=False), Witness((2.0, 1.0, 4.0), lambda x, low, high: 1 / (x * mp.log(high / low)))),
    ),
    Published(
        "numpyro", "numpyro…DoublyTruncatedPowerLaw.icdf", _power_law("icdf", references.power_law_quantile, bp.array("n", low=0.1, high=0.9), *POWER_LAW[1:]), "0 < q < 1", RIGHT, "the quantile's own derivative, α ≠ −1",
        tuple(Witness((0.5, 1.5, 1.0, 4.0), derivative(references.power_law_quantile, i), i) for i in range(4)),
    ),
    Published("distrax", "distrax…multiply_no_nan", _distrax("multiply_no_nan", bp.array("n"), bp.array("n")), "all reals", RIGHT, "∂x = y, ∂y = x"),
    Published(
        "distrax", "distrax…power_no_nan", _distrax("power_no_nan", bp.array("n", low=0), bp.array("n", low=0)), "x ≥ 0; “1.0 when y is zero, regardless of x”", "wrong at x = 0 with y ≥ 0",
        "x⁰ = 1 has slope 0 at x = 0, the rule computes 0 · 0⁻¹; 0^y = 0 has slope 0 in y > 0, the rule computes 0 · log 0",
        (Witness((2.0, 3.0), lambda x, y: y * x ** (y - 1)), Witness((0.0, 0.0), lambda x, y: mp.mpf(0), right=False), Witness((0.0, 2.0), lambda x, y: mp.mpf(0), 1, right=False)),
    ),
)  # fmt: skip


def _even_series(v, z):
    return references.hypergeometric((), (v + 1 + 0 * z,), z * z / 4)
