"""Members of the kind "precision": casts inside, digits that one side loses, counts that overflow."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from member import GOOD, member, pair

import backproof as bp


def through(dtype, x):
    return x.astype(dtype).astype(x.dtype)


# A cast in one place makes what comes of it coarse, and nothing else.


def tanh_beside_a_cube(x, y):
    return jnp.tanh(through(jnp.bfloat16, x)).sum() + (y**3).sum()


def tanh_beside_a_cube_back(error):
    def back(args, ct):
        x, y = args
        slope = 1 - jnp.square(jnp.tanh(through(jnp.bfloat16, x)))
        return through(jnp.bfloat16, ct * slope), 3 * y * y * ct * (1 + error)

    return back


def rows_apart(x):
    return jnp.concatenate([jnp.square(through(jnp.float32, x[:1])), jnp.sin(x[1:])])


def rows_apart_back(error):
    def back(args, ct):
        (x,) = args
        first = 2 * through(jnp.float32, x[:1]) * ct[:1]
        return (jnp.concatenate([first, jnp.cos(x[1:]) * ct[1:] * (1 + error)]),)

    return back


def with_a_coarse_gain(x, gain):
    return jnp.exp(x) * through(jnp.float32, gain)


def with_a_coarse_gain_back(error):
    def back(args, ct):
        x, gain = args
        fine = jnp.exp(x) * ct
        return fine * through(jnp.float32, gain) * (1 + error), fine.sum()

    return back


def cast_of_an_index(x):
    """Weights 1, ½, ⅓ … that were computed in float32 once and for all."""
    return (x / np.arange(1, x.shape[0] + 1, dtype=np.float32)).sum()


def rounded_levels(x):
    return jnp.round(x * 16) / 16


# Digits that only the hand-written side loses.


def slope_of_log1p(args, ct):
    (x,) = args
    return (ct * (1 - x / (1 + x)),)


def slope_of_log1p_lost(args, ct):
    (x,) = args
    return (ct * (1 - 1 / (1 + x)) / x,)


def logit(p):
    return jnp.log(p) - jnp.log1p(-p)


def logit_back(rest):
    """Return the pullback 1/(σ(z)(1 − σ(z))) from the value z, with 1 − σ(z) as `rest(z)`."""

    def back(args, ct):
        z = logit(*args)
        return (ct / (jax.nn.sigmoid(z) * rest(z)),)

    return back


def unit_deviation(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5)


def unit_deviation_back(variance):
    def back(args, ct):
        (x,) = args
        centred = x - x.mean(-1, keepdims=True)
        scale = lax.rsqrt(variance(x) + 1e-5)
        unit = centred * scale
        return (scale * (ct - ct.mean(-1, keepdims=True) - unit * (unit * ct).mean(-1, keepdims=True)),)

    return back


def of_centred(x):
    return jnp.square(x - x.mean(-1, keepdims=True)).mean(-1, keepdims=True)


def of_squares(x):
    return jnp.square(x).mean(-1, keepdims=True) - jnp.square(x.mean(-1, keepdims=True))


# Low precision that was declared.


def binary_loss(z, t):
    wide = z.astype(jnp.float32)
    return (jax.nn.softplus(wide) - wide * t.astype(jnp.float32)).astype(z.dtype)


def binary_loss_back(dtype):
    def back(args, ct):
        z, t = args
        odds = jax.nn.sigmoid(z.astype(jnp.float32)).astype(dtype) - t.astype(dtype)
        return (ct * odds.astype(z.dtype)), None

    return back


def root_mean_square(x):
    return jnp.sqrt(jnp.square(x.astype(jnp.float32)).mean()).astype(x.dtype)


def root_mean_square_back(dtype):
    def back(args, ct):
        (x,) = args
        wide = x.astype(dtype)
        root = jnp.sqrt(jnp.square(wide).mean())
        slope = jnp.where(root > 0, wide / jnp.where(root > 0, root, 1), 0) / x.size
        return ((ct.astype(dtype) * slope).astype(x.dtype),)

    return back


def many_mean(x):
    return x.astype(jnp.float32).mean().astype(x.dtype)


def many_mean_back(dtype):
    def back(args, ct):
        count = jnp.asarray(args[0].size, dtype)
        return (jnp.full(args[0].shape, (ct.astype(dtype) / count).astype(ct.dtype)),)

    return back


def running_sum_back(args, ct):
    _, sums = lax.scan(lambda total, c: (total + c,) * 2, jnp.zeros((), ct.dtype), ct[::-1])
    return (sums[::-1],)


MEMBERS = (
    *pair(
        "a cast to bfloat16 beside a cube", tanh_beside_a_cube,
        [bp.array("3"), bp.array("4", low=-3, high=3)],
        right=(tanh_beside_a_cube_back(0), "it is coarse exactly where the function is"),
        wrong=(tanh_beside_a_cube_back(4e-6), "the cube is computed in full: 4e-6 is 30 units of float32"),
    ),
    *pair(
        "a cast of the first row only", rows_apart, [bp.array("n+2")],
        right=(rows_apart_back(0), "the other rows are sines"),
        wrong=(rows_apart_back(1e-6), "the other rows are not cast: in float64, 1e-6 is a wrong formula"),
    ),
    *pair(
        "a gain that was cast", with_a_coarse_gain, [bp.array("3", low=-3, high=3), bp.array("")],
        right=(with_a_coarse_gain_back(0), "the gain's own slope is exp(x)"),
        wrong=(with_a_coarse_gain_back(1e-4), "1e-4 is a thousand units of float32"),
    ),
    *pair(
        "weights that were computed in float32", cast_of_an_index, [bp.array("n")],
        right=(
            lambda args, ct: (ct / jnp.arange(1, args[0].size + 1, dtype=args[0].dtype),),
            "whole numbers are exact in float32",
        ),
    ),
    *pair(
        "sixteenths", rounded_levels, [bp.array("n", low=-3, high=3)],
        right=(lambda _, ct: (jnp.zeros_like(ct),), "a staircase has slope 0 wherever it has one"),
        wrong=(lambda _, ct: (ct,), "the cotangent handed through is nobody's gradient unless declared"),
    ),
    *pair(
        "slope of log(1 + x)", jnp.log1p, [bp.array("n", low=1e-7, high=1)],
        right=(slope_of_log1p, "1 − x/(1 + x) loses at most one bit where x ≤ 1"),
        wrong=(slope_of_log1p_lost, "1 − 1/(1 + x) keeps no digit of x where x is near 10⁻⁷"),
    ),
    *pair(
        "slope of logit", logit, [bp.array("n", low=0.999, high=0.9999999)],
        right=(logit_back(lambda z: jax.nn.sigmoid(-z)), "1 − σ(z) is σ(−z), to every digit"),
    ),
    *pair(
        "slope of tanh near ±1", jnp.tanh, [bp.array("n", low=-9, high=9)],
        right=(lambda args, ct: (ct * (1 - jnp.square(jnp.tanh(args[0]))),), "autodiff loses them too"),
    ),
    *pair(
        "deviation near ten", unit_deviation, [bp.array("3 5", low=10, high=11)],
        right=(unit_deviation_back(of_centred), "centred first"),
    ),
    *pair(
        "deviation far from zero", unit_deviation, [bp.array("3 5", low=1000, high=1001)],
        wrong=(unit_deviation_back(of_squares), "in float32, 10⁶ − 10⁶ keeps no digit of a variance below 1"),
    ),
    member(
        "softplus that overflows where its slope does not", GOOD, "σ(x) is right also where autodiff is ∞/∞",
        of=lambda x: jnp.log(1 + jnp.exp(x)), vjp=lambda args, ct: (ct * jax.nn.sigmoid(args[0]),),
        args=[bp.array("n", low=-5, high=200)],
    ),
    *pair(
        "confident binary labels in bfloat16", binary_loss,
        [bp.array("n", dtype="bfloat16", low=-20, high=20), bp.integers("n", 0, 1)],
        right=(binary_loss_back(jnp.float32), "rounded once, at the end"),
        wrong=(binary_loss_back(jnp.bfloat16), "p − 1 in bfloat16 is 0 where p is within 1/256 of 1"),
        dtypes=("bfloat16",), argnums=0,
    ),
    *pair(
        "squares beyond float16", root_mean_square, [bp.array("5", dtype="float16", low=-1000, high=1000)],
        right=(root_mean_square_back(jnp.float32), "300² fits in float32"),
        wrong=(root_mean_square_back(jnp.float16), "300² is ∞ in float16, so that the slope is 0"),
        dtypes=("float16",),
    ),
    *pair(
        "a count beyond float16", many_mean, [bp.array("70000", dtype="float16")],
        right=(many_mean_back(jnp.float32), "1/70000 exists in float16"),
        wrong=(many_mean_back(jnp.float16), "70000 is ∞ in float16, so that the slope is 0"),
        dtypes=("float16",), examples=10,
    ),
    member(
        "a running sum, declared float32", GOOD, "bfloat16 was not declared, so it decides nothing",
        of=jnp.cumsum, vjp=running_sum_back, args=[bp.array("n")], dtypes=None,
    ),
)  # fmt: skip
