"""In low precision an implementation must do what autodiff does there, row by row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import lax

import backproof as bp
from backproof.verification import Verdict
from backproof.verification.judging.accuracy import _row
from backproof.verification.running.low_precision import narrow
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user
ARGS = [bp.array("b n", low=-5, high=5), bp.array("n", low=-5, high=5)]


BF16 = {"examples": 40, "dtypes": ("bfloat16",), "second_order": False}
F32 = {"examples": 60, "dtypes": ("float32",), "second_order": False}


def scaled(x, gain):
    return x * gain


def summed_one_by_one(terms, dtype):
    """Return the sum over the first axis, every partial sum rounded to `dtype`."""
    total, _ = lax.scan(
        lambda so_far, term: (so_far + term.astype(dtype), None), jnp.zeros(terms.shape[1:], dtype), terms
    )
    return total.astype(terms.dtype)


def in_its_own_dtype(args, ct):
    x, gain = args
    return ct * gain, summed_one_by_one(ct * x, ct.dtype)


def in_float32_or_wider(args, ct):
    x, gain = args
    return ct * gain, summed_one_by_one(ct * x, jnp.promote_types(ct.dtype, jnp.float32))


def test_a_long_sum_in_bfloat16_is_unstable():
    report = bp.verify(of=scaled, vjp=in_its_own_dtype, args=ARGS, **BF16)
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")
    assert report.counterexample.leaf == "[1]"
    assert "bfloat16" in report.explanation
    assert "times the true value apart)" in str(report)
    assert not report.ok


def test_the_same_sum_in_float32_is_accepted():
    assert bp.verify(of=scaled, vjp=in_float32_or_wider, args=ARGS, **BF16).verdict is Verdict.AGREES


def test_without_dtypes_only_the_formula_is_judged():
    report = bp.verify(of=scaled, vjp=in_its_own_dtype, args=ARGS, **{**BF16, "dtypes": ()})
    assert report.verdict is Verdict.AGREES


def test_exp_over_one_plus_exp_overflows_in_float32():
    """At 300 the formula is right in float64; in float32 it is ∞/∞."""
    softplus = lambda z: jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))
    bounded = [bp.array("n", low=-300, high=300)]
    overflowing = lambda a, ct: (ct * jnp.exp(a[0]) / (1 + jnp.exp(a[0])),)
    stable = lambda a, ct: (ct * jnp.exp(-jnp.logaddexp(0, -a[0])),)
    report = bp.verify(of=softplus, vjp=overflowing, args=bounded, **F32)
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")
    assert np.isnan(report.counterexample.hand)
    (z,), cotangent = report.counterexample.args, report.counterexample.cotangent
    assert (len(z), cotangent.tolist()) == (1, [1.0])
    assert float(f"{float(z[0]):.1g}") == z[0]  # one digit
    assert "it gives nan where autodiff is finite" in report.explanation
    assert bp.verify(of=softplus, vjp=overflowing, args=bounded, **{**F32, "dtypes": ()}).ok
    assert bp.verify(of=softplus, vjp=stable, args=bounded, **F32).ok


def test_a_row_that_overflows_in_float16_alone_is_unstable():
    """The factor 10⁴ takes 2·x beyond 65,504, the largest number of float16, and no other precision."""

    def through_ten_thousand(args, ct):
        return ((2 * args[0] * 10_000.0) * ct / 10_000.0,)

    arguments = [bp.array("b n", low=-8, high=8)]
    settings = {"dtypes": ("float32", "bfloat16", "float16"), "second_order": False}
    report = bp.verify(of=jnp.square, vjp=through_ten_thousand, args=arguments, **settings)
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")
    assert "float16" in report.explanation
    assert "bfloat16" not in report.explanation
    assert bp.verify(of=jnp.square, vjp=through_ten_thousand, args=arguments, **BF16).ok


@pytest.mark.parametrize("rule", [bp.rules.sigmoid, bp.rules.gelu, bp.rules.softmax], ids=lambda r: r.name)
def test_a_right_rule_is_stable_in_every_precision(rule):
    assert bp.verify(rule, examples=60, second_order=False).verdict is Verdict.AGREES


@pytest.mark.smoke
def test_one_small_row_that_is_inaccurate_is_not_hidden_by_a_large_one():
    """The error is a few roundings of the large row, and most of the small one."""
    x = np.array([[1e6, 2e6, -3e6], [1.0, -2.0, 0.5]], np.float32)

    def through_the_largest(args, ct):
        g = 2 * args[0] * ct
        shift = 4 * jnp.abs(g).max()
        return ((g + shift) - shift,)

    report = bp.verify(of=jnp.square, vjp=through_the_largest, args=st.just((x,)), **F32)
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")
    assert "times the error of autodiff)" in str(report)
    assert "units apart" not in str(report)
    assert report.counterexample.index[0] == 1
    only_large = st.just((x[:1],))
    assert bp.verify(of=jnp.square, vjp=through_the_largest, args=only_large, **F32).ok


def test_an_inaccurate_complex_rule_is_unstable_in_single_precision():
    def squared(z):
        return z * z

    def through_a_large_number(args, ct):
        (z,) = args
        return (((z + 1e4) ** 2 - (z - 1e4) ** 2) / 2e4 * ct,)

    arguments = [bp.array("n", dtype="complex64")]
    right = bp.verify(of=squared, vjp=lambda args, ct: (2 * args[0] * ct,), args=arguments, **F32)
    assert right.ok
    report = bp.verify(of=squared, vjp=through_a_large_number, args=arguments, **F32)
    assert report.verdict is Verdict.UNSTABLE


def test_the_example_of_a_loss_of_accuracy_is_at_the_smallest_shape_that_shows_it():
    def through_a_large_number(args, ct):
        (x,) = args
        return ((ct * jnp.cos(x) + 1e4 * ct) - 1e4 * ct,)

    report = bp.verify(of=jnp.sin, vjp=through_a_large_number, args=[bp.array("b n")], **F32)
    assert report.verdict is Verdict.UNSTABLE
    assert report.counterexample.args[0].size < 6


def relu_layer(x, W, b):
    return jax.nn.relu(x @ W.T + b)


def relu_layer_in_halves(args, ct):
    """Give the pullback with z summed in another order, which is as good."""
    x, W, b = args
    half = x.shape[1] // 2
    z = x[:, half:] @ W[:, half:].T + (x[:, :half] @ W[:, :half].T + b)
    delta = jnp.where(z > 0, ct, 0)
    return delta @ W, delta.T @ x, delta.sum(0)


@pytest.mark.parametrize("seed", [5, 38])
def test_a_sum_in_another_order_may_stand_on_the_other_side_of_a_kink(seed):
    """A layer of ordinary size has pre-activations that float16 cannot tell from 0."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((32, 784)), rng.standard_normal((128, 784)) / 28, np.zeros(128)
    args = [value.astype(np.float32) for value in values]
    report = bp.verify(of=relu_layer, vjp=relu_layer_in_halves, args=args, examples=20, second_order=False)
    assert report.ok, report


def test_beside_a_kink_an_inaccurate_row_is_unstable_all_the_same():
    def cancelling(args, ct):
        return relu_layer_in_halves(args, lax.optimization_barrier(ct + 30_000) - 30_000)

    rng = np.random.default_rng(0)
    values = rng.standard_normal((32, 784)), rng.standard_normal((128, 784)) / 28, np.zeros(128)
    args = [value.astype(np.float32) for value in values]
    report = bp.verify(
        of=relu_layer, vjp=cancelling, args=args, examples=4, dtypes=("float16",), second_order=False
    )
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")


def test_the_example_of_a_slip_among_large_numbers_has_few_digits():
    """Where none of 1, 2, 0.5 … shows the failure, the number that did is rounded."""
    beyond_fifty = lambda args, ct: (jnp.where(args[0] > 50, 3, 2) * args[0] * ct,)
    report = bp.verify(of=jnp.square, vjp=beyond_fifty, args=[bp.array("n", low=-100, high=100)])
    assert report.verdict is Verdict.WRONG
    (x,) = report.counterexample.args
    assert x.size == 1
    assert float(f"{float(x[0]):.2g}") == float(x[0])


def test_a_predicate_that_takes_no_low_precision_is_asked_in_a_wider_one():
    def overflowing(args, ct):
        (x,) = args
        return (ct * jnp.exp(x) / (1 + jnp.exp(x)),)

    regular = bp.array("3 3", low=-20, high=20, where=lambda x: np.linalg.matrix_rank(x) == 3)
    settings = {"dtypes": ("float16",), "second_order": False}
    report = bp.verify(of=jax.nn.softplus, vjp=overflowing, args=[regular], **settings)
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy"), report


def test_an_entry_that_vanishes_beside_a_large_one_is_lost():
    """Autodiff keeps both to a unit in the last place; by hand the small one is 0."""
    mine, true = np.array([1.0, 0.0]), np.array([1.0, 0.01])
    point = Point((np.zeros(2, np.float32),), np.float32(1))
    row = _row("bfloat16", "[0]", point, mine, true, true, np.zeros(2))
    assert (row.at, row.fails) == ((1,), True)
    assert not _row("bfloat16", "[0]", point, mine, true, true, np.array([0.0, 0.01])).fails


def test_an_error_that_is_negligible_beside_the_other_entries_is_none():
    point = Point((np.zeros(2, np.float32),), np.float32(1))
    mine = np.array([1.0, 0.0])
    trues = np.array([1.0, 1e-7]), np.array([1.0, 1e-4])
    beside = [_row("float32", "[0]", point, mine, true, true, np.zeros(2)) for true in trues]
    assert [row.fails for row in beside] == [False, True]
    lost = [np.array([true]) for true in (1e-7, 1e-4)]  # beside a cotangent of 1
    alone = [_row("float32", "[0]", point, mine[1:], true, true, np.zeros(1)) for true in lost]
    assert [row.fails for row in alone] == [False, True]


def test_the_usual_pullback_of_softmax_is_accurate_where_one_class_has_all_the_probability():
    """There p(c − ⟨p, c⟩) is a difference of two cotangents, which leaves 0 of 10⁻⁸; autodiff keeps that."""

    def softmax(x):
        weight = jnp.exp(x - x.max(-1, keepdims=True))
        return weight / weight.sum(-1, keepdims=True)

    def back(args, ct):
        p = softmax(*args)
        return (p * (ct - (p * ct).sum(-1, keepdims=True)),)

    report = bp.verify(of=softmax, vjp=back, args=[bp.array("b n", low=-30, high=30)])
    assert report.verdict is Verdict.AGREES


def test_a_right_slope_is_not_held_to_numbers_too_small_for_a_precision():
    """At x = 10⁻⁵, subnormal in float16, 1/x overflows where autodiff's ct/x does not."""
    near_zero = [bp.array("n", low=1e-6, high=1e-3)]
    report = bp.verify(
        of=jnp.log,
        vjp=lambda a, ct: (1 / a[0] * ct,),
        args=near_zero,
        dtypes=("float16",),
        second_order=False,
    )
    assert (report.verdict, report.notes) == (Verdict.AGREES, ())


def test_numbers_too_small_for_a_precision_keep_their_sign():
    numbers = np.array([0.0, 1e-12, -1e-6, 6.5e-5, -2.0])
    least = float(np.finfo(np.float16).tiny)
    (held,) = narrow((numbers,), "float16")
    assert held.dtype == np.float16
    assert held.tolist() == [0, least, -least, float(np.float16(6.5e-5)), -2]
    assert np.signbit(narrow(np.array(-0.0), "float16"))


def test_a_precision_that_is_not_declared_is_advice():
    """In float16 2·10⁴·x overflows; the argument is declared in float32."""

    def through_ten_thousand(args, ct):
        return ((2 * args[0] * 10_000.0) * ct / 10_000.0,)

    arguments = [bp.array("b n", low=-8, high=8)]
    report = bp.verify(of=jnp.square, vjp=through_ten_thousand, args=arguments, second_order=False)
    assert report.verdict is Verdict.AGREES
    assert any(
        note.startswith("in float16, which is not a declared dtype, it gives") for note in report.notes
    )
    halved = [bp.array("b n", dtype="float16", low=-8, high=8)]
    report = bp.verify(of=jnp.square, vjp=through_ten_thousand, args=halved, second_order=False)
    assert (report.verdict, report.cause) == (Verdict.UNSTABLE, "accuracy")


def test_a_declared_precision_in_which_nothing_could_be_judged_is_inconclusive():
    """At 20 and more exp overflows in float16, so no point in the declared precision says anything."""
    large = [bp.array("n", dtype="float16", low=20, high=30)]
    report = bp.verify(of=jnp.exp, vjp=lambda a, ct: (jnp.exp(a[0]) * ct,), args=large, second_order=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "the code was not judged in float16" in report.explanation


def test_a_precision_in_which_nothing_could_be_judged_is_named():
    large = [bp.array("n", low=20, high=30)]
    report = bp.verify(of=jnp.exp, vjp=lambda a, ct: (jnp.exp(a[0]) * ct,), args=large, second_order=False)
    assert report.ok
    assert [note for note in report.notes if "not judged" in note] == [
        "the code was not judged in float16: at no point tried are both the function and autodiff finite"
    ]


def cosines(x, y):
    return x @ y.T / jnp.linalg.norm(x, axis=-1)[:, None] / jnp.linalg.norm(y, axis=-1)


def masked_attention(q, k, v, mask):
    scores = q @ k.T / jnp.sqrt(q.shape[-1]).astype(q.dtype)
    return jax.nn.softmax(jnp.where(mask, scores, jnp.finfo(q.dtype).min), -1) @ v


def masked_attention_pullback(args, ct):
    q, k, v, mask = args
    scale = 1 / jnp.sqrt(q.shape[-1]).astype(q.dtype)
    p = jax.nn.softmax(jnp.where(mask, q @ k.T * scale, jnp.finfo(q.dtype).min), -1)
    dp = ct @ v.T
    ds = jnp.where(mask, p * (dp - (p * dp).sum(-1, keepdims=True)), 0) * scale
    return ds @ k, ds.T @ q, p.T @ ct, None


COSINES = [bp.array("b n", low=0.1), bp.array("c n", low=0.1)]
ATTENTION = [bp.array("t d"), bp.array("s d"), bp.array("s e"), bp.array("t s", "bool")]


@pytest.mark.parametrize(
    ("of", "vjp", "args"),
    [
        (cosines, lambda args, ct: jax.vjp(cosines, *args)[1](ct), COSINES),
        (masked_attention, masked_attention_pullback, ATTENTION),
    ],
    ids=["cosines", "masked attention"],
)
def test_a_long_sum_whose_terms_cancel_does_not_saturate(of, vjp, args):
    """In bfloat16 little remains of them, by autodiff as by hand."""
    settings = {"examples": 40, "dtypes": ("bfloat16", "float16"), "second_order": False}
    assert bp.verify(of=of, vjp=vjp, args=args, **settings).verdict is Verdict.AGREES


def root_mean_square(x, gain):
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6) * gain


def through(dtype, factor=1.0):
    """Return its pullback, computed in `dtype` whatever it is given; one term is times `factor`."""

    def pullback(args, ct):
        x, gain, ct_wide = (leaf.astype(dtype) for leaf in (*args, ct))
        r = jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        h, w = x * r, ct_wide * gain
        dx = r * (w - factor * h * (w * h).mean(-1, keepdims=True))
        return dx.astype(args[0].dtype), (ct_wide * h).sum(0).astype(args[1].dtype)

    return pullback


NORMED = [bp.array("2 3"), bp.array("3")]


def test_code_that_computes_in_float32_is_held_to_float32():
    report = bp.verify(of=root_mean_square, vjp=through(jnp.float32), args=NORMED, **F32)
    assert report.verdict is Verdict.AGREES
    report = bp.verify(of=root_mean_square, vjp=through(jnp.float32, 1.001), args=NORMED, **F32)
    assert (report.verdict, report.counterexample.leaf) == (Verdict.WRONG, "[0]")


def test_code_that_computes_in_fewer_digits_than_are_declared_loses_them():
    report = bp.verify(of=root_mean_square, vjp=through(jnp.bfloat16), args=NORMED, **F32)
    assert report.verdict is Verdict.UNSTABLE
    wide = [bp.array("2 3", "float64"), bp.array("3", "float64")]
    report = bp.verify(of=root_mean_square, vjp=through(jnp.float32), args=wide, **F32)
    assert report.verdict is Verdict.UNSTABLE


@pytest.mark.parametrize("seed", [2, 4, 5])
def test_a_softmax_in_float32_is_as_accurate_as_that_precision_allows(seed):
    """With these seeds the rounding of an entry near 1 is more than the measured spread."""
    vjp = lambda args, ct: ((jax.nn.softmax(args[0].astype(jnp.float32)) * ct).astype(ct.dtype),)
    settings = {"seed": seed, "dtypes": (), "second_order": False}
    report = bp.verify(of=jax.nn.logsumexp, vjp=vjp, args=[bp.array("n+1")], **settings)
    assert report.verdict is Verdict.AGREES


def test_an_axis_that_is_kept_is_not_summed_whatever_its_size_is_called():
    softmax = lambda x: jax.nn.softmax(x, -1)
    vjp = lambda args, ct: jax.vjp(softmax, *args)[1](ct)
    settings = {"examples": 30, "dtypes": ("float16",), "second_order": False}
    assert bp.verify(of=softmax, vjp=vjp, args=[bp.array("b n+1")], **settings).verdict is Verdict.AGREES


def test_a_rounding_at_the_end_is_a_rounding():
    vjp = lambda args, ct: ((ct * jnp.cos(args[0])).astype(jnp.float32).astype(ct.dtype),)
    assert bp.verify(of=jnp.sin, vjp=vjp, args=[bp.array("n")], examples=60).ok


def test_a_second_derivative_computed_in_float32_is_judged_to_its_digits():
    cosine = jax.custom_vjp(jnp.cos)
    cosine.defvjp(lambda x: (jnp.cos(x), x), lambda x, ct: (-0.5 * jnp.sin(x) * ct,))

    def report(slope):
        vjp = lambda args, ct: (
            (slope(args[0].astype(jnp.float32)) * ct.astype(jnp.float32)).astype(ct.dtype),
        )
        return bp.verify(of=jnp.sin, vjp=vjp, args=[bp.array("n")], examples=40, dtypes=())

    right = report(jnp.cos)
    assert (right.verdict, right.notes) == (Verdict.AGREES, (COARSE,))
    assert report(cosine).cause == "second-order"


COARSE = "result[0] is computed in 7 digits inside, and its formula was judged to those"
