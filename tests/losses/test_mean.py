import jax
import jax.numpy as jnp
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
    real,
    summed,
)

from agreement import assert_agrees
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.losses import half_squared_error, hinge, mean, softmax_cross_entropy
from backproof.rule import Loss

NOT_EMPTY = ((3,), (2, 3), (4, 2, 3), (1, 3))
SOME = np.array([[-800.0, -1, 0], [2, 40, 800]]), np.array([[-800.0, 1, 0], [-2, 0.5, 0.25]])
mean_cross_entropy = summed(
    lambda z, t: optax.losses.softmax_cross_entropy_with_integer_labels(z, t).mean(),
)
mean_of_rows = summed(lambda y, t: optax.losses.l2_loss(y, t).sum(-1).mean())
mean_of_entries = summed(lambda y, t: optax.losses.l2_loss(y, t).mean())


@given(points(labels, NOT_EMPTY))
def test_the_mean_cross_entropy_is_that_of_optax(point):
    assert_is(mean(softmax_cross_entropy), mean_cross_entropy, *point)


@given(points(real, NOT_EMPTY))
def test_samples_are_averaged_and_entries_within_a_sample_summed(point):
    assert_is(mean(half_squared_error), mean_of_rows, *point)


@given(points(real, NOT_EMPTY))
def test_value_and_gradient_are_the_sum_divided_by_the_number_of_samples(point):
    samples = point[0].size // 3

    def divided(y, t):
        return jax.tree.map(lambda leaf: leaf / samples, by_hand(half_squared_error)(y, t))

    assert_agrees(by_hand(mean(half_squared_error)), divided, *point)


def test_a_mean_over_entries_is_caught():
    assert_caught_by_reference_alone(consistent("entries", mean_of_entries), mean_of_rows, *SOME)


def test_a_mean_of_the_value_alone_is_caught():
    mutant = mean(half_squared_error)._replace(backward=half_squared_error.backward)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(mutant, mean_of_rows, *SOME)


def test_the_number_of_samples_survives_the_edge_of_a_compiled_function():
    loss, z, label = mean(softmax_cross_entropy), np.float32([[1, 2, 3], [0, 0, 0]]), np.array([0, 2])
    value, residuals = jax.jit(loss.forward)(z, label)
    np.testing.assert_array_equal(jax.jit(loss.backward)(residuals), by_hand(loss)(z, label)[1])
    assert value == by_hand(loss)(z, label)[0]


def test_a_loss_that_does_not_say_which_axes_count_samples_has_no_mean():
    loss = half_squared_error._replace(domain=(array("b n"), array("b n")))
    with pytest.raises(
        UsageError, match=r"^mean: the domain .* which axes count samples, but found .*=f32\[b,n\]; declare"
    ):
        mean(loss)


def test_what_is_no_loss_has_no_mean():
    with pytest.raises(UsageError, match=r"^mean: loss must be a Loss, but found 3; pass"):
        mean(3)


def test_an_empty_batch_is_refused():
    with pytest.raises(
        UsageError,
        match=r"^mean\(half_squared_error\): a mean needs at least one sample, "
        r"but found prediction.shape=\(4, 0, 3\); use half_squared_error, the sum, or leave out",
    ):
        mean(half_squared_error).forward(np.ones((4, 0, 3), "f4"), np.ones((4, 0, 3), "f4"))


def test_a_prediction_outside_the_domain_is_refused():
    with pytest.raises(UsageError, match=r"the shape must fit \[\*batch, n\], but found shape=\(\)"):
        mean(half_squared_error).forward(np.float32(1), np.float32(1))


def test_the_mean_is_named_and_keeps_the_kinks_and_the_domain_of_its_loss():
    assert mean(hinge) is mean(hinge)
    assert mean(hinge).name == "mean(hinge)"
    assert (mean(hinge).at_kinks, mean(hinge).domain) == (hinge.at_kinks, hinge.domain)


def test_the_prediction_may_be_a_dict():
    def forward(prediction, target):
        return prediction["m"].sum(), prediction

    loss = Loss(
        "sum of m", forward, lambda kept: {"m": jnp.ones_like(kept["m"])}, ({"m": array("*batch n")}, ())
    )
    value, kept = mean(loss).forward({"m": jnp.ones((4, 3))}, ())
    assert value == 3
    assert mean(loss).backward(kept)["m"].tolist() == [[0.25] * 3] * 4
