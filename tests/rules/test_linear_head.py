"""The linear head hands on its input and its matrix, and both gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws_of_rules import by_autodiff_with, by_hand_with

import backproof as bp
from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.rules import linear_head
from slips_in_files import assert_named

RNG = np.random.default_rng(0)
HEAD = linear_head(3)


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,)])
def test_it_returns_what_it_gets_and_so_do_its_gradients(batch):
    x, W = RNG.standard_normal((*batch, 4)), RNG.standard_normal((3, 4))
    delta = RNG.standard_normal(x.shape), RNG.standard_normal(W.shape)
    assert_agrees(
        by_hand_with(HEAD), by_autodiff_with(lambda params, x: (x, params["W"])), {"W": W}, x, delta
    )


def test_a_matrix_starts_with_rows_of_the_length_of_the_input():
    params, (x, W) = HEAD.init(jax.random.key(0), jax.ShapeDtypeStruct((2, 4), jnp.bfloat16))
    assert params["W"].shape == W.shape == (3, 4)
    assert params["W"].dtype == W.dtype == x.dtype == jnp.bfloat16
    variance = (
        linear_head(1000).init(jax.random.key(0), jax.ShapeDtypeStruct((400,), "float32"))[0]["W"].var()
    )
    assert 0.99 < variance * 400 < 1.01


def test_gradients_handed_on_in_the_wrong_order_are_caught():
    head = HEAD._replace(backward=lambda params, kept, delta: ({"W": delta[1]}, 2 * delta[0]))
    args = {"W": np.ones((3, 4))}, np.ones((2, 4)), (np.ones((2, 4)), np.ones((3, 4)))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(head), by_autodiff_with(lambda params, x: (x, params["W"])), *args)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"^linear_head: n_out must be a whole number of at least 1"):
        linear_head(0)
    with pytest.raises(UsageError, match=r"^linear_head\(3\): W must have shape \(3, 4\)"):
        HEAD.forward({"W": jnp.ones((3, 5))}, jnp.ones((2, 4)))
    with pytest.raises(UsageError, match="the input must be floating"):
        HEAD.forward({"W": jnp.ones((3, 4))}, jnp.ones((2, 4), int))
    with pytest.raises(UsageError, match="W must be floating"):
        HEAD.forward({"W": jnp.ones((3, 4), int)}, jnp.ones((2, 4)))
    with pytest.raises(UsageError, match="the input must be one array with at least one axis"):
        HEAD.init(jax.random.key(0), jax.ShapeDtypeStruct((), "float32"))


def test_a_network_with_it_is_trained_like_any_other():
    x, labels = RNG.standard_normal((40, 4)).astype("f4"), RNG.integers(3, size=40).astype("i4")
    network = bp.chain(bp.rules.affine(5), bp.rules.tanh, linear_head(3))
    loss = bp.losses.mean(bp.losses.linear_cross_entropy_with(chunk=16, ignored=-100))
    history = bp.training.fit(network, loss, bp.training.Data(x, labels), epochs=3, batch_size=20).history
    assert history[2].loss < history[0].loss


@pytest.mark.as_user
@pytest.mark.parametrize("wrong", ['{"W": delta_W}, -delta_x', '{"W": delta_W / 3}, delta_x'])
def test_the_line_of_a_slip_is_named(wrong, tmp_path):
    assert_named(HEAD, '{"W": delta_W}, delta_x', wrong, tmp_path, lambda module: module.linear_head(3))
