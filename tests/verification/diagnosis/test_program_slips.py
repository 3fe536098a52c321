"""A slip of one operation in autodiff's own program is named where it gives the hand-written value."""

import jax
import jax.numpy as jnp
import pytest

import backproof as bp
from backproof.verification.blame.edits import SLIPS

pytestmark = pytest.mark.as_user
QUICK = {"examples": 40, "dtypes": (), "second_order": False}


def layernorm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)


def without_the_variance(args, ct):
    (x,) = args
    centred = x - x.mean(-1, keepdims=True)
    deviation = jnp.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return ((ct - ct.mean(-1, keepdims=True)) / deviation,)


def times(x):
    return x * jnp.sin(x)


@pytest.mark.parametrize(
    ("of", "vjp", "cause"),
    [
        (layernorm, without_the_variance, "dropped-factor"),
        (times, lambda args, ct: (ct * jnp.sin(args[0]),), "dropped-term"),
        (times, lambda args, ct: (ct * args[0] * jnp.cos(args[0]),), "dropped-term"),
        (times, lambda args, ct: (ct * (jnp.sin(args[0]) - args[0] * jnp.cos(args[0])),), "term-sign"),
        (times, lambda args, ct: (ct * (jnp.sin(args[0]) + jnp.cos(args[0])),), "dropped-factor"),
        (times, lambda args, ct: (ct * (jnp.sin(args[0]) + 3 * jnp.cos(args[0])),), "unknown"),
        (jax.jit(times), lambda args, ct: (ct * jnp.sin(args[0]),), "dropped-term"),
    ],
    ids=["variance term", "second term", "first term", "sign of a term", "factor", "no one slip", "in jit"],
)
def test_the_slip_is_named(of, vjp, cause):
    report = bp.verify(of=of, vjp=vjp, args=[bp.array("b n")], **QUICK)
    assert (report.verdict, report.cause) == ("WRONG", cause)


def test_the_line_of_the_primal_is_named():
    """The slip is in the derivative of the line that computes the variance."""
    report = bp.verify(of=layernorm, vjp=without_the_variance, args=[bp.array("b n")], **QUICK)
    assert "the derivative of test_program_slips.py:" in report.explanation
    assert "(centred * centred).mean(-1" in report.explanation


def test_the_complement_lost_in_a_slope_is_named():
    """s(1 + a·s) for silu's slope s(1 + a(1 − s)), inside a call of JAX's own."""

    text = "lambda args, ct: (ct * sigmoid(args[0]) * (1 + args[0] * sigmoid(args[0])),)"
    vjp = eval(text, {"sigmoid": jax.nn.sigmoid})  # its source is not known, so no mend of it is looked for
    report = bp.verify(of=lambda a: jax.nn.silu(a), vjp=vjp, args=[bp.array("n")], **QUICK)
    assert (report.verdict, report.cause) == ("WRONG", "dropped-term")
    assert "jax.nn.silu(a)" in report.explanation


def test_a_mend_of_the_line_by_hand_comes_before_a_slip_in_autodiff_s_program():
    def vjp(args, ct):
        s = jax.nn.sigmoid(args[0])
        return (ct * s * (1 + args[0] * s),)

    report = bp.verify(of=lambda a: jax.nn.silu(a), vjp=vjp, args=[bp.array("n")], **QUICK)
    assert report.cause in SLIPS
    assert "in line" in report.explanation
    assert report.blame.text == "return (ct * s * (1 + args[0] * s),)"
    assert "1 - s" in report.blame.mend


def test_no_line_is_named_for_a_cotangent_that_is_lost():
    """The term that is lost is the cotangent itself, which no line of the function computes."""

    def residual(x):
        h = jnp.sin(x)
        return x + h * jnp.exp(-h)

    def without_the_shortcut(args, ct):
        h = jnp.sin(args[0])
        return (ct * jnp.exp(-h) * (1 - h) * jnp.cos(args[0]),)

    report = bp.verify(of=residual, vjp=without_the_shortcut, args=[bp.array("n")], **QUICK)
    assert (report.verdict, report.cause) == ("WRONG", "dropped-term")
    assert "the derivative of" not in report.explanation


def by_size(x):
    return x * jnp.sin(x) if x.shape[0] < 3 else x**2


@pytest.mark.parametrize(("slope", "cause"), [("2", "dropped-term"), ("3", "unknown")])
def test_a_slip_explains_sizes_at_which_there_is_nothing_to_slip_in_only_if_they_are_right(slope, cause):
    text = f"lambda a, ct: (ct * (sin(a[0]) if a[0].shape[0] < 3 else {slope} * a[0]),)"
    vjp = eval(text, {"sin": jnp.sin})  # its source is not known, so no mend of it is looked for
    report = bp.verify(of=by_size, vjp=vjp, args=[bp.array("n")], **QUICK)
    assert (report.verdict, report.cause) == ("WRONG", cause)
