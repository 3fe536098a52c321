"""Members of the kind "guards": formulas made safe at one point, and points where nothing can be compared."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax.scipy.special import entr, xlogy
from member import BAD, GOOD, member, pair

import backproof as bp


def smooth_abs(eps):
    return lambda x: jnp.sqrt(x * x + eps).sum()


def smooth_abs_back(eps, at_zero):
    """Return the pullback of √(x² + ε) with a slope of its own at 0, where the right one is 0."""

    def back(args, ct):
        (x,) = args
        return (ct * jnp.where(x == 0, at_zero, x / jnp.sqrt(x * x + eps)),)

    return back


def smooth_guards():
    """Yield √(x² + ε) in float64 for guards from large to tiny: it is smooth at 0, with slope 0."""
    for eps in (1e-6, 1e-12, 1e-18, 1e-40):
        yield from pair(
            f"√(x² + {eps})", smooth_abs(eps), [bp.array("", dtype="float64")],
            right=(smooth_abs_back(eps, 0.0), "by symmetry the slope at 0 is 0"),
            wrong=(smooth_abs_back(eps, 0.5), "the function is smooth at 0: no other slope is right"),
        )  # fmt: skip


BESIDE = st.permutations([0.0, 1e12, -1e-12]).map(lambda entries: (np.array(entries),))


def softsign(x):
    return x / (jnp.abs(x) + 1e-3)


def softsign_back(at_zero):
    def back(args, ct):
        (x,) = args
        return (ct * jnp.where(x == 0, at_zero, 1e-3 / jnp.square(jnp.abs(x) + 1e-3)),)

    return back


def safe_ratio(x, y):
    """Return x/y, and 0 where y = 0; smooth wherever y is not 0."""
    return jnp.where(y == 0, 0, x / jnp.where(y == 0, 1, y))


def safe_ratio_back(power):
    def back(args, ct):
        x, y = args
        safe = jnp.where(y == 0, 1, y)
        return jnp.where(y == 0, 0, ct / safe), jnp.where(y == 0, 0, -ct * x / safe**power)

    return back


def mean_growth(x):
    """Return (eˣ − 1)/x, and 1 at 0; its slope there is ½."""
    return jnp.where(x == 0, 1, jnp.expm1(x) / x)


def mean_growth_back(at_zero):
    def back(args, ct):
        (x,) = args
        far = jnp.where(jnp.abs(x) < 0.5, 1, x)
        exact = (far * jnp.exp(far) - jnp.expm1(far)) / far**2
        series = jnp.polyval(jnp.array([k / math.factorial(k + 1) for k in range(16, 0, -1)], x.dtype), x)
        return (ct * jnp.where(x == 0, at_zero, jnp.where(jnp.abs(x) < 0.5, series, exact)),)

    return back


def growth_of_nothing(w, x):
    """Return w eˣ, without computing eˣ where w = 0."""
    return jnp.where(w == 0, 0, w * jnp.exp(jnp.where(w == 0, 0, x)))


def growth_of_nothing_back(guarded):
    def back(args, ct):
        w, x = args
        delta_w = ct * jnp.exp(x)
        return jnp.where(w == 0, 0, delta_w) if guarded else delta_w, ct * w * jnp.exp(x)

    return back


def inverse_softplus(y):
    return jnp.where(y > 40, y, jnp.log(jnp.expm1(y)))


def masked_softmax(z, keep):
    """Return softmax over the kept entries of each row, and zeros in a row that keeps none."""
    p = jax.nn.softmax(jnp.where(keep == 1, z, -jnp.inf), axis=-1)
    return jnp.where(keep.any(-1, keepdims=True), p, 0)


def masked_softmax_back(p_of):
    def back(args, ct):
        p = p_of(*args)
        return p * (ct - (p * ct).sum(-1, keepdims=True)), None

    return back


def without_a_guard(z, keep):
    return jax.nn.softmax(jnp.where(keep == 1, z, -jnp.inf), axis=-1)


def attention(scores, v, keep):
    return masked_softmax(scores, keep) @ v


def attention_back(p_of):
    def back(args, ct):
        scores, v, keep = args
        p = p_of(scores, keep)
        delta_p = ct @ v.T
        return p * (delta_p - (p * delta_p).sum(-1, keepdims=True)), p.T @ ct, None

    return back


def even_if_masked(z, keep):
    """Return uniform weights in a row that keeps nothing, as a mask of −10⁹ would."""
    return jax.nn.softmax(jnp.where(keep == 1, z, -1e9), axis=-1)


def row_norms(x):
    square = jnp.square(x).sum(-1)
    return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def row_norms_back(at_zero):
    def back(args, ct):
        (x,) = args
        norm = row_norms(x)[:, None]
        return (ct[:, None] * jnp.where(norm == 0, at_zero, x / jnp.where(norm == 0, 1, norm)),)

    return back


def unit_rms(x):
    return x / jnp.sqrt(jnp.square(x).mean() + 1e-8)


def unit_rms_back(eps):
    def back(args, ct):
        (x,) = args
        root = jnp.sqrt(jnp.square(x).mean() + eps)
        return ((ct - x / root * (x / root * ct).mean()) / root,)

    return back


def xlogy_back(guarded):
    def back(args, ct):
        x, y = args
        delta_x = jnp.where(x == 0, 0, jnp.log(y)) if guarded else jnp.log(y)
        return ct * delta_x, ct * x / y

    return back


def log_with_floor(floor):
    """Return log with a rule of its own, whose forward pass adds `floor`."""
    log = jax.custom_vjp(jnp.log)
    log.defvjp(lambda x: (jnp.log(x + floor), x), lambda x, ct: (ct / x,))
    return log


def half_open(x):
    """Return √(1 − x²), whose slope is infinite at ±1."""
    return jnp.sqrt(1 - x * x)


TWO = [bp.array("n", low=-3, high=3), bp.array("n", low=-3, high=3)]
MEMBERS = (
    *pair(
        "a guard met at a hundred entries", lambda x: jnp.where(x == 0, 0.0, jnp.sin(x)), [bp.array("100")],
        right=(lambda args, ct: (ct * jnp.cos(args[0]),), "sin has slope 1 at 0, at every entry"),
        wrong=(
            lambda args, ct: (ct * jnp.where(args[0] == 0, 0.0, jnp.cos(args[0])),),
            "0 is the slope of the guard",
        ),
    ),
    *smooth_guards(),
    *pair(
        "√(x² + 10⁻¹²) between huge and tiny neighbours", smooth_abs(1e-12), BESIDE,
        right=(smooth_abs_back(1e-12, 0.0), "entries do not meet: each has its own slope"),
        wrong=(smooth_abs_back(1e-12, 0.3), "a slip at one entry, whatever stands next to it"),
    ),
    *pair(
        "softsign with a guard", softsign, [bp.array("n", low=-1, high=1)],
        right=(softsign_back(1e3), "differentiable at 0: f(h)/h tends to 1/ε"),
        wrong=(softsign_back(0.0), "one-sided slopes at 0 are both 1/ε"),
    ),
    *pair(
        "safe ratio", safe_ratio, [bp.array("n", low=-9, high=9), bp.array("n", low=-9, high=9)],
        right=(safe_ratio_back(2), "away from y = 0, the quotient rule; there, the guard's constant"),
        wrong=(safe_ratio_back(1), "−x/y² is wanted, −x/y is given"),
    ),
    *pair(
        "(eˣ − 1)/x at its removable point", mean_growth, [bp.array("n", low=-2, high=2)],
        right=(mean_growth_back(0.5), "the series 1 + x/2 + … has slope ½ at 0"),
        wrong=(mean_growth_back(np.nan), "the function is smooth at 0, where NaN is nobody's slope"),
    ),
    *pair(
        "(eˣ − 1)/x with the guard's slope", mean_growth, [bp.array("n", low=-2, high=2)],
        wrong=(mean_growth_back(0.0), "autodiff of the guard's constant is 0, but the slope is ½"),
    ),
    *pair(
        "w eˣ, skipped at w = 0", growth_of_nothing, TWO,
        right=(growth_of_nothing_back(False), "linear in w: the slope is eˣ also at 0"),
        says=("autodiff is not",),
    ),
    *pair(
        "w eˣ, skipped at w = 0 in both", growth_of_nothing, TWO,
        wrong=(growth_of_nothing_back(True), "it copies the guard; the function's slope is eˣ"),
    ),
    *pair(
        "inverse softplus", inverse_softplus, [bp.array("n", low=1e-30, high=1000)],
        right=(lambda args, ct: (-ct / jnp.expm1(-args[0]),), "1/(1 − e^(−y)); autodiff is ∞/∞ beyond 88"),
        wrong=(lambda args, ct: (ct / -jnp.exp(-args[0]),), "the 1 is lost"),
    ),
    *pair(
        "softmax of rows that may keep nothing", masked_softmax,
        [bp.array("4 3"), bp.integers("4 3", 0, 1)],
        right=(masked_softmax_back(masked_softmax), "a row of zeros is constant, though autodiff is NaN"),
        wrong=(masked_softmax_back(without_a_guard), "0/0 in a row that is constant"),
    ),
    *pair(
        "attention with rows that may see nothing", attention,
        [bp.array("4 3"), bp.array("3 2"), bp.integers("4 3", 0, 1)],
        right=(attention_back(masked_softmax), "a row that sees nothing gives and takes nothing"),
        wrong=(attention_back(even_if_masked), "a row that sees nothing hands its cotangent to every value"),
    ),
    *pair(
        "norms of rows, some of them zero", row_norms, [bp.array("4 3")],
        right=(row_norms_back(0.0), "0 is in the unit ball, the subgradients at 0"),
        wrong=(row_norms_back(1.0), "ones have length √n, outside the unit ball for n ≥ 2"),
    ),
    *pair(
        "unit RMS at zero", unit_rms, [bp.array("5", low=-1, high=1)],
        right=(unit_rms_back(1e-8), "ε is under the root in both passes"),
        wrong=(unit_rms_back(0.0), "0/0 at x = 0, where the slope is 10⁴"),
    ),
    *pair(
        "x log y by its own rule", xlogy, [bp.array("n", low=-3, high=3), bp.array("n", low=0.1, high=9)],
        right=(xlogy_back(False), "linear in x"),
        wrong=(xlogy_back(True), "the slope in x is log y also at x = 0"),
    ),
    *pair(
        "entropy down to zero", entr, [bp.array("n", low=0, high=1)],
        right=(lambda args, ct: (ct * (-1 - jnp.log(args[0])),), "at 0 the slope is infinite on both sides"),
        wrong=(lambda args, ct: (-ct * jnp.log(args[0]),), "the 1 of the product rule is lost"),
    ),
    *pair(
        "half circle up to its ends", half_open, [bp.array("n", low=-1, high=1)],
        right=(lambda args, ct: (-ct * args[0] / half_open(*args),), "infinite at ±1 on both sides"),
        wrong=(lambda args, ct: (ct * args[0] / half_open(*args),), "the circle falls to the right"),
    ),
    member(
        "a logarithm with a floor in its forward pass", BAD, "log 0 is −∞, and the rule's own value is −69",
        fn=log_with_floor(1e-30), args=[bp.array("n", low=0, high=2)], hides=("contract-raises",),
    ),
    member(
        "a logarithm without a floor", GOOD, "same value, slope 1/x",
        fn=log_with_floor(0.0), args=[bp.array("n", low=0, high=2)],
    ),
)  # fmt: skip
