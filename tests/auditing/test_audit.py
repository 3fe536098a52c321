"""Five patterns of gradient tests that see too little, each with the kill rate that a count by hand gives."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.auditing.session import Session

pytestmark = pytest.mark.as_user

# A matrix of 3 × 4 can be wrong in these ways; it is not square, so that it cannot be transposed.
OF_A_LEAF = {
    "zero",
    "negated",
    "half",
    "twice",
    "times 1.01",
    "row zeroed",
    "entry off by 1 %",
    "rows reversed",
}
X = np.arange(12, dtype=np.float32).reshape(3, 4) / 12
WEIGHTS = np.array([[1, 2, 3, 1], [0, 1, 0, 2], [2, 1, 1, 3]], np.float32)


def custom(f, fwd, bwd):
    rule = jax.custom_vjp(f)
    rule.defvjp(fwd, bwd)
    return rule


def kinds(rule, outcome, leaf):
    return {one.kind for one in rule.slips if one.outcome == outcome and one.leaf == leaf}


def softmax_bwd(p, ct):
    return (p * (ct - (p * ct).sum(-1, keepdims=True)),)


softmax = custom(lambda x: jax.nn.softmax(x), lambda x: (jax.nn.softmax(x),) * 2, softmax_bwd)
square = custom(lambda x: x**2, lambda x: (x**2, x), lambda x, ct: (2 * x * ct,))


def mean_squared(prediction, target):
    return ((prediction - target) ** 2).mean()


mean_squared_by_hand = custom(
    mean_squared,
    lambda p, t: (mean_squared(p, t), (p, t)),
    lambda kept, ct: (2 * ct * (kept[0] - kept[1]) / kept[0].size, None),
)


def test_a_mean_loss_with_an_absolute_tolerance_hides_all_but_the_sign():
    """g = 2 (p − t) / 128 is at most 1/64; only −g is off by more than 3e-2: by 1/32 in a corner.

    Rows reversed are off by 112/127 · 1/32 = 0.0276. The cotangent of a loss is 1 in `jax.grad`.
    """
    prediction, target = (
        np.linspace(-1, 1, 128, dtype=np.float32).reshape(8, 16),
        np.zeros((8, 16), np.float32),
    )

    def test():
        got = jax.grad(mean_squared_by_hand)(prediction, target)
        np.testing.assert_allclose(got, jax.grad(mean_squared)(prediction, target), 1e-7, 3e-2)

    (rule,) = bp.audit(test).rules
    assert (rule.killed, rule.planted, rule.executed) == (1, 10, 1)
    assert kinds(rule, "caught", "prediction") == {"negated"}
    assert kinds(rule, "passed", "prediction") == OF_A_LEAF - {"negated"}
    assert kinds(rule, "hidden", "") == {"cotangent ignored"}
    assert kinds(rule, "too few runs", "") == {"wrong in 1 of 20 runs"}
    (loose,) = rule.tolerances
    assert (loose.passes, loose.caught) == (1.0, 2.0)  # 3e-2 · 64 = 1.92
    assert loose.factor > 1e5


def test_cotangents_of_ones_into_a_softmax_hide_everything():
    """Its rows sum to 1, so that the gradient of their sum is zero, whatever the slip."""

    def test():
        got = jax.grad(lambda x: softmax(x).sum())(X)
        np.testing.assert_allclose(got, jax.grad(lambda x: jax.nn.softmax(x).sum())(X), 1e-7, 1e-6)

    report = bp.audit(test)
    (rule,) = report.rules
    assert (rule.killed, rule.planted, report.kill_rate, report.verdict) == (0, 10, 0.0, "MISSES SLIPS")
    assert kinds(rule, "hidden", "x") == OF_A_LEAF
    assert kinds(rule, "hidden", "") == {"cotangent ignored"}
    assert rule.tolerances == []


def normalised(x, gain, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gain + shift


def normalised_bwd(kept, ct):
    x, gain = kept
    centred = x - x.mean(-1, keepdims=True)
    deviation = jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    hat, g = centred / deviation, ct * gain
    grad_x = (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) / deviation
    return grad_x, (ct * hat).sum(0), ct.sum(0)


layernorm = custom(normalised, lambda x, gain, shift: (normalised(x, gain, shift), (x, gain)), normalised_bwd)


def test_cotangents_of_ones_into_a_layer_norm_hide_the_gradient_by_its_input():
    """A row is centred, so its sum does not depend on x.

    ∂/∂shift is 3 everywhere, which hides that it is reversed.
    Caught are 8 slips of gain, the 7 others of shift, and the exchange of both: 16 of 27.
    """
    arguments = WEIGHTS, np.ones(4, np.float32), np.zeros(4, np.float32)

    def test():
        sums = [lambda *a: layernorm(*a).sum(), lambda *a: normalised(*a).sum()]
        grads = [jax.grad(one, (0, 1, 2))(*arguments) for one in sums]
        for got, want in zip(*grads, strict=True):
            np.testing.assert_allclose(got, want, 1e-4, 1e-4)

    (rule,) = bp.audit(test, tolerances=False).rules
    assert (rule.killed, rule.planted) == (16, 27)
    assert kinds(rule, "hidden", "x") == OF_A_LEAF
    assert kinds(rule, "caught", "gain") == OF_A_LEAF | {"exchanged"}
    assert kinds(rule, "hidden", "shift") == {"rows reversed"}


def affine_backward(dout, a):
    return {"W": np.outer(dout, a), "b": dout.copy()}


def test_names_of_tensors_exchanged_give_each_the_tolerance_of_the_other():
    """The buffer holds W and then b; the table says b and then W, as in llm.c (pull request 801).

    ∂W = [1 1 2 2; 2 2 4 4; 3 3 6 6] and ∂b = [1 2 3]. W[0, :3] alone is held to 1e-3, all else to 4. Caught
    are all 9 of W but an entry off by 1 %, which is 6; of b only −b, which is off by 6, and None. A cotangent
    of ones leaves W[0] as it is, and is off by 4 elsewhere. That makes 10 of 20.
    """
    dout, a = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 2.0, 2.0])
    table = {"b": (3, 1e-3), "W": (12, 4.0)}

    def test():
        got = affine_backward(dout, a)
        want = {"W": dout[:, None] * a, "b": dout}
        buffers = [np.concatenate([grads["W"].ravel(), grads["b"].ravel()]) for grads in (got, want)]
        start = 0
        for name, (size, bound) in table.items():
            window = slice(start, start + size)
            assert np.abs(buffers[0][window] - buffers[1][window]).max() <= bound, name
            start += size

    (rule,) = bp.audit(test, rule=affine_backward).rules
    assert (rule.killed, rule.planted) == (10, 20)
    assert kinds(rule, "passed", "result['W']") == {"entry off by 1 %"}
    assert kinds(rule, "caught", "result['b']") == {"negated"}
    assert kinds(rule, "raised", "result['b']") == {"dropped"}
    assert kinds(rule, "passed", "result['b']") == OF_A_LEAF - {"negated"}
    assert kinds(rule, "passed", "") == {"cotangent ignored"}
    loose = {one.leaf: one.caught for one in rule.tolerances}
    assert loose == {"result['W']": 2.0**-10, "result['b']": 2.0}  # 1e-3 / 2, and 4 / 3


def test_a_tolerance_of_sixteen_cannot_fail():
    """|g| = |2 x ct| is at most 2 · 11/12 · 3 = 5.5, so that even −g is off by no more than 11."""

    def test():
        got = jax.grad(lambda x: (square(x) * WEIGHTS).sum())(X)
        np.testing.assert_allclose(got, 2 * X * WEIGHTS, 0, 16)

    (rule,) = bp.audit(test).rules
    assert (rule.killed, rule.planted) == (0, 10)
    assert kinds(rule, "passed", "x") == OF_A_LEAF
    assert kinds(rule, "passed", "") == {"cotangent ignored"}
    assert [(one.passes, one.caught) for one in rule.tolerances] == [(2.0, 4.0)]  # 16 / 5.5 = 2.9


def test_a_backward_that_never_runs_lets_every_slip_pass():
    def test():
        np.testing.assert_allclose(square(X), X**2, 1e-6)
        np.testing.assert_allclose(jax.grad(lambda x: (x**2).sum())(X), 2 * X, 1e-6)

    report = bp.audit(test)
    (rule,) = report.rules
    assert (report.verdict, report.ok, rule.ran) == ("NEVER RAN", False, False)
    assert (rule.killed, rule.planted, rule.kill_rate) == (0, 10, 0.0)
    assert "its backward pass NEVER RAN" in str(report)


def test_a_named_rule_that_is_never_called_is_reported():
    report = bp.audit(lambda: None, rule=affine_backward)
    assert (report.verdict, report.rules[0].planted, report.ok) == ("NEVER RAN", 0, False)


def test_a_test_that_sees_everything_is_good():
    """It runs the backward pass 20 times, at points and cotangents that hide nothing, within 1e-5."""

    def test():
        rng = np.random.default_rng(0)
        for _ in range(20):
            x, ct = rng.normal(size=(2, 3, 4)).astype(np.float32)
            got = jax.grad(lambda x, ct=ct: (softmax(x) * ct).sum())(x)
            want = jax.grad(lambda x, ct=ct: (jax.nn.softmax(x) * ct).sum())(x)
            np.testing.assert_allclose(got, want, 1e-5, 1e-6)

    report = bp.audit(test, tolerances=False)
    assert (report.verdict, report.ok, report.kill_rate) == ("CATCHES ALL", True, 1.0)
    assert report.rules[0].executed == 20


def test_a_slip_that_is_none_counts_for_neither_side():
    """The gradient of a sum has equal rows, whatever the numbers are: reversing them changes nothing."""
    total = custom(lambda x: x.sum(), lambda x: (x.sum(), x), lambda x, ct: (jnp.full_like(x, ct),))

    def test():
        np.testing.assert_allclose(jax.grad(lambda x: 3 * total(x))(X), np.full_like(X, 3), 1e-6)

    (rule,) = bp.audit(test, tolerances=False).rules
    assert kinds(rule, "no slip here", "x") == {"rows reversed"}
    assert (rule.killed, rule.planted) == (8, 9)  # of ten, without that one; one run of twenty is missed


def test_a_test_must_pass_first():
    def fails():
        raise AssertionError("off by 2")

    with pytest.raises(bp.UsageError, match=r"the test must pass first, but found it failed: .*off by 2"):
        bp.audit(fails)
    with pytest.raises(bp.UsageError, match="it was skipped"):
        bp.audit(lambda: pytest.skip("not here"))
    with pytest.raises(bp.UsageError, match="it raised: ZeroDivisionError"):
        bp.audit(lambda: 1 / 0)


def test_a_test_that_reaches_no_rule_is_told_how_to_name_one():
    with pytest.raises(bp.UsageError, match=r"must reach a custom_vjp.*name the function"):
        bp.audit(lambda: jax.grad(jax.nn.relu)(1.0))  # a custom_jvp of JAX's own


def test_bad_names_are_refused():
    with pytest.raises(bp.UsageError, match=r"a slip must be one of.*did you mean twice\?"):
        bp.audit(lambda: None, slips=["twise"])
    with pytest.raises(bp.UsageError, match="the test must be a callable"):
        bp.audit(3)


def test_only_the_slips_asked_for_are_planted_and_arguments_are_passed_on():
    def test(x):
        np.testing.assert_allclose(jax.grad(lambda x: square(x).sum())(x), 2 * x, 1e-6)

    report = bp.audit(test, X, slips=["zero", "twice"], tolerances=False)
    assert report.ok
    assert [one.name for one in report.rules[0].slips] == ["x zero", "x twice"]


def test_a_tolerance_does_not_depend_on_the_slips_that_are_planted():
    """The cotangent is 1 and x a power of two, so that 2 x ct has no rounding: 1.01 is caught, and 1e-3."""
    powers = np.array([0.5, 1.0, 2.0], np.float32)

    def test():
        np.testing.assert_allclose(jax.grad(lambda x: square(x).sum())(powers), 2 * powers, 1e-3)

    found = [bp.audit(test, slips=slips).rules[0].tolerances for slips in (None, ["twice"], ["zero"])]
    assert [one.caught for (one,) in found] == [2.0**-9] * 3  # the first power of two above 1e-3


def test_a_slip_that_was_not_planted_in_the_end_does_not_shorten_the_search():
    """The test runs its backward pass but in each run of `twice`, which it therefore lets pass."""
    runs = []

    def test():
        runs.append(1)
        if len(runs) == 3:
            return
        np.testing.assert_allclose(jax.grad(lambda x: square(x).sum())(X), 2 * X, 1e-3)

    (rule,) = bp.audit(test, slips=["twice"]).rules
    ((slip,), (loose,)) = rule.slips, rule.tolerances
    assert (slip.outcome, slip.detail) == ("passed", "the backward pass did not run this time")
    assert loose.caught == 2.0**-9


def test_a_program_that_cannot_be_kept_on_disk_does_not_end_the_test(without_a_folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Session("a test", lambda seconds: None, None):
            warnings.warn("Error writing persistent compilation cache entry for 'jit_f'", stacklevel=1)


def test_what_the_budget_leaves_out_is_said_and_is_not_good():
    report = bp.audit(lambda: jax.grad(lambda x: square(x).sum())(X), budget=1e-9)
    assert {one.outcome for one in report.rules[0].slips} == {"left out"}
    assert not report.ok
    assert "the budget is spent" in str(report)
