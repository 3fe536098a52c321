"""Rules of jax itself."""

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import mpmath as mp
import references
from record import AS_AUTODIFF, RIGHT, Call, Published, Witness, derivative, plain

import backproof as bp
from backproof.arguments import parse

TWO = (bp.array("n"), bp.array("n"))
POSITIVE = parse("f32[n]>0")


def _of_definition(fn, *args, of=None, **settings):
    """Return how a function is verified that carries its rule somewhere inside."""
    return lambda: Call(fn, list(args), plain(fn) if of is None else of, settings)


def _softplus_difference(base: float):
    """Return log_base(base^x + base^y) as the larger one and the rest, which loses nothing."""
    log_base = float(mp.log(base))

    def f(x, y):
        high, low = jnp.where(x >= y, x, y), jnp.where(x >= y, y, x)
        return high + jnp.log1p(jnp.exp(log_base * (low - high))) / log_base

    return f


def _softmax(x):
    e = jnp.exp(x - jnp.max(x, -1, keepdims=True))
    return e / jnp.sum(e, -1, keepdims=True)


def _share(base: float):
    return lambda x, y: 1 / (1 + mp.mpf(base) ** (y - x))


def _mills(x):  # φ(x)/Φ(x), by the continued fraction of the normal tail where erfc would underflow
    return mp.npdf(x) / mp.ncdf(x) if x > -40 else -x - 1 / x + 2 / x**3 - 10 / x**5


def _dawson_slope(x):
    if abs(x) > 40:
        return -(1 / (2 * x**2) + mp.mpf(3) / (4 * x**4) + mp.mpf(15) / (8 * x**6))
    return 1 - mp.sqrt(mp.pi) * x * mp.exp(-(x**2)) * mp.erfi(x)


def _attention():
    from jax.experimental.pallas.ops.tpu import flash_attention as flash

    heads = bp.array("b h n d+1", low=-4, high=4)
    of = lambda q, k, v: flash.mha_reference_no_custom_vjp(q, k, v)
    return Call(
        lambda q, k, v: flash.mha_reference(q, k, v, None),
        [heads, heads, heads],
        of,
        {"dtypes": ("float32",)},
    )


def _slogdet_of_two(m):
    return jnp.log(jnp.abs(m[0, 0])) + jnp.log(jnp.abs(m[1, 1] - m[1, 0] / m[0, 0] * m[0, 1]))


RULES = (
    Published("jax", "jax.nn.relu", lambda: Call(jax.nn.relu, [bp.array("n")]), "all reals", RIGHT, "1 above 0, 0 below; 0 at 0 lies between"),
    Published("jax", "jax.nn.relu6", lambda: Call(jax.nn.relu6, [bp.array("n")]), "all reals", RIGHT, "1 between 0 and 6, else 0; 0 at both ends lies between"),
    Published("jax", "jax.nn.softmax", _of_definition(jax.nn.softmax, bp.array("b n+1"), of=_softmax), "all reals", RIGHT, "y (t − Σ y t)"),
    Published(
        "jax", "jax.nn.log1mexp", lambda: Call(jax.nn.log1mexp, [POSITIVE]), "x > 0", RIGHT, "e^−x / (1 − e^−x) = 1 / (e^x − 1)",
        (Witness((1e-30,), lambda x: 1 / mp.expm1(x)), Witness((3.0,), lambda x: 1 / mp.expm1(x))),
    ),
    Published(
        "jax", "jax.numpy.logaddexp", _of_definition(jnp.logaddexp, *TWO, of=_softplus_difference(mp.e)), "all reals",
        "loses digits far from 0", "e^(x − out): `out` is rounded to half a unit of |x|, which the exponential makes a relative error",
        (Witness((2.0, 1.0), _share(mp.e)), Witness((1e4, 1e4), _share(mp.e), right=False), Witness((1e7, 1e7), _share(mp.e), right=False), Witness((1e16, 1e16), _share(mp.e), right=False, dtype="float64")),
    ),
    Published(
        "jax", "jax.numpy.logaddexp2", _of_definition(jnp.logaddexp2, *TWO, of=_softplus_difference(2.0)), "all reals",
        "loses digits far from 0", "2^(x − out), as for logaddexp",
        (Witness((2.0, 1.0), _share(2)), Witness((1e7, 1e7 + 1), _share(2), right=False)),
    ),
    Published(
        "jax", "jax.numpy.hypot", _of_definition(jnp.hypot, *TWO), "all reals", "wrong at (0, 0)", "the norm is convex: (0, 0) is a subgradient there, NaN is none",
        (Witness((3.0, 4.0), lambda x, y: x / mp.hypot(x, y)), Witness((1e30, 1e30), lambda x, y: x / mp.hypot(x, y)), Witness((0.0, 0.0), lambda x, y: mp.mpf(0), right=False)),
    ),
    Published(
        "jax", "jax.numpy.i0", _of_definition(jnp.i0, bp.array("n", low=0, high=20), of=lambda x: jnp.exp(x) * references.bessel_i_scaled(0, x)), "all reals", RIGHT, "I0' = I1",
        (Witness((0.5,), lambda x: mp.besseli(1, x)), Witness((15.0,), lambda x: mp.besseli(1, x))),
    ),
    Published(
        "jax", "jax.scipy.special.i0e", _of_definition(jsp.i0e, bp.array("n", low=0.1, high=1e4), of=lambda x: references.bessel_i_scaled(0, x)), "all reals",
        "loses digits far from 0", "i1e − i0e: two values of 1/√(2πx), whose difference is their 1/(2x)-th part",
        tuple(Witness((x,), lambda x: mp.exp(-x) * (mp.besseli(1, x) - mp.besseli(0, x)), right=x < 9) for x in (1.0, 1000.0, 10000.0)),
    ),
    Published(
        "jax", "jax.scipy.special.i1e", _of_definition(jsp.i1e, bp.array("n", low=0.1, high=1e4), of=lambda x: references.bessel_i_scaled(1, x)), "all reals",
        "loses digits far from 0", "i0e − i1e (1 + 1/x), as for i0e",
        tuple(Witness((x,), lambda x: mp.exp(-x) * (mp.besseli(0, x) - mp.besseli(1, x) * (1 + 1 / x)), right=x < 9) for x in (1.0, 1000.0, 10000.0)),
    ),
    Published(
        "jax", "jax.scipy.special.logit", lambda: Call(jsp.logit, [bp.array("n", low=1e-6, high=1 - 1e-6)]), "0 < x < 1", RIGHT, "1 / (x (1 − x))",
        (Witness((0.3,), lambda x: 1 / (x * (1 - x))), Witness((1e-30,), lambda x: 1 / (x * (1 - x)))),
    ),
    Published(
        "jax", "jax.scipy.special.xlogy", lambda: Call(jsp.xlogy, [bp.array("n", low=0), bp.array("n", low=0)]), "x, y ≥ 0; “well-defined” at (0, 0)",
        "wrong at (0, 0)", "xlogy(0, y) = 0 for all y ≥ 0, so ∂y = 0; the rule computes 0/0",
        (Witness((2.0, 3.0), lambda x, y: x / y, 1), Witness((0.0, 0.0), lambda x, y: mp.mpf(0), 1, right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.xlog1py", lambda: Call(jsp.xlog1py, [bp.array("n", low=0), bp.array("n", low=-1)]), "x ≥ 0, y ≥ −1; “well-defined” at (0, −1)",
        "wrong at (0, −1)", "∂y = 0 for x = 0; the rule computes 0/0",
        (Witness((2.0, 3.0), lambda x, y: x / (1 + y), 1), Witness((0.0, -1.0), lambda x, y: mp.mpf(0), 1, right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.rel_entr", _of_definition(jsp.rel_entr, POSITIVE, POSITIVE, of=lambda p, q: p * jnp.log(p / q)), "p, q > 0", RIGHT, "∂p = log(p/q) + 1, ∂q = −p/q",
        (Witness((0.3, 0.7), lambda p, q: mp.log(p / q) + 1), Witness((0.3, 0.7), lambda p, q: -p / q, 1)),
    ),
    Published(
        "jax", "jax.scipy.special.zeta", _of_definition(jsp.zeta, bp.array("n", low=1.5, high=6), bp.array("n", low=0.5, high=6), of=lambda s, q: _zeta(s, q)), "s > 1, q > 0", RIGHT,
        "∂q = −s ζ(s + 1, q); ∂s by Euler–Maclaurin, whose remainder is below one unit",
        (Witness((2.0, 3.0), lambda s, q: mp.diff(lambda t: mp.zeta(t, q), s)), Witness((20.0, 8.0), lambda s, q: -s * mp.zeta(s + 1, q), 1)),
    ),
    Published(
        "jax", "jax.scipy.special.log_ndtr", lambda: Call(jsp.log_ndtr, [bp.array("n")]), "all reals", "loses digits at x < −20", "exp(log φ − log Φ): a difference of two numbers of size x²/2",
        (Witness((-1.0,), _mills), Witness((-100.0,), _mills, right=False), Witness((-1e4,), _mills, right=False), Witness((-1e8,), _mills, right=False, dtype="float64")),
    ),
    Published(
        "jax", "jax.scipy.special.dawsn", _of_definition(jsp.dawsn, bp.array("n"), of=references.dawson), "all reals", "loses digits beyond ±3", "1 − 2x D(x): D(x) → 1/(2x), so 1 − 1 + 1/(2x²)",
        (Witness((1.0,), _dawson_slope), Witness((10.0,), _dawson_slope, right=False), Witness((1e4,), _dawson_slope, right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.expi", _of_definition(jsp.expi, bp.array("n", low=0.05, high=4), of=lambda x: float(mp.euler) + jnp.log(x) + references.integral(lambda t: jnp.expm1(t) / t, x)), "x ≠ 0", RIGHT, "Ei' = e^x / x",
        (Witness((0.1,), lambda x: mp.exp(x) / x), Witness((50.0,), lambda x: mp.exp(x) / x)),
    ),
    Published(
        "jax", "jax.scipy.special.sici", _of_definition(jsp.sici, bp.array("n", low=0.1, high=1e7)), "x > 0", "loses digits at large x", "sin(π (x/π)): rounding x/π turns the angle by x units; autodiff has sin(x)",
        (Witness((10.0,), lambda x: (mp.sin(x) + mp.cos(x)) / x), Witness((1e6,), lambda x: (mp.sin(x) + mp.cos(x)) / x, right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.expn", _of_definition(jsp.expn, bp.integers("n", 2, 6), bp.array("n", low=0.1, high=5), of=lambda n, x: _expn(n, x)), "n a whole number, x > 0", RIGHT, "E_n' = −E_(n−1)",
    ),
    Published(
        "jax", "jax.scipy.special.poch", lambda: Call(jsp.poch, [bp.array("n", low=0.5, high=8), bp.array("n", low=0.5, high=8)]), "z, m > 0", AS_AUTODIFF + " where m is small",
        "(ψ(z + m) − ψ(z)) (z)_m; autodiff of Γ(z + m)/Γ(z) has the same difference",
        (Witness((3.0, 1.0), lambda z, m: mp.rf(z, m) * (mp.digamma(z + m) - mp.digamma(z))), Witness((5.0, 1e-3), lambda z, m: mp.rf(z, m) * (mp.digamma(z + m) - mp.digamma(z)), right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.poch, z = 0", _of_definition(lambda z: jsp.poch(z, jnp.full_like(z, 2)), bp.array("n", low=-0.5, high=0.5), of=lambda z: z * (z + 1)), "all reals",
        "wrong at z = 0", "(z)_2 = z (z + 1) has slope 1 at 0; the rule computes (ψ(2) − ψ(0)) · 0",
        (Witness((0.25,), lambda z: 2 * z + 1), Witness((0.0,), lambda z: mp.mpf(1), right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.hyp1f1", _of_definition(jsp.hyp1f1, bp.array("n", low=0, high=4), bp.array("n", low=0.5, high=4), bp.array("n", low=0, high=4), of=lambda a, b, x: references.hypergeometric((a,), (b,), x)),
        "a, b, x positive", "wrong at a = 0", "the series for ∂a has the factor ψ(a + k) − ψ(a), which is ∞ · 0 at a = 0; the limit is Σ x^k / (k (b)_k)",
        (Witness((1.0, 2.0, 0.5), derivative(mp.hyp1f1, 0)), Witness((0.0, 2.0, 0.5), derivative(mp.hyp1f1, 0), right=False), Witness((1e-4, 2.0, 1.0), derivative(mp.hyp1f1, 0), right=False)),
    ),
    Published(
        "jax", "jax.scipy.special.hyp2f1", _of_definition(jsp.hyp2f1, bp.array("n", low=0.5, high=2), bp.array("n", low=0.5, high=2), bp.array("n", low=4.5, high=6), bp.array("n", low=0.01, high=0.4), of=lambda a, b, c, x: references.hypergeometric((a, b), (c,), x)),
        "a, b, c, x positive", RIGHT, "∂x = ab/c · F(a+1, b+1; c+1; x); ∂a, ∂b, ∂c as series of ψ",
        tuple(Witness((1.0, 1.5, 5.0, 0.25), derivative(mp.hyp2f1, i), i) for i in range(4)),
    ),
    Published(
        "jax", "jax.scipy.special.owens_t", _of_definition(jsp.owens_t, bp.array("n", low=-3, high=3), bp.array("n", low=-3, high=3), of=references.owens_t), "all reals", RIGHT, "∂h = −e^(−h²/2) erf(ah/√2) / (2√(2π)), ∂a = the integrand at a",
        (Witness((2.0, -1.5), lambda h, a: -mp.exp(-h * h / 2) * mp.erf(a * h / mp.sqrt(2)) / (2 * mp.sqrt(2 * mp.pi))),),
    ),
    Published(
        "jax", "jax.scipy.special.fresnel", _of_definition(jsp.fresnel, bp.array("n", low=-2, high=2), of=lambda x: tuple(references.integral(lambda t, f=f: f(jnp.pi / 2 * t * t), x) for f in (jnp.sin, jnp.cos))), "all reals", RIGHT, "sin and cos of πx²/2",
        (Witness((0.7,), lambda x: mp.sin(mp.pi * x * x / 2) + mp.cos(mp.pi * x * x / 2)), Witness((1234.5,), lambda x: mp.sin(mp.pi * x * x / 2) + mp.cos(mp.pi * x * x / 2))),
    ),
    Published(
        "jax", "jax.scipy.special.erfcx", _of_definition(jsp.erfcx, bp.array("n", low=-2, high=3), of=lambda x: jnp.exp(x * x) * jax.lax.erfc(x)), "all reals", RIGHT, "2x erfcx(x) − 2/√π for x < 0, a fit of the slope itself above",
        tuple(Witness((x,), lambda x: 2 * x * mp.exp(x * x) * mp.erfc(x) - 2 / mp.sqrt(mp.pi)) for x in (-2.0, 1.0, 10.0)),
    ),
    Published(
        "jax", "jax.scipy.special.ndtri", _of_definition(jsp.ndtri, bp.array("n", low=0.01, high=0.99), of=lambda p: jnp.sqrt(jnp.asarray(2, p.dtype)) * jax.lax.erf_inv(2 * p - 1)), "0 < p < 1", RIGHT, "1 / φ(ndtri(p))",
        (Witness((0.3,), lambda p: 1 / mp.npdf(mp.sqrt(2) * mp.erfinv(2 * p - 1))), Witness((1e-12,), lambda p: 1 / mp.npdf(mp.sqrt(2) * mp.erfinv(2 * p - 1)))),
    ),
    Published(
        "jax", "jax.numpy.linalg.det", _of_definition(jnp.linalg.det, bp.array("3 3"), of=references.determinant_of_three), "all square matrices", "wrong at singular matrices whose last pivot is not the zero one",
        "the derivative is the cofactors, which are not all 0 at rank n − 1; the rule returns zeros",
        (Witness(([[1.0, 2, 3], [2, 4, 6], [1, 1, 1]],), lambda m: m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1], entry=(0, 0)), Witness(([[0.0, 1, 2], [0, 1, 5], [0, 3, 4]],), lambda m: m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1], entry=(0, 0), right=False)),
    ),
    Published(
        "jax", "jax.numpy.linalg.slogdet, 2 × 2", _of_definition(lambda m: jnp.linalg.slogdet(m)[1], bp.array("2 2", low=-1e30, high=1e30), of=_slogdet_of_two), "all invertible matrices", "wrong at entries above 1.8e19 or below 1e-23 in float32",
        "ad − bc is formed, which overflows; the 3 × 3 case goes through LU and does not",
        (Witness(([[2.0, 1], [1, 3]],), lambda m: m[1, 1] / (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]), entry=(0, 0)), Witness(([[1e20, 0], [0, 1e20]],), lambda m: 1 / m[0, 0], entry=(0, 0), right=False)),
    ),
    Published(
        "jax", "jax.numpy.linalg.pinv", _of_definition(jnp.linalg.pinv, bp.array("3 2"), of=lambda a: jnp.linalg.solve(a.T @ a, a.T)), "full rank", RIGHT, "Golub and Pereyra 1973",
    ),
    Published("jax", "jax.experimental.pallas…flash_attention.mha_reference", _attention, "all reals; float32 inside", RIGHT, "the softmax's pullback with l and m saved"),
)  # fmt: skip


def _zeta(s, q):
    """Return Hurwitz's zeta by Euler and Maclaurin after 30 terms, with 8 corrections."""
    k = jnp.arange(30, dtype=s.dtype)
    end, total = q + 30, jnp.sum((q[..., None] + k) ** -s[..., None], -1)
    total = total + end ** (1 - s) / (s - 1) + end**-s / 2
    rising = s
    for j in range(1, 9):
        total = total + float(mp.bernoulli(2 * j) / mp.factorial(2 * j)) * rising * end ** (1 - s - 2 * j)
        rising = rising * (s + 2 * j - 1) * (s + 2 * j)
    return total


def _expn(n, x):
    """Return E_n(x) = the integral of e^(−x/u) u^(n−2) over 0 < u < 1, n ≥ 2, with u = e^−v."""
    v = jnp.asarray(references.NODES + 1, x.dtype) * 4
    weights = jnp.asarray(references.WEIGHTS, x.dtype) * 4
    integrand = jnp.exp(-x[..., None] * jnp.exp(v) - v * (n[..., None].astype(x.dtype) - 1))
    return jnp.sum(weights * integrand, -1)
