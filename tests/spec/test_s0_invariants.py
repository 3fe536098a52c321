"""S0.14: what holds of every gradient of the network, seen without an oracle."""

import jax
import numpy as np
import pytest
from hypothesis import given

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.verification.diagnosis.balances import parameter_balance
from networks import SIGMAS, hand, networks
from sweep_laws import pre_activations, rank_bound

any_net = networks(lasts=SIGMAS)


def balances(net, grads_as=lambda grads: grads):
    """Return the left and the right sides of all layers, as functions of (params, x, ∂J/∂a^L)."""

    def both(params, x, delta_a):
        residuals = net.rule.forward(params, x)[1]
        z, delta = pre_activations(params, residuals), bp.deltas(params, residuals, delta_a)
        grads = map(grads_as, net.rule.backward(params, residuals, delta_a)[0])
        return [parameter_balance(*layer) for layer in zip(params, grads, z, delta, strict=True)]

    return sides(both)


def sides(both):
    return lambda *args: [s[0] for s in both(*args)], lambda *args: [s[1] for s in both(*args)]


def minors(net, samples):
    return sides(lambda *args: [rank_bound(grads["W"], samples) for grads in hand(net.rule)(*args)[0]])


@pytest.mark.spec("S0.14")
@given(any_net)
def test_each_layer_balances_its_parameters_against_z(net):
    left, right = balances(net)  # ⟨W_l, dW_l⟩ + ⟨b_l, db_l⟩ = ⟨z_l, δ_l⟩
    assert_agrees(left, right, net.params, net.x, net.delta)


@pytest.mark.spec("S0.14")
@given(networks(activations=[rules.sigmoid, rules.tanh]))
def test_the_balance_does_not_hold_without_the_bias(net):
    left, right = balances(net, lambda grads: {**grads, "b": 0 * grads["b"]})
    assert distance(left, right, net.params, net.x, net.delta) > AGREES_WITHIN


@pytest.mark.spec("S0.14")
@given(networks(batches=[(), (2,)], lasts=SIGMAS))
def test_the_rank_of_dW_is_at_most_the_number_of_samples(net):
    left, right = minors(net, samples=int(np.prod(net.x.shape[:-1])))
    assert_agrees(left, right, net.params, net.x, net.delta)


@pytest.mark.spec("S0.14")
@given(networks(sizes=[(3, 2), (4, 3)], batches=[(2,)]))
def test_two_samples_give_more_than_rank_one(net):
    left, right = minors(net, samples=1)
    assert distance(left, right, net.params, net.x, net.delta) > AGREES_WITHIN


@pytest.mark.spec("S0.14")
@given(any_net)
def test_every_gradient_is_zero_where_the_output_is_the_target(net):
    def gradient(params, x):
        y = net.rule.forward(params, x)[0]
        return bp.value_and_grad(net.rule, losses.half_squared_error)(params, x, y)

    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(measure(gradient, net.params, net.x).value))
