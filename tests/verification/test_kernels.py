"""Code that is not read line by line: Pallas kernels, references, functions without a batching rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas as pl

import backproof as bp
from backproof.numerics.noise import measure
from backproof.verification import Verdict

pytestmark = pytest.mark.as_user
EXAMPLE = [np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)]
QUICK = {"examples": 20, "dtypes": (), "second_order": False}


def kernel_of_sine(factor):
    """Return the pullback of sin by a kernel, times a factor."""

    def kernel(x_ref, ct_ref, out_ref):
        out_ref[...] = factor * jnp.cos(x_ref[...]) * ct_ref[...]

    return lambda args, ct: (call(kernel, args[0], ct),)


def test_a_kernel_is_judged_by_its_result():
    report = bp.verify(of=jnp.sin, vjp=kernel_of_sine(1), args=EXAMPLE, examples=20)
    assert report.verdict is Verdict.AGREES
    report = bp.verify(of=jnp.sin, vjp=kernel_of_sine(1.001), args=EXAMPLE, examples=20)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "factor")
    assert set(np.ravel(report.counterexample.args[0])) == {1.0}


def test_a_primal_may_be_a_kernel_with_a_rule_of_its_own():
    """Autodiff of a kernel runs the inner program; here that is plain, and the rule calls the kernel."""
    sine = jax.custom_vjp(jnp.sin)
    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: kernel_of_sine(-1)((x,), ct))
    report = bp.verify(sine, args=EXAMPLE, **QUICK)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "sign")


def softmax_kernel(factor):
    """Return the pullback of softmax by a kernel that computes in float32, one term times a factor."""

    def kernel(x_ref, ct_ref, out_ref):
        x, ct = (ref[...].astype(jnp.float32) for ref in (x_ref, ct_ref))
        p = jax.nn.softmax(x, -1)
        out_ref[...] = (p * (ct - factor * (p * ct).sum(-1, keepdims=True))).astype(out_ref.dtype)

    return lambda args, ct: (call(kernel, args[0], ct),)


def call(kernel, *operands):
    like = jax.ShapeDtypeStruct(operands[0].shape, operands[0].dtype)
    return pl.pallas_call(kernel, out_shape=like, interpret=True)(*operands)


@pytest.mark.parametrize(("factor", "verdict"), [(1, Verdict.AGREES), (1.001, Verdict.WRONG)])
def test_a_kernel_that_computes_in_float32_is_held_to_that(factor, verdict):
    settings = {"examples": 30, "dtypes": ("float32",), "second_order": False}
    report = bp.verify(of=jax.nn.softmax, vjp=softmax_kernel(factor), args=EXAMPLE, **settings)
    assert report.verdict is verdict


def test_the_operands_of_a_kernel_are_varied_by_the_units_in_which_it_computes():
    """The two thousands cancel, and leave the rounding of float32 behind."""

    def kernel(x_ref, out_ref):
        total = x_ref[...].astype(jnp.float32).sum()
        out_ref[...] = jnp.full_like(x_ref[...], total.astype(out_ref.dtype))

    measured = measure(lambda x: call(kernel, x), np.array([1e3, -1e3, 1.0]))
    assert measured.value[0] == 1
    assert measured.noise[0] > 100 * float(np.finfo(np.float32).eps)


def test_a_kernel_as_the_function_itself_needs_a_reference():
    def kernel(x_ref, out_ref):
        out_ref[...] = jnp.sin(x_ref[...])

    sine = jax.custom_vjp(lambda x: call(kernel, x))
    sine.defvjp(lambda x: (sine(x), x), lambda x, ct: kernel_of_sine(1)((x,), ct))
    with pytest.raises(bp.UsageError, match="pass of=the same function in plain jax"):
        bp.verify(sine, args=EXAMPLE, examples=20)
    assert bp.verify(sine, of=jnp.sin, args=EXAMPLE, **QUICK).ok


def test_a_kernel_that_cannot_run_over_an_empty_axis_says_so():
    report = bp.verify(of=jnp.sin, vjp=kernel_of_sine(1), args=[bp.array("b n")], examples=20)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-raises")
    assert report.explanation.startswith("where b = 0, run at float32[")
    assert "the hand-written side raises ZeroDivisionError" in report.explanation


@pytest.mark.parametrize(("slope", "verdict"), [(jnp.cos, Verdict.AGREES), (jnp.sin, Verdict.WRONG)])
def test_code_that_writes_into_a_reference_is_computed_as_a_whole(slope, verdict):
    def through_a_reference(args, ct):
        out = jax.new_ref(jnp.zeros_like(ct))
        out[...] = slope(args[0]) * ct
        return (out[...],)

    report = bp.verify(of=jnp.sin, vjp=through_a_reference, args=[bp.array("n")], **QUICK)
    assert report.verdict is verdict


def products_of_groups(x, w):
    return jax.lax.ragged_dot(x, w, jnp.array([2, 3], jnp.int32))


@pytest.mark.parametrize(("factor", "verdict"), [(1, Verdict.AGREES), (2, Verdict.WRONG)])
def test_a_primal_without_a_batching_rule_is_run_point_by_point(factor, verdict):
    def pullback(args, ct):
        x, w = args
        dx = jnp.concatenate([factor * ct[:2] @ w[0].T, ct[2:] @ w[1].T])
        return dx, jnp.stack([x[:2].T @ ct[:2], x[2:].T @ ct[2:]])

    arguments = [bp.array("5 3"), bp.array("2 3 4")]
    report = bp.verify(of=products_of_groups, vjp=pullback, args=arguments, **QUICK)
    assert report.verdict is verdict
