"""A cause is named where it is the cause, and `unknown` stands where none of the names is."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import lax
from jax.custom_batching import custom_vmap

import backproof as bp
from backproof.verification import Verdict
from backproof.verification.blame.edits import SLIPS as MENDED
from backproof.verification.diagnosis import causes, program_slips
from backproof.verification.diagnosis.layers import CAUSES
from backproof.verification.diagnosis.masks import MASKS
from backproof.verification.diagnosis.pattern import PARTIAL
from backproof.verification.diagnosis.whole import WHOLE
from backproof.verification.judging.laws import LAWFUL, REPEATABLE

pytestmark = pytest.mark.as_user
N, M_N = bp.array("n"), bp.array("m n")
TWO = [bp.array("n", where=lambda x: x.size > 1)]
# test_program_slips and test_layers produce these
SLIPS = {*CAUSES.values(), *(slip.cause for slips in program_slips.SLIPS.values() for slip in slips)}
NAMED = {*WHOLE, *MASKS, "not-finite", "cotangent-ignored", "cotangent-nonlinear", "some-sizes"}
OTHERS = {
    "missing-psum",
    "surplus-psum",
    "second-order",
    "accuracy",
    "reference",
    "unknown",
    "not-deterministic",
    "copied-guard",
    *MENDED,
}
CONTRACT = {"contract-raises", "contract-tree", "contract-shape", "contract-dtype", "missing-sum"}


def verified(of, vjp, args, **how):
    quick = {"examples": 60, "dtypes": (), "second_order": False}
    return bp.verify(of=of, vjp=vjp, args=args, **{**quick, **how})


def raising(args, ct):
    raise ValueError("no kernel")


def bilinear(W, x):
    return W @ x


def through_square(W, x):
    return jnp.tanh(W @ x)


def through_square_pullback(W_back):
    def vjp(args, ct):
        W, x = args
        delta = ct * (1 - jnp.tanh(W @ x) ** 2)
        return jnp.outer(delta, x), W_back(W) @ delta

    return vjp


def swapping(args, ct):
    x, y = args
    return ct * x * jnp.cos(y), ct * jnp.sin(y)


def wrongly_batched(args, ct):
    scaled = custom_vmap(lambda x, ct: jnp.cos(x) * ct)
    scaled.def_vmap(lambda size, in_batched, x, ct: (jnp.cos(x) * ct[:1], True))
    return (scaled(args[0], ct),)


def popping(args, ct):
    return ({"W": jnp.cos(args[0].pop("W")) * ct},)


def squares(x):
    return jnp.square(x).sum()


def half_square(x):
    return jnp.square(x) / 2


def hidden(text):
    """Return a function whose source nobody knows, so that no mend of it can explain what is wrong."""
    return eval(text, {"jnp": jnp})


def at(mask, by=2.0):
    """Return the pullback of x²/2 that is wrong by a factor where `mask(x)` holds."""
    return lambda a, ct: (ct * a[0] * jnp.where(mask(a[0]), by, 1),)


def first(x):
    return jnp.arange(x.shape[0]) == 0


def last(x):
    return jnp.arange(x.shape[0]) == x.shape[0] - 1


def large(x):
    return jnp.abs(x) > 1


here_and_there = hidden("lambda x: jnp.sin(7 * x) > 0.2")
times = {
    by: hidden(f"lambda a, ct: (ct * a[0] * jnp.where(jnp.sin(7 * a[0]) > 0.2, {by}, 1),)")
    for by in (0, -1, 1.001)
}


def row_sums(x):
    return jnp.sum(x * x, -1)


def where_kept(x, kept):
    return jnp.where(kept, x * x, x)


def where_kept_pullback(args, ct):
    """Forget that the slope differs where the mask holds."""
    return (ct * jnp.where(args[1], args[0], 1), None)


wrong_from_four_on = hidden("lambda a, ct: (ct * a[0] * (1 if a[0].shape[0] < 4 else jnp.cos(a[0])),)")


SQUARE = [bp.array("n n"), N]
PLANTED = {
    "contract-raises": (jnp.sin, raising, [N]),
    "contract-tree": (jnp.sin, lambda a, ct: jnp.cos(a[0]) * ct, [N]),
    "contract-shape": (jnp.sin, lambda a, ct: ((jnp.cos(a[0]) * ct).sum(),), [N]),
    "contract-dtype": (jnp.sin, lambda a, ct: ((jnp.cos(a[0]) * ct).astype("float16"),), [N]),
    "missing-sum": (jnp.multiply, lambda a, ct: (ct * a[1], ct * a[0]), [M_N, N]),
    "contract-mutates": (lambda p: jnp.sin(p["W"]), popping, [{"W": N}]),
    "transform-vmap": (jnp.sin, wrongly_batched, [N]),
    "not-finite": (jnp.square, lambda a, ct: (2 * a[0] ** 2 / a[0] * ct,), [N]),
    "cotangent-ignored": (jnp.sin, lambda a, ct: (jnp.cos(a[0]),), [N]),
    "cotangent-nonlinear": (jnp.sin, lambda a, ct: (jnp.cos(a[0]) * jnp.abs(ct),), [N]),
    "missing": (bilinear, lambda a, ct: (jnp.outer(ct, a[1]), None), [M_N, N]),
    "sign": (jnp.sin, lambda a, ct: (-jnp.cos(a[0]) * ct,), [N]),
    "transpose": (bilinear, lambda a, ct: (jnp.outer(a[1], ct), a[0].T @ ct), SQUARE),
    "swapped": (lambda x, y: x * jnp.sin(y), swapping, [N, N]),
    "slope-at-output": (jnp.tanh, lambda a, ct: (ct * (1 - jnp.tanh(jnp.tanh(a[0])) ** 2),), [N]),
    "argument-transposed": (bilinear, lambda a, ct: (jnp.outer(ct, a[1]), a[0] @ ct), SQUARE),
    "convention-mean": (squares, lambda a, ct: (2 * a[0] / a[0].shape[0] * ct,), [bp.array("3 n")]),
    "convention-half": (squares, lambda a, ct: (a[0] * ct,), [N]),
    "factor": (jnp.sin, lambda a, ct: (jnp.cos(a[0]) * ct * jnp.sqrt(2.0).astype(ct.dtype),), [N]),
    "at-zeros": (half_square, lambda a, ct: (ct * jnp.where(a[0] == 0, 1, a[0]),), [N]),
    "at-ties": (jnp.max, lambda a, ct: (ct * (a[0] == a[0].max()),), TWO),
    "negative-inputs": (half_square, at(lambda x: x < 0, 0.0), [N]),
    "positive-inputs": (half_square, at(lambda x: x > 0, 1.5), [N]),
    "first-row": (half_square, at(first), TWO),
    "last-row": (half_square, at(last), TWO),
    "shifted": (jnp.sin, lambda a, ct: (jnp.roll(ct * jnp.cos(a[0]), 1),), [N]),
    "reversed": (jnp.sin, lambda a, ct: (jnp.flip(ct * jnp.cos(a[0]), -1),), [bp.array("n+2")]),
    "cotangent-moved": (jnp.sin, lambda a, ct: (jnp.roll(ct, 1, -1) * jnp.cos(a[0]),), [bp.array("n+2")]),
    "too-many-axes": (
        row_sums, lambda a, ct: (0 * a[0] + (2 * a[0] * ct[:, None]).sum(0),), [bp.array("m+1 n")]),
    "masked": (where_kept, where_kept_pullback, [N, bp.integers("n", 0, 1)]),
    "some-sizes": (half_square, wrong_from_four_on, [N]),
    "at-constant": (half_square, at(large, 0.0), [N]),
    "partial-missing": (half_square, times[0], [N]),
    "partial-sign": (half_square, times[-1], [N]),
    "partial-factor": (half_square, times[1.001], [N]),
    "unknown": (jnp.arctan, lambda a, ct: (ct * jnp.cos(a[0] + 1e-3 * jnp.sin(7 * a[0])),), [N]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_an_error_of_its_kind_is_called_by_its_name(name):
    report = verified(*PLANTED[name])
    assert report.verdict is Verdict.WRONG
    assert report.cause == name
    assert report.explanation


NAMELESS = {
    "another function's slope": (jnp.tanh, lambda a, ct: (ct * jnp.cos(a[0]),), [N]),
    "another slope at both ends": (jax.nn.softplus, lambda a, ct: (ct * jnp.tanh(2 * a[0]),), [N]),
}  # fmt: skip


@pytest.mark.smoke
@pytest.mark.parametrize("what", sorted(NAMELESS))
def test_an_error_without_a_name_gets_none(what):
    report = verified(*NAMELESS[what])
    assert (report.verdict, report.cause) == (Verdict.WRONG, "unknown")


WITH_A_MEND = {
    "a shifted argument": (jnp.sin, lambda a, ct: (ct * jnp.cos(a[0] + 1e-3),), [N]),
    "noise added": (jnp.sin, lambda a, ct: (ct * (jnp.cos(a[0]) + 1e-6 * jnp.sin(999 * a[0]) + 1e-6),), [N]),
    "a slope twice as steep inside": (jax.nn.softplus, lambda a, ct: (ct * jax.nn.sigmoid(2 * a[0]),), [N]),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(WITH_A_MEND))
def test_an_error_that_a_mend_of_its_line_explains_is_named_by_that(what):
    report = verified(*WITH_A_MEND[what])
    assert report.cause in MENDED
    assert report.blame.mend in str(report)
    assert report.explanation.startswith(MENDED[report.cause])


def test_the_second_order_accuracy_and_reference_are_named():
    frozen = lambda a, ct: (lax.stop_gradient(jnp.cos(a[0])) * ct,)
    assert verified(jnp.sin, frozen, [N], second_order=True).cause == "second-order"
    overflowing = lambda a, ct: (ct * jnp.exp(a[0]) / (1 + jnp.exp(a[0])),)
    softplus = lambda z: jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    assert verified(softplus, overflowing, [bp.array("n", low=-900, high=900)]).cause == "accuracy"
    doubled = jax.custom_jvp(jnp.sin)
    doubled.defjvp(lambda p, t: (jnp.sin(p[0]), 2 * jnp.cos(p[0]) * t[0]))
    assert verified(doubled, lambda a, ct: (ct * jnp.cos(a[0]),), [N]).cause == "reference"


def test_the_table_holds_the_names_that_the_code_gives():
    rows = re.findall(r"^\| (`.*`) \|", causes.__doc__, re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert len(documented) == len(set(documented))
    assert set(documented) == {*NAMED, *PARTIAL, *REPEATABLE, *LAWFUL, *CONTRACT, *OTHERS, *SLIPS}


def test_every_name_is_produced_by_a_test():
    # test_laws
    elsewhere = {"contract-forward", "contract-impure", "not-deterministic", "symbolic-zeros"}
    assert {*NAMED, *PARTIAL, *REPEATABLE, *LAWFUL, *CONTRACT} - set(PLANTED) <= elsewhere | {
        "contract-descend"
    }


def test_a_sign_that_every_input_has_is_no_cause():
    slightly_off = lambda a, ct: (ct * (3 * a[0] ** 2 + 0.3 * a[0] ** 4),)
    assert verified(lambda x: x**3, slightly_off, [bp.array("n", low=1, high=2)]).cause == "surplus"


def test_a_function_of_several_results_has_no_slope_at_its_output():
    both = lambda x: (jnp.sin(x), x[..., :1] * 2)
    wrong = lambda a, ct: (3 * ct[0] * jnp.cos(a[0]) + 1,)
    assert verified(both, wrong, [N]).verdict is Verdict.WRONG
    named = lambda x: {"s": jnp.sin(x)}
    assert (
        verified(named, lambda a, ct: (ct["s"] * (jnp.cos(a[0]) + 1),), [bp.array("")]).verdict
        is Verdict.WRONG
    )


def test_numbers_that_tie_by_chance_are_no_cause():
    """Among 16,000 numbers of float32 some tie; the one wrong entry has nothing to do with them."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((16, 1000)), rng.standard_normal((1000, 100))
    w[77, 7] = w[3, 3]
    one_off = lambda a, ct: (ct @ a[1].T, (a[0].T @ ct).at[77, 7].multiply(1 + 1e-6))
    report = verified(lambda x, w: x @ w, one_off, st.just((np.float32(x), np.float32(w))))
    assert (report.counterexample.leaf, report.counterexample.index) == ("[1]", (77, 7))
    assert report.cause == "partial-factor"
    assert "1.000001 times" in report.explanation


@pytest.mark.parametrize("mask", [lambda x: x == x, large], ids=["everywhere", "where x is large"])
def test_a_factor_just_below_one_is_not_called_one(mask):
    report = verified(half_square, at(mask, 0.99999997), [N])
    assert report.cause in ("factor", "at-constant")
    assert "0.99999997 times the gradient" in str(report)
    assert " 1 times" not in str(report)


def test_a_factor_that_is_the_root_of_an_axis_is_told():
    """Attention's scores are divided by √d; so are the gradients of queries and keys."""

    def unscaled(args, ct):
        q, k = args
        return ct @ k, ct.T @ q

    scores = lambda q, k: q @ k.T / jnp.sqrt(jnp.asarray(q.shape[-1], q.dtype))
    report = verified(scores, unscaled, [bp.array("m d"), bp.array("n d")])
    assert (report.verdict, report.cause) == (Verdict.WRONG, "factor")
    assert "√n times the gradient, n being the size of axis 1 of args[0]" in report.explanation


def variance(x):
    return jnp.var(x, -1, ddof=1).sum()


BATCHED = [bp.array("b+1 n+1")]
SIZED = {
    "(n − 1)/n (Bessel's correction)": (
        variance, lambda a, ct: (2 * ct * (a[0] - a[0].mean(-1, keepdims=True)) / a[0].shape[1],), BATCHED),
    "n/m": (lambda x: (x**3).mean(0).sum(), lambda a, ct: (3 * ct * a[0] ** 2 / a[0].shape[1],), BATCHED),
    "1/n": (lambda x: (x**3).mean(0).sum(), lambda a, ct: (3 * ct * a[0] ** 2 / a[0].size,), BATCHED),
}  # fmt: skip


@pytest.mark.parametrize("words", sorted(SIZED))
def test_a_factor_that_a_size_gives_is_told(words):
    report = verified(*SIZED[words])
    assert (report.verdict, report.cause) == (Verdict.WRONG, "factor")
    assert f"is {words} times the gradient, n being the size of axis" in report.explanation


def test_the_features_of_a_vector_are_no_batch():
    """x @ w is linear; a factor of 1/n, n the features, is no mean over samples."""
    divided = lambda a, ct: (ct[:, None] * a[1] / a[1].shape[0], ct @ a[0] / a[1].shape[0])
    report = verified(lambda x, w: x @ w, divided, [bp.array("b n"), N])
    assert (report.verdict, report.cause) == (Verdict.WRONG, "factor")
    assert "1/n times" in report.explanation


def test_a_factor_of_two_is_no_root_of_an_axis_that_once_has_size_four():
    report = verified(jnp.sin, lambda a, ct: (2 * ct * jnp.cos(a[0]),), [N])
    assert report.explanation == "result[0] is 2 times the gradient"
    of_four = verified(jnp.sin, lambda a, ct: (2 * ct * jnp.cos(a[0]),), [bp.array("4")])
    assert "2 times the gradient, or it is √n times the gradient" in of_four.explanation


ELSEWHERE = {
    "a sign, but right at some points": lambda a, ct: (ct * jnp.where(a[0].sum() > 1, -a[0], a[0]),),
    "a factor, but another at some points": lambda a, ct: (ct * a[0] * jnp.where(a[0].sum() > 1, 2, 3),),
    "zero, but right for small cotangents": hidden(
        "lambda a, ct: (jnp.where(jnp.abs(ct).sum() > 1, 0, ct * a[0]),)"),
    "moved, but right at some points": lambda a, ct: (
        jnp.where(a[0].sum() > 1, jnp.roll(ct * a[0], 1), ct * a[0]),),
    "wrong at the first index, if it is positive": at(lambda x: first(x) & (x > 0)),
    "wrong below zero, at the last index": at(lambda x: last(x) & (x < 0)),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(ELSEWHERE))
def test_a_prediction_that_fails_at_one_point_is_no_cause(what):
    """What is right at some points, or otherwise wrong, refutes each cause that concerns every input."""
    report = verified(half_square, ELSEWHERE[what], [N])
    whole = {"sign", "factor", "missing", "shifted", "first-row", "last-row", "negative-inputs", "some-sizes"}
    assert report.verdict is Verdict.WRONG
    assert report.cause not in whole | {"positive-inputs"}


def test_an_axis_of_one_size_has_no_first_row():
    """Two rows that are written apart: the slip has nothing to do with the index."""
    apart = lambda A, x: jnp.stack([A[0] * x, A[1]])
    sum_for_product = lambda a, ct: (jnp.stack([ct[0], ct[1]]), ct[0] * a[0][0])
    report = verified(apart, sum_for_product, [bp.array("2 n"), N])
    assert report.verdict is Verdict.WRONG
    assert report.cause not in ("first-row", "last-row")


def test_a_domain_of_positive_numbers_has_no_positive_inputs():
    wrong_sign_inside = lambda a, ct: (-ct / (1 + a[0]),)
    report = verified(lambda a: jnp.log1p(-a), wrong_sign_inside, [bp.array("n", low=0.1, high=0.9)])
    assert (report.verdict, report.cause) == (Verdict.WRONG, "term-sign")


def test_a_lost_factor_beyond_all_digits_is_not_an_ignored_cotangent():
    report = verified(lambda x: 1e20 * x, lambda a, ct: (ct,), [N])
    assert report.verdict is Verdict.WRONG
    assert not report.cause.startswith("cotangent")


def test_one_wrong_entry_at_one_point_has_no_factor():
    """Any one number is some constant times another; two must be the same constant."""
    x = np.float32([2.0, 3.0])
    one_off = lambda a, ct: ((2 * a[0] * ct).at[1].add(1e-3 * jnp.sin(a[0][1]) * ct[1]),)
    report = verified(jnp.square, one_off, st.just((x,)), examples=1)
    assert report.verdict is Verdict.WRONG
    assert report.cause not in ("factor", "partial-factor")


def at_three(x):
    """Return x·relu6(x + 3)/6, whose slope the pullback below leaves out at exactly 3."""
    return x * jnp.clip(x + 3, 0, 6) / 6


def without_three(args, ct):
    (x,) = args
    return (ct * jnp.where(jnp.abs(x) < 3, x / 3 + 0.5, jnp.where(x > 3, 1.0, 0.0)),)


def cholesky_pullback(args, ct):
    """Symmetrise with S + Sᵀ − diag(S) where (S + Sᵀ)/2 is meant: twice too much off the diagonal."""
    L = jnp.linalg.cholesky(args[0])
    middle = jnp.tril(L.T @ ct)
    inverse = jnp.linalg.inv(L)
    S = inverse.T @ (middle - jnp.diag(jnp.diag(middle)) / 2) @ inverse
    return (S + S.T - jnp.diag(jnp.diag(S)),)


def positive_definite(n, seed):
    b = np.random.default_rng(seed).standard_normal((n, n))
    return (np.float32(b @ b.T + n * np.eye(n)),)


POSITIVE = st.builds(positive_definite, st.integers(1, 3), st.integers(0, 2**32 - 1))


def log_cdf_pullback(args, ct):
    (x,) = args
    return (ct * jnp.exp(-x * x / 2) / np.sqrt(2 * np.pi) / jax.scipy.special.ndtr(x),)


def threshold_pullback(args, ct):
    return (ct * (args[0] >= jnp.sort(args[0])[-2]),)


def warmed(x, t):
    return jax.nn.log_softmax(x / t)


def warmed_pullback(args, ct):
    """Skip the gradient of a temperature of exactly 1."""
    x, t = args
    g = ct - jax.nn.softmax(x / t) * ct.sum()
    return g / t, jnp.where(t == 1, 0, -(g * x).sum() / t**2)


def clamped_log(p):
    return jnp.maximum(jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1)), -100), -100)


def entropy(p, t):
    return -(t * clamped_log(p) + (1 - t) * clamped_log(1 - p))


def entropy_pullback(args, ct):
    p, t = args
    return ct * (p - t) / jnp.maximum(p * (1 - p), 1e-12), None


def clipped_logit(x):
    y = jnp.clip(x, 1e-6, 1 - 1e-6)
    return jnp.log(y) - jnp.log1p(-y)


def unclipped_pullback(args, ct):
    (x,) = args
    ok = (x > 0) & (x < 1)
    s = jnp.where(ok, x, 0.5)
    return (jnp.where(ok, ct / (s * (1 - s)), 0),)


UNIT = bp.array("n", low=0, high=1)
HELD_OUT = {
    "a symmetric matrix ties with itself": (
        jnp.linalg.cholesky, cholesky_pullback, POSITIVE, {"partial-factor", "dropped-factor"}),
    "all equal, moved or not": (lambda x: jnp.sort(x)[-2:].sum(), threshold_pullback, TWO, {"at-ties"}),
    "one number in place of another": (clipped_logit, unclipped_pullback, [UNIT], {"unknown"}),
    "not finite far out, wrong nearer": (
        jax.scipy.special.log_ndtr, log_cdf_pullback, [N], {"not-finite"}),
    "a value that stands first": (
        at_three, without_three, [np.float32([3, 1])], {"partial-missing", "at-constant"}),
    "other inputs that tie": (
        warmed, warmed_pullback, [bp.array("n", where=lambda x: x.size > 0), bp.array("", low=0.25, high=4)],
        {"at-constant"}),
    "ones as well as zeros": (entropy, entropy_pullback, [UNIT, bp.integers("n", 0, 1)], {"unknown"}),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("what", sorted(HELD_OUT))
@pytest.mark.parametrize("seed", [0, 2])
def test_what_holds_by_coincidence_is_no_cause(what, seed):
    of, vjp, args, causes = HELD_OUT[what]
    report = verified(of, vjp, args, examples=200, seed=seed)
    # two of them are wrong only at numbers that are seldom drawn
    assert report.cause in causes if report.verdict is Verdict.WRONG else report.verdict is Verdict.AGREES


def test_entries_are_counted_in_grammar():
    one_of = verified(at_three, without_three, [np.float32([3, 1])])
    assert one_of.explanation == "1 of 2 entries of result[0] is wrong; it is zero by hand"
    only = verified(half_square, times[0], [np.float32(3)])
    assert only.explanation == "the one entry of result[0] is zero by hand"
    mask = "(jnp.arange(3) < 2) & (jnp.sin(7 * a[0][2]) > 0.2)"
    two_of = hidden(f"lambda a, ct: (ct * a[0] * jnp.where({mask}, 1.001, 1),)")
    several = verified(half_square, two_of, [np.float32([3, 0.5, 4])])
    assert "2 of 3 entries of result[0] are wrong; they are 1.001 times" in several.explanation
