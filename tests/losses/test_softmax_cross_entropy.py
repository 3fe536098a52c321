import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from hypothesis import given
from laws_of_losses import (
    assert_caught_by_reference_alone,
    assert_is,
    by_hand,
    consistent,
    labels,
    points,
    probabilities,
    real,
    summed,
)

import backproof as bp
from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.losses import mean, softmax_cross_entropy, softmax_cross_entropy_dense

with_labels = summed(optax.losses.softmax_cross_entropy_with_integer_labels)
with_dense = summed(optax.losses.softmax_cross_entropy)
LOGITS = np.array([[800.0, 0, -800], [40, 0, 0], [-20, 20, 19], [0, 0, -0.0], [87.4, 0, 89]])
LABELS = np.array([2, 0, 1, 1, 0])
UNNORMALISED = np.array([[1.0, 1, 0], [0, 0, 0], [2, -1, 0.5], [0.25, 0.25, 0.25], [0, 3, 0]])


@given(points(labels))
def test_with_labels_it_is_that_of_optax(point):
    assert_is(softmax_cross_entropy, with_labels, *point)


@given(points(real) | points(probabilities))
def test_with_dense_targets_it_is_that_of_optax_whatever_their_sum(point):
    assert_is(softmax_cross_entropy_dense, with_dense, *point)


def test_it_is_that_of_optax_at_ties_and_extremes():
    assert_is(softmax_cross_entropy, with_labels, LOGITS, LABELS)
    assert_is(softmax_cross_entropy_dense, with_dense, LOGITS, UNNORMALISED)


@given(points(labels))
def test_labels_are_one_hot_targets(point):
    z, label = point
    one_hot = np.eye(3)[label]
    assert_agrees(lambda z: by_hand(softmax_cross_entropy)(z, label), lambda z: with_one_hot(z, one_hot), z)


def with_one_hot(z, one_hot):
    return by_hand(softmax_cross_entropy_dense)(z, one_hot)


@pytest.mark.parametrize(("row", "target"), [*zip(LOGITS.tolist(), UNNORMALISED.tolist(), strict=True)])
def test_it_is_exact_at_ties_and_extremes(row, target):
    with mpmath.workdps(900):
        total = sum(mpmath.exp(z) for z in row)
        p = [mpmath.exp(z) / total for z in row]
        value = -sum(t * mpmath.log(p_k) for t, p_k in zip(target, p, strict=True))
        slope = [p_k * sum(target) - t for t, p_k in zip(target, p, strict=True)]
    args = np.array(row), np.array(target)
    assert_value(by_hand(softmax_cross_entropy_dense), args, (float(value), np.array(slope, np.float64)))


@pytest.mark.spec("S3.10")
def test_the_documents_p_minus_t_is_caught_where_targets_do_not_sum_to_one():
    z, t = np.array([3.5, 0.0]), np.array([1.0, 1.0])
    mutant = softmax_cross_entropy._replace(backward=lambda kept: kept[0] - kept[1])
    assert_is(mutant, with_dense, z, np.array([0.25, 0.75]))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, with_dense, z, t)


@pytest.mark.spec("S3.19")
@pytest.mark.parametrize("top", [87.4, 89.0, 800.0, 1e30])
@pytest.mark.parametrize("label", [0, 1])
def test_a_saturated_softmax_in_float32_gives_numbers_when_compiled(top, label):
    z = np.float32([[top, 0]])
    value, slope = jax.jit(by_hand(softmax_cross_entropy))(z, np.array([label]))
    np.testing.assert_array_equal(slope, [[0, 0]] if label == 0 else [[1, -1]])
    assert value == (0 if label == 0 else np.float32(top))


@pytest.mark.spec("S3.19")
@pytest.mark.parametrize("gap", [8.0, 20.0, 60.0])
def test_the_slope_at_a_label_that_is_almost_certain_keeps_its_digits_in_float32(gap):
    """p − 1 would round to 0 or to a multiple of 6e-8; the slopes of a sample sum to 0."""
    loss = softmax_cross_entropy
    slope = np.asarray(by_hand(loss)(np.float32([[gap, 0, -1]]), np.array([0]))[1], np.float64)[0]
    true = -(mpmath.exp(-gap) + mpmath.exp(-gap - 1)) / (1 + mpmath.exp(-gap) + mpmath.exp(-gap - 1))
    assert abs(slope[0] / float(true) - 1) < 8 * np.finfo(np.float32).eps
    assert abs(slope.sum()) <= np.finfo(np.float32).eps * abs(slope[0])


def test_a_class_shut_out_by_minus_infinity_does_no_harm():
    z = np.array([[1.0, -np.inf, 2.0]])
    assert_is(softmax_cross_entropy, with_labels, z, np.array([2]))


def test_a_label_without_a_class_shows_as_nan():
    z = np.zeros((3, 2), "f4")
    value, slope = by_hand(softmax_cross_entropy)(z, np.int32([2, 1, -1]))
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(slope), [[True, True], [False, False], [True, True]])


def test_labels_of_a_narrow_dtype_reach_every_class_that_they_can_name():
    z = np.zeros((1, 300), "f4")
    _, slope = by_hand(softmax_cross_entropy)(z, np.int8([44]))
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(slope) < 0), [44])


def test_smoothed_targets_are_caught():
    smoothed = consistent("smoothed", lambda z, t: with_dense(z, 0.999 * t + 0.001 / 3))
    assert_caught_by_reference_alone(smoothed, with_dense, LOGITS, UNNORMALISED)


def test_a_softmax_over_the_batch_is_caught():
    over_batch = consistent("over batch", lambda z, t: -(t * jax.nn.log_softmax(z, axis=0)).sum())
    assert_caught_by_reference_alone(over_batch, with_dense, LOGITS, UNNORMALISED)


def test_the_unfused_gradient_is_caught_at_a_saturated_softmax():
    # S3.8 as written: −t_j / p_j · ∂p_j/∂z_k, summed over j
    def unfused(residuals):
        p, t, _ = residuals
        row = t / p
        return p * (row * p).sum(-1, keepdims=True) - p * row

    mutant = softmax_cross_entropy_dense._replace(backward=unfused)
    assert_is(mutant, with_dense, LOGITS[2:4], UNNORMALISED[2:4])
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, with_dense, LOGITS[:1], UNNORMALISED[:1])


@pytest.mark.parametrize(
    ("prediction", "target", "text"),
    [
        (
            np.ones((2, 3), "f4"),
            np.ones((2, 1), "i4"),
            r"shape \(2,\), but found target.shape=\(2, 1\); pass one integer",
        ),
        (
            np.ones((2, 3), "f4"),
            np.ones((2, 3), "i4"),
            r"shape \(2,\), but found target.shape=\(2, 3\); pass one integer",
        ),
        (np.ones(3, "f4"), np.ones(1, "i4"), r"shape \(\), but found target.shape=\(1,\)"),
        (
            np.ones((2, 3), "f4"),
            np.ones(3, "f4"),
            r"shape \(2, 3\), but found target.shape=\(3,\); pass a target for",
        ),
        (np.ones((2, 3), "f4"), np.ones(2, "f4"), r"shape \(2, 3\), but found target.shape=\(2,\)"),
        (
            np.ones((2, 3), "f4"),
            np.ones((2, 3), bool),
            r"dtype of the prediction, float32, but found target.dtype=bool",
        ),
        (np.ones((2, 3), "i4"), np.ones(2, "i4"), r"the input must be floating, but found x of dtype int32"),
        (np.float32(1), np.int32(0), r"the input must be one array with at least one axis"),
    ],
)
def test_a_target_that_does_not_fit_is_refused_at_trace_time(prediction, target, text):
    with pytest.raises(UsageError, match="^softmax_cross_entropy: .*" + text):
        jax.eval_shape(softmax_cross_entropy.forward, prediction, target)
    with pytest.raises(UsageError, match="^softmax_cross_entropy: .*" + text):
        softmax_cross_entropy.forward(jnp.asarray(prediction), jnp.asarray(target))


@pytest.mark.parametrize(("width", "batch"), [(64, 32), (64, 256), (32, 512)])
def test_a_step_holds_no_more_than_autodiff_of_it(width, batch):
    """A one-hot array of the size of the prediction, kept for the backward pass, would be seen here.

    One number a sample is kept more: what the other classes share.
    """
    network, loss = bp.mlp([width, width, width], bp.rules.relu), mean(softmax_cross_entropy)
    x, labels = jnp.ones((batch, width)), jnp.zeros(batch, jnp.int32)
    params, _ = network.init(jax.random.key(0), jax.eval_shape(lambda: x))

    def value(params, x, labels):
        return loss.forward(network.forward(params, x)[0], labels)[0]

    def held(gradient):
        analysis = jax.jit(gradient).lower(params, x, labels).compile().memory_analysis()
        return analysis.temp_size_in_bytes

    per_sample = batch * x.dtype.itemsize
    assert held(bp.value_and_grad(network, loss)) <= held(jax.value_and_grad(value)) + 2 * per_sample
