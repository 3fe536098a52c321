"""`verify` and `check`: right derivatives agree, wrong ones are named, and nothing passes blindly."""

import functools
import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from jaxtyping import Array, Float
from layernorm import ARGS, layernorm, pullback

import backproof as bp
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.verification import Verdict

pytestmark = pytest.mark.as_user
QUICK = {"examples": 60, "dtypes": (), "second_order": False}


@functools.cache
def layernorm_with(slip=None):
    return bp.verify(of=layernorm, vjp=pullback(slip), args=ARGS, examples=100)


def test_a_right_pullback_agrees_within_the_noise():
    report = layernorm_with()
    assert report.verdict is Verdict.AGREES
    assert report.worst <= AGREES_WITHIN
    assert report.examples == 100


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        ("dropped term", "surplus"),  # the code adds it back
        ("sign", "sign"),
        ("no sum", "missing-sum"),
        ("mean", "factor"),
        ("float16", "contract-dtype"),
        ("clip", "cotangent-nonlinear"),
    ],
)
def test_a_slip_is_wrong_and_its_cause_is_named_or_unknown(slip, cause):
    report = layernorm_with(slip)
    assert report.verdict is Verdict.WRONG
    assert report.cause == cause
    if cause != "missing-sum" and not cause.startswith("contract"):
        assert report.counterexample.distance > 1e6
        assert max(np.size(leaf) for leaf in report.counterexample.args) <= 12


def test_the_counterexample_pastes_and_replays():
    found = layernorm_with("sign").counterexample
    names = {"np": np, "jax": jax}
    exec(found.repro, names)
    with jax.enable_x64(True):
        hand = pullback("sign")(names["args"], names["cotangent"])
        truth = jax.vjp(layernorm, *names["args"])[1](names["cotangent"])
        sides = [
            np.asarray(eval(f"value{found.leaf}", {"value": side}))[found.index] for side in (hand, truth)
        ]
    assert sides == [found.hand, found.oracle]
    assert sides[0] == -sides[1]


def test_the_same_seed_gives_the_same_report():
    one, other = layernorm_with("clip"), layernorm_with.__wrapped__("clip")
    assert str(one) == str(other)
    assert one.shapes == other.shapes


def test_a_report_reads_and_serialises():
    report = layernorm_with("mean")
    text = str(report)
    for part in ("WRONG (factor)", "1/n times", "by hand", "autodiff", "args = ", "cotangent = "):
        assert part in text
    found = json.loads(report.to_json())
    assert (found["verdict"], found["ok"], found["counterexample"]["leaf"]) == ("WRONG", False, "[2]")


@pytest.mark.smoke
def test_check_raises_with_the_report():
    with pytest.raises(bp.GradientError, match="opposite sign"):
        bp.check(of=jnp.sin, vjp=lambda a, ct: (-jnp.cos(a[0]) * ct,), args=[bp.array("n")])
    assert bp.check(of=jnp.sin, vjp=lambda a, ct: (jnp.cos(a[0]) * ct,), args=[bp.array("n")]).ok


def matvec(W, x):
    return W @ x


def test_a_transposed_gradient_is_caught_although_square_shapes_hide_it():
    slip = lambda a, ct: (jnp.outer(a[1], ct).reshape(a[0].shape), a[0].T @ ct)
    assert (
        bp.verify(of=matvec, vjp=slip, args=[bp.array("m n"), bp.array("n")], **QUICK).verdict
        is Verdict.WRONG
    )
    square = [bp.array("n n"), bp.array("n")]
    report = bp.verify(of=matvec, vjp=lambda a, ct: (jnp.outer(a[1], ct), a[0].T @ ct), args=square, **QUICK)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "transpose")


@pytest.mark.smoke
def test_a_gradient_that_ignores_its_cotangent_is_named():
    report = bp.verify(of=jnp.sin, vjp=lambda a, ct: (jnp.cos(a[0]),), args=[bp.array("n")], **QUICK)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "cotangent-ignored")


def test_conventions_are_told_from_mistakes():
    def mse(x, t):
        return ((x - t) ** 2).sum() / 2

    args = [bp.array("b n"), bp.array("b n")]
    doubled = bp.verify(of=mse, grad=lambda x, t: 2 * (x - t), args=args, **QUICK)
    assert doubled.cause == "convention-half"
    mean = bp.verify(
        of=mse, grad=lambda x, t: (x - t) / x.shape[0], args=[bp.array("3 n"), bp.array("3 n")], **QUICK
    )
    assert mean.cause == "convention-mean"
    assert "by convention, or by a slip" in mean.explanation


def test_grad_takes_argnums_as_jax_does():
    def f(W, x):
        return jnp.tanh(W @ x).sum()

    def grad(W, x):
        d = 1 - jnp.tanh(W @ x) ** 2
        return W.T @ d, jnp.outer(d, x)

    args = [bp.array("m n"), bp.array("n")]
    assert bp.verify(of=f, grad=grad, argnums=(1, 0), args=args, **QUICK).ok
    assert not bp.verify(of=f, grad=lambda W, x: grad(W, x)[::-1], argnums=(1, 0), args=args, **QUICK).ok


def test_a_jvp_by_hand_is_judged():
    args = [bp.array("n")]
    assert bp.verify(of=jnp.sin, jvp=lambda a, t: jnp.cos(a[0]) * t[0], args=args, **QUICK).ok
    assert not bp.verify(of=jnp.sin, jvp=lambda a, t: jnp.cos(a[0]) * t[0] * 1.0001, args=args, **QUICK).ok


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x**2 * ct,))


@jax.custom_jvp
def cube_with_wrong_tangent(x):
    return x**3


cube_with_wrong_tangent.defjvp(lambda p, t: (p[0] ** 3, 2 * p[0] ** 2 * t[0]))


def test_a_function_that_carries_its_own_rule_needs_no_reference():
    assert bp.verify(cube, args=[bp.array("n")], **QUICK).ok
    report = bp.verify(cube_with_wrong_tangent, args=[bp.array("n")], **QUICK)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "factor")


def test_a_jitted_function_that_carries_its_own_rule_is_checked_as_well():
    assert bp.verify(jax.jit(cube), args=[bp.array("n")], **QUICK).ok
    assert not bp.verify(jax.jit(cube_with_wrong_tangent), args=[bp.array("n")], **QUICK).ok


@pytest.mark.parametrize("wrap", [jax.vmap, lambda f: functools.wraps(f)(lambda x: 2 * f(x))])
def test_another_function_made_of_one_with_a_rule_is_judged_as_that_function(wrap):
    """It says that it wraps it, and computes something else."""
    assert bp.verify(wrap(cube), args=[bp.array("n")], **QUICK).ok
    assert not bp.verify(wrap(cube_with_wrong_tangent), args=[bp.array("n")], **QUICK).ok


def test_a_primal_that_runs_in_float32_alone_is_told_so():
    def total(x):
        return jax.lax.fori_loop(0, len(x), lambda i, so_far: so_far + x[i], jnp.zeros((), jnp.float32))

    with pytest.raises(bp.UsageError, match=r"must also run in float64(.|\n)*in place of jnp.float32"):
        bp.verify(of=total, vjp=lambda a, ct: (jnp.full_like(a[0], ct),), args=[bp.array("n+1")])


def test_the_real_part_of_a_complex_number_is_taken_without_a_warning():
    """Warnings are errors in this suite."""
    arguments, of = [bp.array("n", "complex64")], lambda z: jnp.abs(z) ** 2
    assert bp.verify(of=of, vjp=lambda a, ct: (2 * jnp.conj(a[0]) * ct,), args=arguments, examples=60).ok


def test_a_reference_of_its_own_catches_what_is_wrong_in_forward_and_backward_alike():
    twice = bp.rules.sin._replace(
        forward=lambda p, z: (2 * jnp.sin(z), z), backward=lambda p, z, d: ((), 2 * jnp.cos(z) * d)
    )
    assert bp.verify(twice, **QUICK).ok
    assert not bp.verify(twice, of=lambda params, z: jnp.sin(z), **QUICK).ok


def test_integer_arguments_are_left_alone():
    def pick(x, i):
        return x[i] ** 2

    def vjp(args, ct):
        x, i = args
        return jnp.zeros_like(x).at[i].add(2 * x[i] * ct), None

    args = [bp.array("v n"), bp.integers("b", 0, "v-1")]
    assert bp.verify(of=pick, vjp=vjp, args=args, **QUICK).ok
    overwriting = lambda a, ct: (jnp.zeros_like(a[0]).at[a[1]].set(2 * a[0][a[1]] * ct), None)
    assert not bp.verify(of=pick, vjp=overwriting, args=args, **QUICK).ok


def test_annotations_examples_and_strategies_say_what_arguments_may_be():
    def annotated(x: Float[Array, "b n"], w: Float[Array, " n"]) -> Float[Array, " b"]:
        return x @ w

    def vjp(args, ct):
        return jnp.outer(ct, args[1]), args[0].T @ ct

    assert bp.verify(of=annotated, vjp=vjp, **QUICK).ok
    example = (np.ones((2, 3), np.float32), np.ones(3, np.float32))
    assert bp.verify(of=annotated, vjp=vjp, args=example, **QUICK).ok
    tuples = st.integers(1, 3).map(
        lambda n: (np.full((2, n), 0.5, np.float32), np.arange(n, dtype=np.float32))
    )
    assert bp.verify(of=annotated, vjp=vjp, args=tuples, **QUICK).ok


@pytest.mark.smoke
def test_where_nothing_could_be_seen_the_verdict_is_inconclusive():
    """A wrong derivative of log, tried only where log is not finite, is not passed."""
    report = bp.verify(of=jnp.log, vjp=lambda a, ct: (a[0] * ct,), args=[bp.array("n", high=-1)])
    assert report.verdict is Verdict.INCONCLUSIVE
    assert not report.ok


def test_code_that_cannot_be_vmapped_is_run_one_by_one():
    def vjp(args, ct):
        jax.debug.callback(lambda x: None, args[0])
        cos = jax.pure_callback(np.cos, jax.ShapeDtypeStruct(args[0].shape, args[0].dtype), args[0])
        return (cos * ct,)

    assert bp.verify(of=jnp.sin, vjp=vjp, args=[bp.array("n")], examples=20).ok


def test_a_hand_side_that_raises_is_wrong_and_says_so():
    def vjp(args, ct):
        raise RuntimeError("no such kernel")

    report = bp.verify(of=jnp.sin, vjp=vjp, args=[bp.array("n")])
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-raises")
    assert "RuntimeError: no such kernel" in report.explanation


@pytest.mark.smoke
def test_a_result_of_another_tree_is_wrong():
    report = bp.verify(of=jnp.sin, vjp=lambda a, ct: jnp.cos(a[0]) * ct, args=[bp.array("n")])
    assert report.cause == "contract-tree"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({}, "exactly one derivative must be given"),
        ({"vjp": lambda a, c: a, "args": []}, "a derivative needs its function"),
        ({"fn": jnp.sin, "args": [bp.array("n")]}, "must carry a gradient of its own"),
        ({"fn": bp.rules.sin, "examples": 0}, "examples must be at least 1"),
        ({"fn": bp.rules.sin, "dtypes": ("float8",)}, "dtypes must be among float32, bfloat16, float16"),
        ({"fn": bp.rules.sin, "dtypes": "float32"}, "dtypes must be among"),
        ({"of": jnp.sin, "vjp": lambda a, c: c, "args": "f32[n]"}, "args must be a list"),
        ({"of": lambda x: x, "vjp": lambda a, c: c}, "needs a jaxtyping annotation"),
    ],
)
def test_a_call_that_means_nothing_gets_one_clear_error(how, text):
    with pytest.raises(bp.UsageError, match=text):
        bp.verify(**how)


def test_check_shows_the_parameters_of_verify_and_refuses_what_is_none():
    """Whoever writes `help(bp.check)` sees every setting, and a misspelt one is an error of Python's."""
    assert inspect.signature(bp.check) == inspect.signature(bp.verify)
    assert {"examples", "seed", "dtypes", "second_order"} <= set(inspect.signature(bp.check).parameters)
    with pytest.raises(TypeError, match="tolerance"):
        bp.check(bp.rules.sin, tolerance=1e-3)


def test_a_small_accuracy_loss_is_told_from_a_wrong_formula():
    """log(1 + exp(z)) by hand as log(1 + exp(−|z|)) is fine; exp(z)/(1+exp(z)) overflows at 800."""
    softplus = lambda z: jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    overflowing = lambda a, ct: (ct * jnp.exp(a[0]) / (1 + jnp.exp(a[0])),)
    report = bp.verify(
        of=softplus, vjp=overflowing, args=[bp.array("n", low=-800, high=800)], dtypes=("float32",)
    )
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")


def test_where_no_witness_speaks_there_is_no_evidence():
    """√|x| has no slope at 0: autodiff is not finite, and no difference converges; the rest agrees."""

    def guarded(args, ct):
        (x,) = args
        safe = jnp.where(x == 0, 1, x)
        return (jnp.where(x == 0, 0, ct * jnp.sign(x) * 0.5 / jnp.sqrt(jnp.abs(safe))),)

    report = bp.verify(of=lambda x: jnp.sqrt(jnp.abs(x)), vjp=guarded, args=[bp.array("n")], **QUICK)
    assert report.verdict is Verdict.AGREES
    reasons = [one.reason for one in report.reach.no_evidence]
    assert "autodiff is not finite, and no finite difference converges" in reasons


def test_where_only_autodiff_fails_a_right_value_is_confirmed():
    """At z = −800 autodiff of 1/(1 + exp(−z)) is 0 · ∞, and a(1 − a) = 0 is right."""
    logistic = lambda z: 1 / (1 + jnp.exp(-z))
    hand = lambda a, ct: (ct * logistic(a[0]) * (1 - logistic(a[0])),)
    report = bp.verify(of=logistic, vjp=hand, args=[bp.array("n")], **QUICK)
    assert report.verdict is Verdict.AGREES
    assert any("autodiff is not the derivative at" in note for note in report.notes)
    bounded = [bp.array("n", low=-500)]
    assert bp.verify(of=logistic, vjp=hand, args=bounded, **QUICK).verdict is Verdict.AGREES


def test_global_configuration_is_left_alone():
    bp.verify(bp.rules.sin, examples=5)
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == jnp.float32


def test_one_entry_in_a_million_is_found_with_its_index():
    def one_off(args, ct):
        return ((2 * args[0] * ct).at[777_777].multiply(1 + 1e-6),)

    report = bp.verify(of=jnp.square, vjp=one_off, args=[np.linspace(-1.5, 1.5, 10**6)])
    assert report.verdict is Verdict.WRONG
    assert (report.counterexample.leaf, report.counterexample.index) == ("[0]", (777_777,))
    assert report.skipped == 0
    assert "199 of 200 draws were left out" in str(report)
    assert report.seconds > 0
    few = bp.verify(
        of=jnp.square, vjp=lambda a, ct: (2 * a[0] * ct,), args=[np.linspace(-1, 1, 70_000)], examples=8
    )
    assert few.verdict is Verdict.AGREES
    assert few.skipped == 0
    assert not any("-" in note for note in few.notes if "left out" in note)


def test_the_printed_example_calls_what_was_verified_and_shows_the_entry(capsys):
    report = layernorm_with("sign")
    found = report.counterexample
    exec(f"{found.repro}\n{found.replay}", {"np": np, "jax": jax, "vjp": pullback("sign")})
    assert capsys.readouterr().out.strip() == str(found.hand)
    assert found.replay.splitlines()[-1].strip() in str(report)


def test_other_leaves_that_are_wrong_too_are_named():
    """Both factors of x·y have a lost ½; a mend of one would leave the other."""
    halved = lambda args, ct: (ct * args[1] * 3, ct * args[0] * 3, ct)
    three = lambda x, y, z: x * y + z
    report = bp.verify(of=three, vjp=halved, args=[bp.array("n"), bp.array("n"), bp.array("n")], **QUICK)
    assert report.verdict is Verdict.WRONG
    (note,) = [note for note in report.notes if note.startswith("other wrong leaves")]
    assert note.endswith("right leaves at the same points: result[2]")


def test_a_rule_a_jvp_and_a_custom_vjp_can_be_replayed(capsys):
    negated = bp.rules.tanh._replace(backward=lambda p, a, d: ((), -d * (1 - a * a)))
    sine = jax.custom_vjp(jnp.sin)
    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (-jnp.cos(x) * ct,))
    backwards = lambda args, tangents: -jnp.cos(args[0]) * tangents[0]
    wrong = {
        "rule": (negated, bp.verify(negated, **QUICK)),
        "fn": (sine, bp.verify(sine, args=[bp.array("n")], **QUICK)),
        "jvp": (backwards, bp.verify(of=jnp.sin, jvp=backwards, args=[bp.array("n")], **QUICK)),
    }
    for name, (by_hand, report) in wrong.items():
        found = report.counterexample
        called = found.replay if name in found.replay else found.replay.replace("sin", name)
        exec(f"{found.repro}\n{called}", {"np": np, "jnp": jnp, "jax": jax, name: by_hand})
        assert capsys.readouterr().out.strip() == str(found.hand)
