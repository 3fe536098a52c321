"""Token cross entropy against optax, and its sums in mpmath; ignored tokens against leaving them out."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import SHAPES, assert_caught_by_reference_alone, assert_is, by_hand, consistent, summed

import backproof as bp
from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.losses import mean, softmax_cross_entropy, token_cross_entropy, token_cross_entropy_with
from slips_in_files import assert_named

LOGITS = np.array([[800.0, 0, -800], [40, 0, 0], [-20, 20, 19], [0, 0, -0.0], [87.4, 0, 89], [1, 2, 3]])
LABELS = np.array([2, 0, 1, 1, 0, -100])
CHOICES = ((None, 0.0, 0.0), (0, 0.1, 0.0), (-100, 0.3, 1e-4), (None, 1.0, 0.1))
OF_CATALOGUE = token_cross_entropy_with(smoothing=0.1, z_loss=0.01)


def of_optax(ignored, smoothing, z_loss):
    """Return the same loss from parts of optax: dense smoothed targets, and a logarithm of a sum."""

    def each(z, labels):
        q = optax.smooth_labels(jax.nn.one_hot(labels, z.shape[-1]), smoothing)
        J = optax.losses.softmax_cross_entropy(z, q) + z_loss * jax.nn.logsumexp(z, axis=-1) ** 2
        return J if ignored is None else jnp.where(labels == ignored, 0, J)

    return summed(each)


@st.composite
def points(draw, ignored):
    """Draw (logits, labels) of which a third are ignored, if a label is."""
    shape, scale = draw(st.sampled_from(SHAPES)), draw(st.sampled_from((1e-3, 1, 4, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(shape[-1], size=shape[:-1])
    if ignored is not None:
        labels = np.where(rng.random(shape[:-1]) < 1 / 3, ignored, labels)
    return scale * rng.standard_normal(shape), labels


@pytest.mark.parametrize("choice", CHOICES)
@given(st.data())
def test_it_is_that_of_optax(choice, data):
    assert_is(token_cross_entropy_with(*choice), of_optax(*choice), *data.draw(points(choice[0])))


@pytest.mark.parametrize("choice", CHOICES)
def test_it_is_that_of_optax_at_ties_and_extremes(choice):
    keep = LABELS != -100 if choice[0] != -100 else slice(None)
    assert_is(token_cross_entropy_with(*choice), of_optax(*choice), LOGITS[keep], LABELS[keep])


@pytest.mark.parametrize(("row", "label"), [*zip(LOGITS.tolist(), LABELS[:5].tolist(), strict=False)])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.0), (0.25, 0.01)])
def test_it_is_exact_at_ties_and_extremes(row, label, smoothing, z_loss):
    with mpmath.workdps(900):
        s = mpmath.log(sum(mpmath.exp(z) for z in row))
        p = [mpmath.exp(z - s) for z in row]
        q = [(1 - mpmath.mpf(smoothing)) * (k == label) + mpmath.mpf(smoothing) / 3 for k in range(3)]
        value = -sum(a * mpmath.log(b) for a, b in zip(q, p, strict=True)) + z_loss * s**2
        slope = [b - a + 2 * z_loss * s * b for a, b in zip(q, p, strict=True)]
    loss = token_cross_entropy_with(smoothing=smoothing, z_loss=z_loss)
    assert_value(by_hand(loss), (np.array(row), np.array(label)), (float(value), np.array(slope, np.float64)))


@given(points(-100))
def test_unless_something_is_chosen_it_is_the_softmax_cross_entropy_of_the_tokens_that_count(point):
    z, labels = point[0].reshape(-1, 3), point[1].reshape(-1)
    counts = np.flatnonzero(labels != -100)

    def of_the_others(z):
        value, slope = by_hand(softmax_cross_entropy)(z[counts], labels[counts])
        return value, jnp.zeros_like(z).at[counts].set(slope)

    assert_agrees(lambda z: by_hand(token_cross_entropy)(z, labels), of_the_others, z)


@given(points(-100))
def test_its_mean_is_over_the_tokens_that_count(point):
    counts = max(int((point[1] != -100).sum()), 1)

    def divided(z, labels):
        return jax.tree.map(lambda leaf: leaf / counts, by_hand(token_cross_entropy)(z, labels))

    assert_agrees(by_hand(mean(token_cross_entropy)), divided, *point)


def test_a_mean_over_all_tokens_is_caught():
    over_all = consistent("over all", lambda z, t: of_optax(-100, 0.0, 0.0)(z, t) / t.size)
    right = lambda z, t: of_optax(-100, 0.0, 0.0)(z, t) / 5
    assert_is(mean(token_cross_entropy), right, LOGITS, LABELS)
    assert_caught_by_reference_alone(over_all, right, LOGITS, LABELS)


def test_the_mean_of_ignored_tokens_alone_is_zero():
    value, slope = by_hand(mean(token_cross_entropy))(LOGITS.astype("f4"), np.full(6, -100))
    assert (value, np.any(np.asarray(slope))) == (0, False)


def test_the_mean_of_more_tokens_than_float16_can_count_is_no_zero():
    z, labels = np.zeros((70_000, 2), "f2"), np.zeros(70_000, "i4")
    slope = jax.jit(by_hand(mean(token_cross_entropy)))(z, labels)[1]
    np.testing.assert_array_equal(slope[0], np.array([-0.5 / 70_000, 0.5 / 70_000], "f2"))


def test_an_ignored_token_is_not_read():
    z = np.float32([[np.nan, np.inf], [0, 0]])
    value, slope = by_hand(token_cross_entropy)(z, np.int32([-100, 0]))
    assert value == np.float32(np.log(2))
    np.testing.assert_array_equal(slope, [[0, 0], [-0.5, 0.5]])


def test_a_class_can_be_ignored():
    value, slope = by_hand(token_cross_entropy_with(ignored=0))(np.zeros((2, 2), "f4"), np.int32([0, 1]))
    assert value == np.float32(np.log(2))
    np.testing.assert_array_equal(slope, [[0, 0], [0.5, -0.5]])


@pytest.mark.parametrize("loss", [token_cross_entropy, OF_CATALOGUE], ids=lambda loss: loss.name)
def test_another_label_without_a_class_shows_as_nan(loss):
    value, slope = by_hand(loss)(np.zeros((3, 2), "f4"), np.int32([2, 1, -1]))
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(slope), [[True, True], [False, False], [True, True]])


def test_labels_of_a_narrow_dtype_reach_every_class_that_they_can_name():
    _, slope = by_hand(token_cross_entropy)(np.zeros((2, 300), "f4"), np.int8([44, -100]))
    np.testing.assert_array_equal(np.argwhere(np.asarray(slope) < 0), [[0, 44]])


@pytest.mark.parametrize("gap", [8.0, 20.0, 60.0])
def test_the_slope_at_a_label_that_is_almost_certain_keeps_its_digits_in_float32(gap):
    """p − 1 would round to 0 or to a multiple of 6e-8; the slopes of a token sum to 0."""
    slope = np.asarray(
        by_hand(token_cross_entropy)(np.float32([[gap, 0, -1]]), np.array([0]))[1], np.float64
    )[0]
    true = -(mpmath.exp(-gap) + mpmath.exp(-gap - 1)) / (1 + mpmath.exp(-gap) + mpmath.exp(-gap - 1))
    assert abs(slope[0] / float(true) - 1) < 8 * np.finfo(np.float32).eps
    assert abs(slope.sum()) <= np.finfo(np.float32).eps * abs(slope[0])


def test_a_bfloat16_gradient_is_that_of_float32_rounded_once():
    z = (4 * np.random.default_rng(0).standard_normal((5, 1000))).astype(jnp.bfloat16)
    labels = np.arange(5)
    narrow = by_hand(token_cross_entropy)(z, labels)[1]
    np.testing.assert_array_equal(
        narrow, by_hand(token_cross_entropy)(z.astype("f4"), labels)[1].astype(z.dtype)
    )


def test_it_keeps_the_logits_themselves_and_three_numbers_a_token():
    z, labels = jnp.ones((2, 3, 5), jnp.bfloat16), jnp.zeros((2, 3), jnp.int32)
    _, (kept, kept_labels, row) = token_cross_entropy.forward(z, labels)
    assert kept is z
    assert kept_labels is labels
    assert {leaf.shape for leaf in row} == {(2, 3, 1)}


def test_the_same_choice_is_the_same_loss():
    assert token_cross_entropy_with(-1) is token_cross_entropy_with(ignored=-1, smoothing=0.0)
    assert token_cross_entropy_with(-1).name == "token_cross_entropy_with(ignored=-1)"


MUTANTS = {
    "the label alone is pushed": lambda p, q, t, s: t * (p - q),
    "the smoothing left out": lambda p, q, t, s: p - t + 0.02 * s * p,
    "ε/(K − 1) for ε/K": lambda p, q, t, s: p - (0.9 * t + 0.05 * (1 - t)) + 0.02 * s * p,
    "the z-loss left out": lambda p, q, t, s: p - q,
    "a factor 2 forgotten": lambda p, q, t, s: p - q + 0.01 * s * p,
    "the factor p forgotten": lambda p, q, t, s: p - q + 0.02 * s,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    def backward(kept):
        z, labels, _ = kept
        t = jax.nn.one_hot(labels, z.shape[-1], dtype=z.dtype)
        s = jnp.broadcast_to(jax.nn.logsumexp(z, axis=-1, keepdims=True), z.shape)
        return MUTANTS[name](jax.nn.softmax(z), optax.smooth_labels(t, 0.1), t, s)

    z, labels = np.random.default_rng(0).standard_normal((2, 3)), np.array([2, 0])
    assert_is(OF_CATALOGUE, of_optax(None, 0.1, 0.01), z, labels)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(OF_CATALOGUE._replace(backward=backward), of_optax(None, 0.1, 0.01), z, labels)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"ignored": 0.5},
            "ignored must be a whole number from -2147483648 to 2147483647, but found ignored=0.5",
        ),
        ({"ignored": 2**31}, "ignored must be a whole number"),
        ({"smoothing": 1.5}, "smoothing must be a finite number from 0 to 1, but found smoothing=1.5"),
        ({"smoothing": -0.1}, "smoothing must be a finite number from 0 to 1"),
        ({"z_loss": -1}, "z_loss must be a finite number of at least 0, but found z_loss=-1"),
        ({"z_loss": float("nan")}, "z_loss must be a finite number"),
    ],
)
def test_a_choice_out_of_range_is_refused(settings, text):
    with pytest.raises(UsageError, match=f"^token_cross_entropy_with: {text}"):
        token_cross_entropy_with(**settings)


@pytest.mark.parametrize(
    ("prediction", "target", "text"),
    [
        (
            np.ones((2, 3), "f4"),
            np.ones((2, 1), "i4"),
            r"shape \(2,\), but found target.shape=\(2, 1\); pass one",
        ),
        (
            np.ones((2, 3), "f4"),
            np.ones(2, "f4"),
            "must be integer labels, but found target.dtype=float32; convert",
        ),
        (np.ones((2, 3), "i4"), np.ones(2, "i4"), "the input must be floating, but found x of dtype int32"),
        (np.float32(1), np.int32(0), "the input must be one array with at least one axis"),
    ],
)
def test_what_does_not_fit_is_refused_at_trace_time(prediction, target, text):
    with pytest.raises(UsageError, match=r"^token_cross_entropy_with\(ignored=-100\): .*" + text):
        jax.eval_shape(token_cross_entropy.forward, prediction, target)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("delta = jnp.where(is_label, -row.others, p)", "delta = jnp.where(is_label, row.others, p)"),
        ("delta + 2 * choice.z_loss * (row.top + jnp.log(row.total)) * p", "delta + 2 * choice.z_loss * p"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.token_cross_entropy_with(smoothing=0.1, z_loss=0.01)

    assert_named(OF_CATALOGUE, right, wrong, tmp_path, made)


@pytest.mark.as_user
def test_the_report_on_a_gradient_at_ignored_tokens_shows_a_single_ignored_token():
    mutant = token_cross_entropy._replace(backward=token_cross_entropy_with().backward)
    report = bp.verify(mutant, dtypes=(), second_order=False)
    assert report.verdict is bp.verification.Verdict.WRONG
    assert report.counterexample.args[1].tolist() == -100
