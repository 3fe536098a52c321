"""S1.12: balances of a network of relus, which find the first wrong layer without an oracle."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import DEEP, draw_network, hand, networks, seeds
from sweep_laws import dead_units, gate_balance, layer_balances, pre_activations, unbalanced

deep_relu_net = networks(sizes=DEEP, activations=[rules.relu], lasts=[rules.identity])


def swept(net, params, x, delta_a):
    """Return (residuals, z, δ) of the shipped sweep."""
    residuals = net.rule.forward(params, x)[1]
    return residuals, pre_activations(params, residuals), bp.deltas(params, residuals, delta_a)


def balances(net, wrong=None):
    """Return (params, x, ∂J/∂a^L) -> both sides at each layer; `wrong` corrupts δ from that layer down."""

    def both(params, x, delta_a):
        residuals, _, delta = swept(net, params, x, delta_a)
        if wrong is not None:
            below = bp.deltas(params[: wrong + 1], residuals[: wrong + 1], 2 * delta[wrong])
            delta = (*below, *delta[wrong + 1 :])
        return layer_balances(params, residuals, delta)

    return both


@pytest.mark.spec("S1.12")
@given(deep_relu_net)
def test_a_gate_balances_bitwise(net):
    def sides(params, x, delta_a):
        residuals, z, delta = swept(net, params, x, delta_a)
        return [
            gate_balance(z[i], delta[i], residuals[i + 1].x, delta[i + 1] @ params[i + 1]["W"])
            for i in range(net.depth - 1)
        ]

    for left, right in measure(sides, net.params, net.x, net.delta).value:
        assert np.array_equal(left, right)  # ⟨z_ι, dz_ι⟩ = ⟨x_{ι+1}, da_{ι+1}⟩


@pytest.mark.spec("S1.12")
@given(deep_relu_net)
def test_neighbouring_layers_balance(net):
    args, both = (net.params, net.x, net.delta), balances(net)
    # ⟨z_ι, dz_ι⟩ = ⟨z_{ι+1} − b_{ι+1}, dz_{ι+1}⟩
    assert_agrees(lambda *a: [s[0] for s in both(*a)], lambda *a: [s[1] for s in both(*a)], *args)
    assert unbalanced(both, *args) == []


@pytest.mark.spec("S1.12")
@pytest.mark.parametrize("wrong", [0, 1, 2, 3])
def test_the_balance_names_the_step_that_went_wrong(wrong):
    net = _alive((2, 3, 1, 4, 2, 5))
    assert unbalanced(balances(net, wrong), net.params, net.x, net.delta) == [wrong]


def _alive(sizes):
    """Return a network whose relus all let through."""
    net = draw_network(sizes, (3,), rules.relu, rules.identity, seed=0)
    params = tuple({"W": abs(p["W"]), "b": abs(p["b"])} for p in net.params)
    return net._replace(params=params, x=abs(net.x))


@pytest.mark.spec("S1.12")
@given(networks(sizes=DEEP, activations=[rules.sigmoid], lasts=[rules.identity]))
def test_neighbouring_layers_do_not_balance_for_other_activations(net):
    both = balances(net)
    left, right = (lambda *a: [s[0] for s in both(*a)]), (lambda *a: [s[1] for s in both(*a)])
    assert distance(left, right, net.params, net.x, net.delta) > AGREES_WITHIN


@pytest.mark.spec("S1.12")
@given(deep_relu_net, st.integers(0, 4), seeds)
def test_a_dead_unit_gets_no_gradient_and_passes_none(net, unit, seed):
    layer = seed % (net.depth - 1)
    i = unit % len(net.params[layer]["b"])
    b = net.params[layer]["b"].copy()
    b[i] = -1e6  # its gate never opens
    params = (*net.params[:layer], {**net.params[layer], "b": b}, *net.params[layer + 1 :])

    def sides(params, x, delta_a):
        _, z, _ = swept(net, params, x, delta_a)
        grads, _ = hand(net.rule)(params, x, delta_a)
        return dead_units(z[layer], grads[layer], grads[layer + 1]), jnp.all(z[layer] <= 0), grads

    (held, zeros), _, grads = measure(sides, params, net.x, net.delta).value
    assert all(map(np.array_equal, held, zeros))
    assert not np.any(grads[layer]["W"][i])
    assert grads[layer]["b"][i] == 0
    assert not np.any(grads[layer + 1]["W"][:, i])


@pytest.mark.spec("S1.12")
def test_a_gradient_at_a_dead_unit_is_seen():
    z = jnp.array([[-1.0, 1.0], [-2.0, -1.0]])  # unit 0 is dead, unit 1 lives in the first sample
    ones = {"W": jnp.ones((2, 2)), "b": jnp.ones(2)}
    (dW, db, dW_above), _ = dead_units(z, ones, ones)
    assert dW.tolist() == [[1, 1], [0, 0]]
    assert db.tolist() == [1, 0]
    assert dW_above.tolist() == [[1, 0], [1, 0]]
