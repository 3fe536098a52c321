"""Beside being right, a derivative must behave: pure, linear, the same alone and under vmap."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero

import backproof as bp
from backproof.verification import Verdict
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.judging.laws import LAWFUL, REPEATABLE
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user
N = [bp.array("n")]
LAWS = {**REPEATABLE, **LAWFUL}


def verified(vjp, of=jnp.sin, args=N):
    return bp.verify(of=of, vjp=vjp, args=args, examples=30, dtypes=(), second_order=False)


def right(args, ct):
    return (jnp.cos(args[0]) * ct,)


def broken_by(vjp, of=jnp.sin):
    """Return the names of the laws that `vjp` breaks at one ordinary point."""
    x = np.array([0.3, -1.2, 2.0])
    evaluators = Evaluators(of_vjp(of, vjp, StaticArguments.among([x]), None))
    point = Point((x,), np.array([0.5, 2.0, -1.5]))
    return [name for name, law in LAWS.items() if law(evaluators, point)]


def seven_off():
    """Return a sine whose rule returns sin + 7 as the value."""
    sine = jax.custom_vjp(jnp.sin)
    sine.defvjp(lambda x: (jnp.sin(x) + 7, x), lambda x, ct: (jnp.cos(x) * ct,))
    return sine


def times(factor):
    """Return the derivative times a `factor()` that is read while it is traced."""
    return lambda args, ct: (jnp.cos(args[0]) * ct * factor(),)


def randomly_rounded(args, ct):
    """A result that differs in its last bits from run to run."""
    like = jax.ShapeDtypeStruct(args[0].shape, args[0].dtype)
    rng = np.random.default_rng(0)
    drawn = jax.pure_callback(
        lambda x: rng.standard_normal(x.shape).astype(x.dtype), like, args[0], vmap_method="expand_dims"
    )
    return (jnp.cos(args[0]) * ct * (1 + drawn * 1e-15),)


def batched_as(rule):
    """Return the right derivative with a batching rule `(x, ct) -> result` of its own."""

    def vjp(args, ct):
        scaled = custom_vmap(lambda x, ct: jnp.cos(x) * ct)
        scaled.def_vmap(lambda size, in_batched, x, ct: (rule(x, ct), True))
        return (scaled(args[0], ct),)

    return vjp


def first_for_all(x, ct):
    return jnp.cos(x) * ct[:1]


def clipped(at):
    """Return a derivative that is linear up to cotangents of size `at`."""
    return lambda args, ct: (jnp.cos(args[0]) * jnp.clip(ct, -at, at),)


def test_a_right_derivative_breaks_no_law():
    assert broken_by(right) == []
    assert verified(right).verdict is Verdict.AGREES


def test_a_forward_that_is_not_the_primal_is_wrong():
    report = bp.verify(seven_off(), args=N, examples=30, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-forward")
    assert "the rule's own forward gives" in report.explanation


def with_forward(primal, forward, slope):
    """Return `primal` with a rule that computes its value by `forward`."""
    ruled = jax.custom_vjp(lambda x: primal(x))
    ruled.defvjp(lambda x: (forward(x), x), lambda x, ct: (ct * slope(x),))
    return ruled


@pytest.mark.parametrize(
    ("primal", "forward", "slope"),
    [
        (jax.nn.softplus, lambda x: jnp.log(1 + jnp.exp(x)), jax.nn.sigmoid),
        (lambda x: jnp.clip(x, -5, 5), lambda x: x, lambda x: (jnp.abs(x) <= 5).astype(x.dtype)),
    ],
    ids=["overflows beyond 709", "is not clipped"],
)
def test_a_forward_that_is_the_primal_at_plain_numbers_only_is_wrong(primal, forward, slope):
    report = bp.verify(with_forward(primal, forward, slope), args=N, examples=60, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-forward")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_forward_in_float32_is_the_primal_up_to_that(seed):
    """With these seeds an entry near 1 is off by half a unit of float32."""
    in_float32 = lambda x: jax.nn.softmax(x.astype(jnp.float32)).astype(x.dtype)

    def backward(x, ct):
        p = in_float32(x)
        return (p * (ct - (p * ct).sum(-1, keepdims=True)),)

    ruled = jax.custom_vjp(lambda x: jax.nn.softmax(x))
    ruled.defvjp(lambda x: (in_float32(x), x), backward)
    settings = {"seed": seed, "dtypes": (), "second_order": False}
    assert bp.verify(ruled, args=[bp.array("b n")], **settings).verdict is Verdict.AGREES


def circle(with_zeros):
    """Return sin and cos with one rule; `with_zeros` looks at which cotangents are none."""
    pair = jax.custom_vjp(lambda x: (jnp.sin(x), jnp.cos(x)))

    def backward(x, cts):
        cts = [0 * x if with_zeros and isinstance(ct, SymbolicZero) else ct for ct in cts]
        return (cts[0] * jnp.cos(x) - cts[1] * jnp.sin(x),)

    pair.defvjp(lambda x: (pair(x.value), x.value), backward, symbolic_zeros=True)
    return pair


def product(saved):
    """Return x·w with a rule that saves w for ∂x where `saved` says so."""
    times = jax.custom_vjp(lambda x, w: x * w)

    def forward(x, w):
        return x.value * w.value, (x.value, w.value if saved(x, w) else 0 * w.value)

    times.defvjp(forward, lambda kept, ct: (ct * kept[1], ct * kept[0]), symbolic_zeros=True)
    return times


def test_a_rule_is_asked_for_one_output_and_for_one_argument_alone():
    """There its zeros are symbolic, and its arguments are not perturbed."""
    assert bp.verify(circle(with_zeros=True), args=N, examples=30, dtypes=()).ok
    report = bp.verify(circle(with_zeros=False), args=N, examples=30, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "symbolic-zeros")
    assert report.explanation.startswith("where output 0 alone is used, it raises TypeError")
    assert bp.verify(product(lambda x, w: x.perturbed), args=N * 2, examples=30, dtypes=()).ok
    report = bp.verify(product(lambda x, w: x.perturbed and w.perturbed), args=N * 2, examples=30, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "symbolic-zeros")
    assert report.explanation.startswith("differentiated with respect to argument 0 alone, it gives 0.0")


def test_a_forward_of_another_shape_is_told_by_its_shape():
    rule = bp.Rule(
        name="sum",
        init=lambda key, x: ((), x),
        domain=bp.array("n"),
        at_kinks=None,
        forward=lambda p, x: (jnp.sum(x, keepdims=True), x),
        backward=lambda p, x, d: ((), d * jnp.ones_like(x)),
    )
    report = bp.verify(rule, of=lambda p, x: jnp.sum(x), examples=30, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-forward")
    assert "the rule's own forward returns shapes (1,) where the primal returns ()" in report.explanation


def test_a_forward_that_is_the_primal_in_another_form_is_right():
    sine = jax.custom_vjp(jnp.sin)
    sine.defvjp(lambda x: (jnp.cos(x - jnp.pi / 2), x), lambda x, ct: (jnp.cos(x) * ct,))
    assert bp.verify(sine, args=[bp.array("n", low=-3, high=3)], examples=30, dtypes=()).ok


def test_a_draw_from_numpy_while_tracing_is_wrong():
    rng = np.random.default_rng(0)
    vjp = times(lambda: 1 + 1e-3 * rng.standard_normal())
    assert broken_by(vjp)
    assert verified(vjp).verdict is Verdict.WRONG


def test_a_counter_read_while_tracing_is_wrong():
    counter = itertools.count(1)
    assert verified(times(lambda: next(counter))).verdict is Verdict.WRONG


def test_another_bit_from_run_to_run_is_not_deterministic():
    report = verified(randomly_rounded)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "not-deterministic")


def test_an_error_in_one_run_out_of_many_is_seen_by_as_many_runs():
    """Runs are counted on the host; each twentieth is wrong in one entry."""

    def report(repeats):
        runs = itertools.count(1)

        def on_the_host(x, ct):
            found = np.asarray(np.cos(x) * ct, x.dtype)
            return found * (1 + 1e-3 * (next(runs) % 20 == 0))

        def vjp(args, ct):
            like = jax.ShapeDtypeStruct(args[0].shape, args[0].dtype)
            return (jax.pure_callback(on_the_host, like, args[0], ct, vmap_method="sequential"),)

        return bp.verify(of=jnp.sin, vjp=vjp, args=[np.ones(3, "f4")], examples=2, repeats=repeats, dtypes=())

    found = report(60)
    assert (found.verdict, found.cause) == (Verdict.WRONG, "not-deterministic")
    assert bp.verify(bp.rules.sin, examples=5, repeats=3, dtypes=()).reach.runs == 3


def test_a_wrong_batching_rule_is_named():
    assert broken_by(batched_as(first_for_all)) == ["transform-vmap"]
    report = verified(batched_as(first_for_all))
    assert (report.verdict, report.cause) == (Verdict.WRONG, "transform-vmap")
    assert "batching rule" in report.explanation


def test_a_right_batching_rule_is_accepted():
    assert verified(batched_as(lambda x, ct: jnp.cos(x) * ct)).ok


def test_a_cotangent_clipped_above_its_usual_scale_is_nonlinear():
    assert broken_by(clipped(10)) == ["cotangent-nonlinear"]
    report = verified(clipped(1e4))
    assert (report.verdict, report.cause) == (Verdict.WRONG, "cotangent-nonlinear")


def test_a_dtype_that_overflows_inside_as_autodiff_does_is_linear():
    half = jnp.float16
    of = lambda x: (x.astype(half) ** 2).astype(x.dtype)
    vjp = lambda args, ct: ((2 * args[0].astype(half) * ct.astype(half)).astype(ct.dtype),)
    assert broken_by(vjp, of) == []
    assert broken_by(lambda args, ct: vjp(args, jnp.clip(ct, -10, 10)), of) == ["cotangent-nonlinear"]


@pytest.mark.parametrize("change", ["added", "dropped"])
def test_an_argument_changed_by_the_derivative_is_wrong(change):
    args = [{"W": bp.array("m n"), "b": bp.array("m")}, bp.array("n")]
    affine = lambda params, x: params["W"] @ x + params["b"]

    def vjp(args, ct, then=None):
        params, x = args
        found = {"W": jnp.outer(ct, x), "b": ct}, params["W"].T @ ct
        if then == "added":
            params["seen"] = ct
        if then == "dropped":
            params.pop("b")
        return found

    assert verified(vjp, affine, args).verdict is Verdict.AGREES
    report = verified(functools.partial(vjp, then=change), affine, args)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-mutates")


def test_every_law_has_its_own_name():
    assert len(LAWS) == len(REPEATABLE) + len(LAWFUL)
