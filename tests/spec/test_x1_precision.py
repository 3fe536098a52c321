"""X.1: by hand equals autodiff in float64, and in float32 both stay within float32's own rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import assert_agrees, assert_value
from backproof import rules
from backproof.numerics.comparison import units
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import SIGMAS, SIZES, autodiff, draw_network, hand, networks, seeds


def narrow(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), tree)


def wide(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def worst_units(got, truth, noise):
    """Return the largest distance of `got` from `truth`, leaf by leaf, in units of `noise`."""
    leaves = zip(*map(jax.tree.leaves, (got, truth, noise)), strict=True)
    return max(float(np.max(units(np.asarray(g, np.float64), t, n))) for g, t, n in leaves)


@pytest.mark.spec("X.1")
@given(networks(lasts=SIGMAS))
def test_by_hand_equals_autodiff_in_float64(net):
    assert_agrees(hand(net.rule), autodiff(net.sigma), net.params, net.x, net.delta)


@pytest.mark.spec("X.1")
@given(networks(lasts=SIGMAS))
def test_float32_by_hand_is_within_float32_rounding_of_the_float64_truth(net):
    args = narrow((net.params, net.x, net.delta))
    value, noise = measure(hand(net.rule), *args)
    truth = measure(autodiff(net.sigma), *wide(args)).value
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(value))
    assert worst_units(value, truth, noise) <= AGREES_WITHIN


@pytest.mark.spec("X.1")
@settings(max_examples=6)  # a compilation each
@given(st.sampled_from(SIZES[2:]), st.sampled_from(SIGMAS), seeds)
def test_so_is_what_the_cpu_compiles_at_full_matmul_precision(sizes, activation, seed):
    net = draw_network(sizes, (3,), activation, rules.sigmoid, seed)
    args = narrow((net.params, net.x, net.delta))
    cpu = jax.local_devices(backend="cpu")[0]
    with jax.default_device(cpu), jax.default_matmul_precision("highest"):
        compiled = jax.jit(hand(net.rule))(*args)
    truth = measure(autodiff(net.sigma), *wide(args)).value
    assert worst_units(compiled, truth, measure(hand(net.rule), *args).noise) <= AGREES_WITHIN


@pytest.mark.spec("X.1")
@given(networks(activations=[rules.tanh], lasts=[rules.sigmoid]), st.sampled_from([1e-3, -1e-3]))
def test_an_error_of_a_thousandth_in_float32_is_seen(net, share):
    """One that `jax.test_util.check_grads` lets through: it admits 2e-3."""
    args = narrow((net.params, net.x, net.delta))
    value, noise = measure(hand(net.rule), *args)
    truth = measure(autodiff(net.sigma), *wide(args)).value
    off = jax.tree.map(lambda leaf: leaf * np.float32(1 + share), value)
    assert worst_units(off, truth, noise) > AGREES_WITHIN


@pytest.mark.spec("X.1", "S0.3")
def test_autodiff_in_float32_is_no_truth_where_the_sigmoid_saturates():
    def by_hand(z):
        return rules.sigmoid.backward((), rules.sigmoid.forward((), z)[1], jnp.ones_like(z))[1]

    saturated = jnp.float32(20)
    assert by_hand(saturated) == jax.grad(jax.nn.sigmoid)(saturated) == 0  # 1 − a cancels
    exact = np.exp(-20.0) / (1 + np.exp(-20.0)) ** 2
    assert exact > 0
    assert_value(by_hand, (np.float64(20),), exact)
    assert_value(jax.grad(jax.nn.sigmoid), (np.float64(20),), exact)
