"""X.4: the inputs of the property tests reach the edges, and the edges hold."""

from itertools import pairwise

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
from backproof.numerics.tolerance import AGREES_WITHIN
from mutants import MUTANTS
from networks import BATCHES, REFERENCE, SIGMAS, SIZES, autodiff, draw_network, hand, networks, seeds

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 30.0, -30.0, 800.0]


def at_edges(net, seed):
    """Return `net` with parameters and input from the edges, its cotangent as drawn."""
    rng = np.random.default_rng(seed)

    def pick(leaf):
        return rng.choice(EDGES, size=np.shape(leaf))

    return net._replace(params=jax.tree.map(pick, net.params), x=pick(net.x))


@pytest.mark.spec("X.4")
def test_the_menu_has_size_one_batch_one_depth_one_to_five_and_no_square_matrix():
    assert {len(sizes) - 1 for sizes in SIZES} == {1, 2, 3, 4, 5}
    assert {(), (1,)} < set(BATCHES)
    assert any(1 in sizes for sizes in SIZES)
    assert all(n != m or n == 1 for sizes in SIZES for n, m in pairwise(sizes))


@pytest.mark.spec("X.4")
@given(networks())
def test_no_cotangent_is_of_ones(net):
    assert np.all(net.delta != 1)
    assert len(np.unique(net.delta)) == net.delta.size


@pytest.mark.spec("X.4")
def test_a_cotangent_of_ones_would_hide_a_dropped_one():
    mutant = next(m for m in MUTANTS if m.name == "dropped cotangent")
    net = draw_network((3, 2), (3,), rules.sigmoid, rules.sigmoid, seed=0)
    mutant = mutant._replace(sizes=(3, 2))
    assert_agrees(hand(mutant.rule), hand(net.rule), net.params, net.x, np.ones_like(net.delta))
    assert distance(hand(mutant.rule), hand(net.rule), net.params, net.x, net.delta) > AGREES_WITHIN


@pytest.mark.spec("X.4")
@given(networks(lasts=SIGMAS), seeds)
def test_ties_signed_zeros_and_saturation_agree_with_autodiff(net, seed):
    net = at_edges(net, seed)
    assert_agrees(hand(net.rule), autodiff(net.sigma), net.params, net.x, net.delta)


@pytest.mark.spec("X.4")
def test_the_edges_do_reach_ties_and_saturation():
    nets = [at_edges(draw_network((1, 1), (), rules.relu, rules.identity, s), s) for s in range(100)]
    z = np.array([net.params[0]["W"][0] @ net.x + net.params[0]["b"][0] for net in nets])
    assert np.any(z == 0)
    assert np.any(REFERENCE["sigmoid"](jnp.asarray(z)) == 1)


@pytest.mark.spec("X.4")
@given(st.sampled_from(SIGMAS), st.lists(st.sampled_from(EDGES), min_size=1, max_size=6), seeds)
def test_activations_agree_with_autodiff_at_zeros_of_both_signs(activation, zs, seed):
    """No z of a layer is −0.0, for a sum starts from +0.0: an activation is given one directly."""

    def by_hand(z, delta_a):
        return activation.backward((), activation.forward((), z)[1], delta_a)[1]

    def definition(z, delta_a):
        return jax.vjp(REFERENCE[activation.name], z)[1](delta_a)[0]

    assert_agrees(by_hand, definition, np.array(zs), np.random.default_rng(seed).normal(size=len(zs)))


@pytest.mark.spec("X.4")
@given(st.sampled_from([1.0, 30.0, 1000.0]), st.sampled_from(["one-hot", "weights"]), seeds)
def test_saturated_logits_and_targets_that_do_not_sum_to_one(scale, kind, seed):
    net = draw_network((3, 4), (3,), rules.tanh, rules.identity, seed, scale)
    rng = np.random.default_rng(seed)
    t = np.eye(4)[rng.integers(4, size=3)] if kind == "one-hot" else rng.uniform(0, 2, size=(3, 4))

    def definition(params, x, t):
        def J(params):
            z = jax.vmap(lambda x: params[0]["W"] @ x + params[0]["b"])(x)
            return -jnp.sum(t * jax.nn.log_softmax(z))

        return jax.value_and_grad(J)(params)

    assert_agrees(
        bp.value_and_grad(net.rule, losses.softmax_cross_entropy_dense), definition, net.params, net.x, t
    )
