"""S2.1 to S2.3: what the letters of document 002 stand for, read off the shipped network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import BATCHES, SIZES, networks, seeds


@pytest.mark.spec("S2.1", "S2.2")
@given(sizes=st.sampled_from(SIZES), batch=st.sampled_from(BATCHES))
def test_superscript_k_names_a_layer_and_n_k_its_width(sizes, batch):
    net, n = bp.mlp(sizes, rules.tanh), sizes
    x = jax.ShapeDtypeStruct((*batch, n[0]), "float32")
    params = jax.eval_shape(lambda key: net.init(key, x)[0], jax.random.key(0))
    y, residuals = jax.eval_shape(net.forward, params, x)
    grads, _ = jax.eval_shape(net.backward, params, residuals, y)
    delta = jax.eval_shape(bp.deltas, params, residuals, y)
    K = len(n) - 1
    assert len(params) == len(residuals) == len(grads) == len(delta) == K
    for k in range(1, K + 1):
        assert params[k - 1]["W"].shape == grads[k - 1]["W"].shape == (n[k], n[k - 1])
        assert residuals[k - 1].x.shape == (*batch, n[k - 1])
        assert delta[k - 1].shape == (*batch, n[k])
    assert y.shape == (*batch, n[K])


@pytest.mark.spec("S2.1", "S2.2")
@given(net=networks())
def test_y_k_is_what_the_first_k_layers_put_out_and_y_0_is_x(net):
    n = [net.x.shape[-1], *(len(layer["b"]) for layer in net.params)]
    _, residuals = measure(net.rule.forward, net.params, net.x).value
    assert np.array_equal(residuals[0].x, net.x)
    for k in range(1, net.depth):
        first_k = bp.mlp(n[: k + 1], net.rule.parts[1], net.rule.parts[2 * k - 1])
        y_k, _ = measure(first_k.forward, net.params[:k], net.x).value
        assert np.array_equal(residuals[k].x, y_k)


@pytest.mark.spec("S2.1")
@given(net=networks(sizes=SIZES[1:], batches=[()]), i=st.integers(0, 4), seed=seeds)
def test_subscript_i_is_a_component_and_hears_row_i_alone(net, i, seed):
    n_1 = len(net.params[0]["b"])
    i = i % n_1
    one_layer = bp.mlp((len(net.x), n_1), rules.identity, net.rule.parts[1])
    others = np.random.default_rng(seed).normal(size=net.params[0]["W"].shape)
    others[i] = net.params[0]["W"][i]
    y, _ = measure(one_layer.forward, net.params[:1], net.x).value
    y_other, _ = measure(one_layer.forward, ({**net.params[0], "W": others},), net.x).value
    assert y[i] == y_other[i]
    if n_1 > 1 and net.rule.parts[1] is rules.identity:
        assert not np.array_equal(y, y_other)


@pytest.mark.spec("S2.2")
@given(net=networks(), alpha=st.floats(-2, 2), seed=seeds)
def test_w_k_is_a_linear_operator_whose_columns_are_the_images_of_the_basis(net, alpha, seed):
    W = net.params[0]["W"]
    n_1, n_0 = W.shape
    u, v = np.random.default_rng(seed).normal(size=(2, n_0))

    def apply(W, y):
        return rules.affine(n_1).forward({"W": W, "b": jnp.zeros(n_1)}, y)[0]

    assert_agrees(lambda W: apply(W, alpha * u + v), lambda W: alpha * apply(W, u) + apply(W, v), W)
    for j in range(n_0):
        assert np.array_equal(measure(apply, W, np.eye(n_0)[j]).value, W[:, j])


@pytest.mark.spec("S2.3", "E2")
@pytest.mark.parametrize("f", rules.ACTIVATIONS, ids=lambda f: f.name)
@settings(max_examples=8)  # for each of the activations
@given(n=st.sampled_from([1, 2, 5]), seed=seeds)
def test_f_on_a_vector_is_f_on_each_component(f, n, seed):
    z, delta = np.random.default_rng(seed).normal(size=(2, n))
    # E2: the scalar f: ℝ → ℝ and the vector f: ℝⁿ → ℝⁿ are the same letter
    assert_agrees(
        lambda z: f.forward((), z)[0],
        lambda z: jnp.concatenate([f.forward((), z[i : i + 1])[0] for i in range(n)]),
        z,
    )
    jacobian = measure(jax.jacobian(lambda z: f.forward((), z)[0]), z).value
    assert np.array_equal(jacobian, np.diag(np.diag(jacobian)))
    assert_agrees(
        lambda z, delta: f.backward((), f.forward((), z)[1], delta)[1],
        lambda z, delta: jnp.diag(jax.jacobian(lambda z: f.forward((), z)[0])(z)) * delta,
        z,
        delta,
    )


@pytest.mark.spec("S2.3")
@given(n=st.sampled_from([2, 5]), seed=seeds)
def test_softmax_is_no_f_of_this_kind(n, seed):
    z = np.random.default_rng(seed).normal(size=n)
    whole = lambda z: rules.softmax.forward((), z)[0]
    each = lambda z: jnp.concatenate([whole(z[i : i + 1]) for i in range(n)])
    assert distance(whole, each, z) > AGREES_WITHIN
