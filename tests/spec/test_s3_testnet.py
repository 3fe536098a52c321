"""S3.3 to S3.7: TestNet 3-4-2 of document 003, its shapes and its way forward to the loss.

Layers count from the first weights, the input being layer 0; the document's classes are 1 … K, our
labels 0 … K−1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import BATCHES, SIZES, draw_network, networks, seeds

TESTNET = bp.mlp((3, 4, 2), rules.relu)
relu_nets = networks(activations=[rules.relu], lasts=[rules.identity])
cross_entropy = losses.softmax_cross_entropy


def parameters(sizes):
    net, x = bp.mlp(sizes, rules.relu), jax.ShapeDtypeStruct((sizes[0],), "float32")
    return jax.eval_shape(lambda key: net.init(key, x)[0], jax.random.key(0))


@pytest.mark.spec("S3.3", "E3")
def test_testnet_has_the_stated_shapes_and_26_parameters():
    hidden, last = parameters((3, 4, 2))
    assert (hidden["W"].shape, hidden["b"].shape) == ((4, 3), (4,))
    assert (last["W"].shape, last["b"].shape) == ((2, 4), (2,))  # E3: b^(2) and z^(2) have 2 entries, not 4
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters((3, 4, 2)))) == 26


@pytest.mark.spec("S3.3")
@given(n=st.sampled_from(SIZES), batch=st.sampled_from(BATCHES))
def test_layer_l_has_n_l_rows_and_a_column_for_each_unit_below(n, batch):
    params = parameters(n)
    x = jax.ShapeDtypeStruct((*batch, n[0]), "float32")
    y, residuals = jax.eval_shape(bp.mlp(n, rules.relu).forward, params, x)
    assert len(params) == len(n) - 1  # L leaves the input out
    for layer, kept, n_l, n_below in zip(params, residuals, n[1:], n[:-1], strict=True):
        assert (layer["W"].shape, layer["b"].shape) == ((n_l, n_below), (n_l,))
        assert kept.x.shape == (*batch, n_below)  # a^(l−1)
    assert y.shape == (*batch, n[-1])
    entries = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert entries == sum(n_l * (n_below + 1) for n_l, n_below in zip(n[1:], n[:-1], strict=True))


@pytest.mark.spec("S3.3")
@given(n=st.sampled_from([(1, 1), (3, 4), (4, 2)]), seed=seeds)
def test_w_i_j_leads_from_unit_j_below_to_unit_i(n, seed):
    (n_below, n_l), rng = n, np.random.default_rng(seed)
    i, j, w, a = rng.integers(n_l), rng.integers(n_below), rng.normal(), rng.normal(size=n_below)
    W = np.zeros((n_l, n_below))
    W[i, j] = w
    z = measure(lambda a: rules.affine(n_l).forward({"W": W, "b": jnp.zeros(n_l)}, a)[0], a).value
    assert np.array_equal(z, np.where(np.arange(n_l) == i, w * a[j], 0))


@pytest.mark.spec("S3.4")
@given(net=networks(batches=[()], activations=[rules.relu], lasts=[rules.identity]))
def test_z_i_is_its_bias_plus_the_weighted_components_below(net):
    def components(params, a):
        for l, layer in enumerate(params, start=1):  # noqa: E741 - the document's letter
            W, b = layer["W"], layer["b"]
            z = [b[i] + sum(W[i, j] * a[j] for j in range(W.shape[1])) for i in range(len(b))]
            a = [jnp.where(z_i > 0, z_i, 0) if l < net.depth else z_i for z_i in z]
        return jnp.stack(a)

    assert_agrees(lambda p, x: net.rule.forward(p, x)[0], components, net.params, net.x)


@pytest.mark.spec("S3.5")
@given(net=relu_nets)
def test_the_input_layer_computes_nothing_and_the_output_layer_has_no_activation(net):
    z, residuals = measure(net.rule.forward, net.params, net.x).value
    top = lambda a: rules.affine(z.shape[-1]).forward(net.params[-1], a)[0]
    assert np.array_equal(residuals[0].x, net.x)
    assert np.array_equal(z, measure(top, residuals[-1].x).value)
    if np.any(z < 0):  # which an activation would show
        assert distance(top, lambda a: jax.nn.relu(top(a)), residuals[-1].x) > AGREES_WITHIN


def literal(z):
    """Return h(z) = exp z_k / Σ exp z, as the document writes it."""
    return jnp.stack([jnp.exp(z[k]) / jnp.exp(z).sum() for k in range(len(z))])


@pytest.mark.spec("S3.6", "S3.7")
@given(K=st.sampled_from([1, 2, 5]), y=st.integers(0, 4), seed=seeds)
def test_the_loss_is_minus_the_logarithm_of_the_probability_of_the_class(K, y, seed):
    z, y = np.random.default_rng(seed).normal(size=K), y % K

    def J(z):  # −Σ_k 1(y = k) ln p(y = k)
        return -sum(float(y == k) * jnp.log(literal(z)[k]) for k in range(K))

    assert_agrees(lambda z: rules.softmax.forward((), z)[0], literal, z)
    assert_agrees(lambda z: cross_entropy.forward(z, jnp.asarray(y))[0], J, z)
    assert_agrees(lambda z: cross_entropy.forward(z, np.eye(K)[y])[0], J, z)


@pytest.mark.spec("S3.6", "S3.7")
@given(seed=seeds)
def test_a_batch_adds_the_losses_of_testnet_and_mean_divides_them(seed):
    net = draw_network((3, 4, 2), (3,), rules.relu, rules.identity, seed)
    y = np.random.default_rng(seed).integers(0, 2, 3)

    def one_by_one(params, x):
        J = [-jnp.log(literal(TESTNET.forward(params, x[m])[0]))[y[m]] for m in range(3)]
        return sum(J), sum(J) / 3

    def shipped(params, x):
        z, _ = TESTNET.forward(params, x)
        return cross_entropy.forward(z, y)[0], losses.mean(cross_entropy).forward(z, y)[0]

    assert_agrees(shipped, one_by_one, net.params, net.x)
