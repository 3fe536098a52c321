"""Rules of the packages for optimal transport, optimisation, linear algebra and networks."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import references
from record import RIGHT, Call, Published, Witness, plain

import backproof as bp


def _ott(name, *args, wrap=None, of=None, **settings):
    """Return how `ott.math.utils.name` is verified; `wrap` fixes some of its arguments."""

    def call():
        from ott.math import utils

        fn = getattr(utils, name)
        return Call(wrap(fn) if wrap else fn, list(args), of, settings)

    return call


def _imported(path, name, *args, wrap=None, of=None, **settings):
    """Return how `path.name` is verified."""

    def call():
        import importlib

        fn = getattr(importlib.import_module(path), name)
        return Call(wrap(fn) if wrap else fn, list(args), of, settings)

    return call


def _isotonic(y):
    """Return the increasing sequence nearest to `y`: the largest over starts of the least over ends of means."""
    total = jnp.concatenate([jnp.zeros(1, y.dtype), jnp.cumsum(y)])
    size = jnp.arange(y.size)[None, :] + 1 - jnp.arange(y.size)[:, None]
    means = (total[None, 1:] - total[:-1, None]) / jnp.maximum(size, 1)
    rows = [jnp.max(jnp.stack([jnp.min(means[start, i:]) for start in range(i + 1)])) for i in range(y.size)]
    return jnp.stack(rows)


def _sparse_projection(y):
    """Return the projection of the two largest entries on the simplex, and zeros elsewhere."""
    (a, b), (i, j) = jax.lax.top_k(y, 2)
    share = jnp.clip((1 + a - b) / 2, 0, 1)
    return jnp.zeros_like(y).at[i].set(share).at[j].set(1 - share)


def _harmonics(degree):
    def call():
        import e3nn_jax as e3nn

        fn = lambda v: e3nn.spherical_harmonics(degree, e3nn.IrrepsArray("1o", v), False).array
        return Call(fn, [bp.array("b 3")], plain(fn))

    return call


RULES = (
    Published(
        "ott-jax", "ott.math.utils.norm", _ott("norm", bp.array("n+1")), "all reals; 0 at 0", "wrong at 0: the value is √n under differentiation", "x / |x|, and 0 at 0, which is a subgradient; but the value is that of the guarded copy, a vector of ones",
        (Witness(([3.0, 4.0],), lambda x: x[0] / mp.hypot(*x), entry=(0,)), Witness(([0.0, 0.0],), lambda x: mp.mpf(0), entry=(0,))),
    ),
    Published(
        "ott-jax", "ott.math.utils.norm, axis=−1", _ott("norm", bp.array("b n+1"), wrap=lambda f: lambda x: f(x, None, -1), of=lambda x: jnp.sqrt(jnp.sum(x * x, -1))), "all reals; “safely output a 0”", "wrong at a row of zeros beside other rows",
        "the rule asks whether all of x is 0, not whether the row is",
        (Witness(([[0.0, 0.0], [3.0, 4.0]],), lambda x: mp.mpf(0), entry=(0, 0), right=False), Witness(([[0.0, 0.0], [3.0, 4.0]],), lambda x: x[1, 0] / mp.hypot(*x[1]), entry=(1, 0))),
    ),
    Published(
        "ott-jax", "ott.math.utils.logsumexp", _ott("logsumexp", np.array([-np.inf, -np.inf], "float32")), "−∞ allowed: “does not blow up”", "wrong at all −∞: the value is 0 under differentiation",
        "log of an empty sum is −∞; the rule returns its own guarded copy of the value, which is 0",
    ),
    Published(
        "ott-jax", "ott.math.utils.logsumexp, keepdims", _ott("logsumexp", bp.array("b n+1"), wrap=lambda f: lambda x: f(x, -1, True), of=lambda x: jax.nn.logsumexp(x, -1, keepdims=True)), "all reals",
        "wrong at every x: raises TypeError", "the rule adds the axis that keepdims has kept already",
    ),
    Published(
        "ott-jax", "ott.math.utils.softmin", _ott("softmin", bp.array("n+1"), bp.array("", low=0.5, high=2), wrap=lambda f: lambda x, g: f(x, g, None), of=lambda x, g: -g * jax.nn.logsumexp(-x / g)), "gamma > 0", "wrong at every gamma: its gradient is 0",
        "∂γ = −log Σ e^(−x/γ) − Σ p x / γ, not 0",
        (Witness(([1.0, 2.0], 1.0), lambda x, g: mp.exp(-x[0] / g) / (mp.exp(-x[0] / g) + mp.exp(-x[1] / g)), entry=(0,)), Witness(([1.0, 2.0], 1.0), lambda x, g: mp.diff(lambda t: -t * mp.log(mp.exp(-x[0] / t) + mp.exp(-x[1] / t)), g), 1, right=False)),
    ),
    Published(
        "ott-jax", "ott.math.utils.lambertw", _ott("lambertw", bp.array("n", low=-0.2, high=50), of=references.lambertw, wrap=lambda f: lambda z: f(z)), "z ≥ −1/e", RIGHT, "w / (z (1 + w)), and 1 at 0",
        (Witness((1e-30,), lambda z: mp.lambertw(z) / (z * (1 + mp.lambertw(z)))), Witness((2.0,), lambda z: mp.lambertw(z) / (z * (1 + mp.lambertw(z))))),
    ),
    Published(
        "lineax", "lineax…two_norm", _imported("lineax._norm", "_two_norm", bp.array("n")), "all reals; 0 at 0", RIGHT, "x / |x|, and 0 at 0",
        (Witness(([3.0, 4.0],), lambda x: x[0] / mp.hypot(*x), entry=(0,)),),
    ),
    Published("lineax", "lineax…max_norm", _imported("lineax._norm", "max_norm", bp.array("n+1"), of=lambda x: jnp.max(jnp.abs(x))), "all reals; 0 at 0", RIGHT, "the sign at the largest entry; 0 at 0 is a subgradient"),
    Published("optax", "optax.projections.projection_simplex", _imported("optax.projections", "projection_simplex", bp.array("n+1", low=-4, high=4), of=references.simplex_projection, wrap=lambda f: lambda x: f(x)), "all reals", RIGHT, "t − mean of t on the support, 0 elsewhere"),
    Published(
        "optax", "optax…weighted_logsoftmax", _imported("optax.losses._classification", "weighted_logsoftmax", bp.array("b n+1"), bp.array("b n+1", low=0, high=1)), "weights ≥ 0", RIGHT, "∂x = w (t − Σ p t), ∂w = log p",
    ),
    Published(
        "optax", "optax…scale_gradient", _imported("optax._src.utils", "_scale_gradient", bp.array("n"), bp.array("", low=0.25, high=4), declared={"inputs": "scaled", "scale": "scaled"}), "a declared scaling", RIGHT, "the identity; its gradient is scaled on purpose, which the caller declares",
    ),
    Published("jaxopt", "jaxopt.projection.projection_simplex", _imported("jaxopt.projection", "projection_simplex", bp.array("n+1", low=-4, high=4), of=references.simplex_projection, wrap=lambda f: lambda x: f(x)), "all reals", RIGHT, "as in optax"),
    Published("jaxopt", "jaxopt.projection…sparse_simplex, 2", _imported("jaxopt.projection", "projection_sparse_simplex", bp.array("n+2", low=-4, high=4), of=_sparse_projection, wrap=lambda f: lambda x: f(x, 2)), "all reals", RIGHT, "the same on the two largest entries"),
    Published(
        "jaxopt", "jaxopt.isotonic.isotonic_l2_pav", _imported("jaxopt.isotonic", "isotonic_l2_pav", bp.array("n+1", low=-4, high=4), of=_isotonic, wrap=lambda f: lambda y: f(y)), "all reals", "wrong at differences below 1e-8",
        "blocks are found by |difference| ≤ 1e-8, whatever the scale of y; the means divide by size + 1e-8",
        (Witness(([1.0, 3.0, 2.0],), lambda y: mp.mpf("0.5"), entry=(2,), result=(1,)), Witness(([1e-9, 2e-9, 1.0],), lambda y: mp.mpf(1), entry=(0,), result=(0,), right=False)),
    ),
    Published("e3nn-jax", "e3nn_jax.spherical_harmonics, l = 2", _harmonics(2), "all reals", RIGHT, "the gradient of a harmonic polynomial is one of degree l − 1, by Clebsch–Gordan"),
    Published("e3nn-jax", "e3nn_jax.spherical_harmonics, l = 3", _harmonics(3), "all reals", RIGHT, "the same"),
    Published("e3nn-jax", "e3nn_jax…einsum", _imported("e3nn_jax._src.utils.einsum", "einsum", bp.array("b n"), bp.array("n m"), wrap=lambda f: lambda a, b: f("ij,jk->ik", a, b), of=lambda a, b: a @ b), "all reals", RIGHT, "Leibniz's rule"),
    Published(
        "flax", "flax…dot_general_with_precision", _imported("flax.linen.fp8_ops", "dot_general_with_precision", bp.array("b n"), bp.array("n m"), wrap=lambda f: lambda a, b: f(a, b, (((1,), (0,)), ((), ()))), of=lambda a, b: a @ b), "all reals", RIGHT, "Leibniz's rule",
    ),
)  # fmt: skip
