"""E0: the slips of document 000 that run, and what each does when read literally."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import backproof as bp
from agreement import assert_agrees
from backproof import rules
from backproof.numerics.noise import measure
from backproof.numerics.tracing import float64
from networks import SIGMAS, networks, seeds


@pytest.mark.spec("E0")
@given(seeds)
def test_on_columns_the_missing_parenthesis_does_no_harm(seed):
    rng = np.random.default_rng(seed)
    u, v, w = rng.normal(size=(2, 1)), rng.normal(size=(2, 1)), rng.normal(size=(3, 1))
    assert_agrees(lambda u, v, w: u * (v @ w.T), lambda u, v, w: (u * v) @ w.T, u, v, w)


@pytest.mark.spec("E0")
@given(networks(sizes=[(3, 2, 2), (3, 4, 4)], batches=[()], lasts=SIGMAS))
def test_on_one_axis_the_literal_product_is_silently_a_scalar(net):
    def literal(params, x, delta):  # (a − y) ⊙ σ′(z) (a^{L−1})ᵀ, where ᵀ does nothing and @ sums
        residuals = net.rule.forward(params, x)[1]
        return bp.deltas(params, residuals, delta)[-1] @ residuals[-1].x.T

    assert jax.eval_shape(literal, net.params, net.x, net.delta).shape == ()
    assert net.params[-1]["W"].shape != ()


@pytest.mark.spec("E0")
@given(networks(sizes=[(4, 3, 2), (2, 5, 3)], batches=[()]))
def test_where_lengths_differ_the_literal_product_raises(net):
    residuals = measure(net.rule.forward, net.params, net.x).value[1]
    with pytest.raises((TypeError, ValueError)):
        jnp.matmul(jnp.asarray(net.delta), jnp.asarray(residuals[-1].x).T)


@pytest.mark.spec("E0")
@given(networks(sizes=[(4, 3, 2), (2, 5, 3)], batches=[()]))
def test_the_slope_scales_rows_of_W_transposed_and_does_not_fit_columns_of_W(net):
    W, slope = jnp.asarray(net.params[1]["W"]), jnp.ones(len(net.params[0]["b"]))
    with pytest.raises(TypeError):
        slope[:, None] * W  # "each column vector of the weight matrix", literally
    assert (slope[:, None] * W.T).shape == W.T.shape


@pytest.mark.spec("E0")
@given(networks(sizes=[(4, 3, 2), (2, 5, 3)], batches=[()]))
def test_the_documents_order_of_factors_raises_unless_square(net):
    matrix = jnp.asarray(net.params[1]["W"]).T  # as S0.11 defines ∂z^{l+1}/∂z^l, (n_l, n_{l+1})
    with pytest.raises(TypeError):
        jnp.asarray(net.delta) @ matrix
    assert (matrix @ jnp.asarray(net.delta)).shape == net.params[0]["b"].shape


@pytest.mark.spec("E0")
def test_square_the_documents_order_is_silently_wrong():
    with float64():
        W, z, delta_above = jnp.array([[1.0, 2.0], [0.0, 1.0]]), jnp.zeros(2), jnp.array([1.0, 0.0])
        params = ({"W": jnp.eye(2), "b": z}, {"W": W, "b": z})
        _, residuals = bp.mlp((2, 2, 2), rules.sigmoid).forward(params, z)
        matrix = W.T * jnp.full((2, 2), 0.25)  # S0.11, with σ′(0) = ¼
        truth = jax.grad(lambda z: delta_above @ (W @ jax.nn.sigmoid(z)))(z)
        assert (delta_above @ matrix).tolist() == [0.25, 0.0]  # δ^{l+1} · ∂z^{l+1}/∂z^l as written
        assert (matrix @ delta_above).tolist() == truth.tolist() == [0.25, 0.5]
        assert bp.deltas(params, residuals, delta_above)[0].tolist() == [0.25, 0.5]
