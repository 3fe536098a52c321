"""Laws that hold for every shipped loss; what each one computes is in the test of its own file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import by_hand

from agreement import assert_agrees
from backproof import losses
from backproof.arguments import shape_of
from backproof.errors import UsageError
from backproof.losses import (
    CATALOGUE,
    half_squared_error,
    hinge,
    mean,
    softmax_cross_entropy,
    softmax_cross_entropy_dense,
)
from backproof.rule import Loss

BATCHES = ((), (2,), (4, 2), (1,), (0,))
SUMS = [loss for loss in CATALOGUE if not loss.name.startswith("mean")]
every_loss = pytest.mark.parametrize("loss", CATALOGUE, ids=lambda loss: loss.name)
every_sum = pytest.mark.parametrize("loss", SUMS, ids=lambda loss: loss.name)


def drawn(loss, batch, seed):
    """Return (prediction, target) in the domain of `loss`, floating leaves in float64."""
    rng = np.random.default_rng(seed)

    def leaf(spec, draw):
        shape = shape_of(spec, {"*batch": batch, "n": 3, "k": 3})
        return draw(shape) if spec.is_floating else rng.integers(3, size=shape)

    prediction = jax.tree.map(
        lambda spec: leaf(spec, lambda shape: 3 * rng.standard_normal(shape)), loss.domain[0]
    )
    return prediction, jax.tree.map(
        lambda spec: leaf(spec, lambda shape: rng.uniform(-1, 1, shape)), loss.domain[1]
    )


def assert_backward_is_the_gradient(loss, batch, seed):
    oracle = jax.value_and_grad(lambda prediction, target: loss.forward(prediction, target)[0])
    assert_agrees(by_hand(loss), oracle, *drawn(loss, batch, seed))


@pytest.mark.smoke
@every_loss
@given(st.sampled_from(BATCHES[:4]), st.integers(0, 2**32 - 1))
def test_backward_is_the_gradient_of_a_scalar(loss, batch, seed):
    assert_backward_is_the_gradient(loss, batch, seed)


@pytest.mark.smoke
def test_a_gradient_twice_too_large_is_caught():
    mutant = softmax_cross_entropy._replace(backward=lambda kept: 2 * softmax_cross_entropy.backward(kept))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_backward_is_the_gradient(mutant, (2,), 0)


def assert_batch_is_summed(loss, seed):
    """Assert that the value, and the gradient of each leaf without a batch axis, are sums over samples."""
    prediction, target = drawn(loss, (4,), seed)
    has_batch = jax.tree.map(lambda spec: spec.batch_name is not None, loss.domain)

    def one_by_one(prediction, target):
        samples = [
            jax.tree.map(
                lambda batched, leaf, i=i: leaf[i] if batched else leaf, has_batch, (prediction, target)
            )
            for i in range(4)
        ]
        values, rows = zip(*(by_hand(loss)(*sample) for sample in samples), strict=True)
        together = jax.tree.map(
            lambda batched, *leaves: jnp.stack(leaves) if batched else sum(leaves), has_batch[0], *rows
        )
        return jnp.stack(values).sum(), together

    assert_agrees(by_hand(loss), one_by_one, prediction, target)


@every_sum
@given(seed=st.integers(0, 2**32 - 1))
def test_a_bare_loss_is_the_sum_over_the_batch(loss, seed):
    assert_batch_is_summed(loss, seed)


def test_a_mean_is_not_taken_for_a_sum():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_batch_is_summed(mean(half_squared_error), 0)


@every_sum
def test_an_empty_batch_costs_nothing(loss):
    prediction, target = jax.tree.map(
        lambda leaf: np.asarray(leaf, leaf.dtype.name.replace("64", "32")), drawn(loss, (0,), 0)
    )
    value, delta = by_hand(loss)(prediction, target)
    assert value == 0
    assert jax.tree.map(np.shape, delta) == jax.tree.map(np.shape, prediction)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(delta))


def assert_kept_and_finite_when_compiled(loss, dtype):
    rows = np.array([[-800, 0, 800], [40, 40, -40], [20, -20, -0.0]], dtype)
    prediction, target = drawn(loss, (3,), 0)
    prediction = jax.tree.map(lambda leaf: rows[tuple(slice(n) for n in leaf.shape)], prediction)
    target = jax.tree.map(lambda leaf: leaf.astype(dtype if leaf.dtype == "float64" else "int32"), target)
    value, residuals = jax.jit(loss.forward)(prediction, target)
    delta = jax.jit(loss.backward)(residuals)
    assert value.shape == ()
    assert value.dtype == dtype
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), delta) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), prediction
    )
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(delta))
    assert dtype == "float16" or jnp.isfinite(value)  # 800² is too large for float16


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_is_kept_and_extremes_are_finite_when_compiled(loss, dtype):
    assert_kept_and_finite_when_compiled(loss, dtype)


@every_loss
def test_float64_is_kept_and_extremes_are_finite_when_compiled(loss):
    with jax.enable_x64(True):
        assert_kept_and_finite_when_compiled(loss, "float64")


@pytest.mark.as_user
@every_loss
def test_losses_work_under_the_default_settings_of_jax(loss):
    assert_kept_and_finite_when_compiled(loss, "float32")


def test_an_overflow_and_a_wider_dtype_are_caught():
    right = softmax_cross_entropy_dense

    def forward(z, t):
        p = jnp.exp(z) / jnp.exp(z).sum(-1, keepdims=True)
        return right.forward(z, t)[0], (p, t, None)

    with pytest.raises(AssertionError, match="all"):
        assert_kept_and_finite_when_compiled(right._replace(forward=forward), "float32")
    widens = hinge._replace(backward=lambda kept: hinge.backward(kept).astype(jnp.float32))
    with pytest.raises(AssertionError, match="dtype"):
        assert_kept_and_finite_when_compiled(widens, "bfloat16")


@every_loss
def test_a_prediction_of_integers_is_refused(loss):
    prediction, target = drawn(loss, (2,), 0)
    with pytest.raises(UsageError, match=r"must be floating, but found .* of dtype int32; convert it first"):
        loss.forward(jax.tree.map(lambda leaf: leaf.astype("int32"), prediction), target)


def test_every_loss_of_the_package_is_in_the_catalogue():
    found = {loss for loss in vars(losses).values() if isinstance(loss, Loss)}
    assert found <= set(CATALOGUE)
    assert sorted(losses.__all__) == [name for name in dir(losses) if not name.startswith("_")]


def test_names_are_distinct():
    names = [loss.name for loss in CATALOGUE]
    assert len(set(names)) == len(names)
