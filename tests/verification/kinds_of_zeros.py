"""Members of the kind "zero gradients": right ones, forgotten ones, infinite inputs, values held constant."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import lax
from member import BAD, GOOD, member, pair

import backproof as bp

VECTOR = [bp.array("n", low=-4, high=4)]


def nothing(args, ct):
    return tuple(jnp.zeros_like(a) for a in args)


def shifted_softmax(z, shift):
    return jax.nn.softmax(z + shift, axis=-1)


def shifted_softmax_back(shift_too):
    def back(args, ct):
        p = shifted_softmax(*args)
        delta = p * (ct - (p * ct).sum(-1, keepdims=True))
        return delta, (p * ct).sum() if shift_too else jnp.zeros(())

    return back


def standardised(x, bias):
    """Return x + bias in units of its deviation over the rows; a bias that all rows share does not matter."""
    y = x + bias
    centred = y - y.mean(0)
    return centred / jnp.sqrt(jnp.square(centred).mean(0) + 1e-3)


def standardised_back(of_bias):
    def back(args, ct):
        x, bias = args
        centred = x - x.mean(0)
        scale = 1 / jnp.sqrt(jnp.square(centred).mean(0) + 1e-3)
        unit = centred * scale
        delta = scale * (ct - ct.mean(0) - unit * (unit * ct).mean(0))
        return delta, of_bias(bias, ct)

    return back


def masked_shift(x, b, mask):
    return x + b * mask


def round_through(x):
    return x + lax.stop_gradient(jnp.round(x) - x)


def chosen_through(z):
    """Return the unit vector of the largest logit, which hands its cotangent to softmax."""
    p = jax.nn.softmax(z, axis=-1)
    hard = jax.nn.one_hot(p.argmax(-1), p.shape[-1], dtype=p.dtype)
    return p + lax.stop_gradient(hard - p)


def softmax_back(args, ct):
    p = jax.nn.softmax(args[0], axis=-1)
    return (p * (ct - (p * ct).sum(-1, keepdims=True)),)


MINUS = -float("inf")
WITH_MINUS_INFINITY = st.sampled_from(
    [(np.array(a, "f4"), np.array(b, "f4")) for a, b in (([MINUS, 0.5], [1, 2]), ([3, MINUS], [MINUS, -1]))]
)


def logaddexp_back(at_minus_infinity):
    def back(args, ct):
        total = jnp.logaddexp(*args)
        return tuple(ct * jnp.where(jnp.isfinite(v), jnp.exp(v - total), at_minus_infinity) for v in args)

    return back


def largest_of_segments(x, ids):
    """Return the largest entry of each of three segments, −∞ for an empty one."""
    return jax.ops.segment_max(x, ids, num_segments=3)


def largest_of_segments_back(only_first):
    def back(args, ct):
        x, ids = args
        tied = (x == largest_of_segments(x, ids)[ids]) | (not only_first)
        earlier = jnp.tril((ids[:, None] == ids[None, :]) & tied[None, :], -1).any(1)
        return jnp.where(tied & ~(earlier & only_first), ct[ids], 0), None

    return back


def to_own_target(x):
    """Return (x − sin x)²/2, where the target sin x is held constant."""
    return jnp.square(x - lax.stop_gradient(jnp.sin(x))) / 2


def sum_of_squares(x):
    return jnp.square(jnp.sin(x)) + jnp.square(jnp.cos(x))


MEMBERS = (
    *pair(
        "floor", jnp.floor, VECTOR,
        right=(nothing, "constant between whole numbers"),
        wrong=(lambda _, ct: (0.1 * ct,), "a tenth of the cotangent is not 0"),
    ),
    *pair(
        "counting entries above a threshold", lambda x: (x > 0.5).astype(x.dtype).sum(), VECTOR,
        right=(nothing, "a count does not change with x, but at jumps"),
        wrong=(lambda args, ct: (ct * (args[0] > 0.5),), "the mask is not the gradient of its sum"),
    ),
    *pair(
        "sin² + cos²", sum_of_squares, VECTOR,
        right=(nothing, "it is 1"),
        wrong=(lambda _, ct: (1e-3 * ct,), "no multiple of ct but 0"),
    ),
    member(
        "an argument that is not used", GOOD, "∂ sin(x)/∂y = 0",
        of=lambda x, y: jnp.sin(x), vjp=lambda args, ct: (jnp.cos(args[0]) * ct, jnp.zeros_like(args[1])),
        args=[bp.array("n"), bp.array("m")],
    ),
    member(
        "a bias that was forgotten", BAD, "∂(x + b)/∂b is the sum of ct, not 0",
        of=lambda x, b: x + b, vjp=lambda args, ct: (ct, jnp.zeros_like(args[1])),
        args=[bp.array("b n"), bp.array("n")], says=("result[1]",),
    ),
    *pair(
        "a bias behind a mask", masked_shift, [bp.array("n"), bp.array(""), bp.integers("n", 0, 1)],
        right=(lambda args, ct: (ct, (ct * args[2]).sum(), None), "the masked sum of ct"),
        wrong=(lambda args, ct: (ct, jnp.zeros(()), None), "0 only where the mask keeps nothing"),
    ),
    *pair(
        "a shift of all logits", shifted_softmax, [bp.array("3 4"), bp.array("")],
        right=(shifted_softmax_back(False), "softmax does not change with a shift that all logits share"),
        wrong=(shifted_softmax_back(True), "the term −Σ p Σ p ct is missing"),
    ),
    *pair(
        "a bias before standardisation", standardised,
        [bp.array("4 3", low=-3, high=3), bp.array("3", low=-3, high=3)],
        right=(standardised_back(lambda bias, _: jnp.zeros_like(bias)), "centring removes the bias"),
        wrong=(standardised_back(lambda _, ct: ct.sum(0)), "the bias does not reach the result"),
    ),
    *pair(
        "log(eᵃ + eᵇ) with −∞ on one side", jnp.logaddexp, WITH_MINUS_INFINITY,
        right=(logaddexp_back(0.0), "e^(−∞) adds nothing: slopes 0 and 1"),
        wrong=(logaddexp_back(1.0), "the slopes add up to 2, those of the function to 1"),
    ),
    *pair(
        "largest of segments, some of them empty", largest_of_segments,
        [bp.array("6", low=-4, high=4), bp.integers("6", 0, 2)],
        right=(largest_of_segments_back(True), "one of the tied units; an empty segment has no entry"),
        wrong=(largest_of_segments_back(False), "that is the pullback of the sum"),
    ),
    member(
        "rounding, straight through, twice differentiated", GOOD, "the primal itself hands ct through",
        of=round_through, vjp=lambda _, ct: (ct,), args=VECTOR, second_order=True,
    ),
    *pair(
        "the largest logit, straight through", chosen_through, [bp.array("3 4", low=-4, high=4)],
        right=(softmax_back, "what is stopped has no derivative; what is left is softmax"),
        wrong=(lambda _, ct: (ct,), "softmax does not hand ct through"),
        second_order=True,
    ),
    *pair(
        "a target held constant", to_own_target, VECTOR,
        right=(lambda args, ct: (ct * (args[0] - jnp.sin(args[0])),), "that of (x − t)²/2, t constant"),
        wrong=(
            lambda args, ct: (ct * (args[0] - jnp.sin(args[0])) * (2 - jnp.cos(args[0])),),
            "not even the full derivative, which has 1 − cos x",
        ),
        second_order=True,
    ),
)  # fmt: skip
