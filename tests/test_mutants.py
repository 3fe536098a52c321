"""Every mutant is killed on its smallest network by the law named for it, which the shipped code obeys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import backproof as bp
from agreement import assert_agrees
from backproof.numerics.comparison import distance
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.rule import descend
from backproof.verification.diagnosis.balances import parameter_balance
from mutants import MUTANTS, Terms, deltas_of, sweep
from spec.networks import DEEP, SIGMAS, draw_network, from_z, hand, layers, networks, output
from sweep_laws import layer_balances, pre_activations

pytestmark = pytest.mark.smoke


def swept(rule, deltas):
    """Return (params, x, ∂J/∂a^L) -> (residuals, z, δ, gradients of the parameters)."""

    def run(params, x, delta_a):
        residuals = rule.forward(params, x)[1]
        grads, _ = rule.backward(params, residuals, delta_a)
        return residuals, pre_activations(params, residuals), deltas(params, residuals, delta_a), grads

    return run


def output_error(net, rule, deltas):
    """S0.3: δ^L is the gradient of J in z^L."""

    def definition(params, x, delta_a):
        z = layers(net.sigma, params, x)[0][-1]
        return jax.grad(lambda z: jnp.vdot(delta_a, net.sigma[-1](z)))(z)

    return lambda *args: swept(rule, deltas)(*args)[2][-1], definition


def hidden_error(net, rule, deltas):
    """S0.12: δ^1 is the gradient of J in z^1."""

    def definition(params, x, delta_a):
        z = layers(net.sigma, params, x)[0][0]
        return jax.grad(lambda z: jnp.vdot(delta_a, from_z(net.sigma, params, 1, z)))(z)

    return lambda *args: swept(rule, deltas)(*args)[2][0], definition


def balance_of_parameters(net, rule, deltas):
    """S0.14: ⟨W, dW⟩ + ⟨b, db⟩ = ⟨z, δ⟩ at every layer."""

    def sides(params, *args):
        _, z, delta, grads = swept(rule, deltas)(params, *args)
        return [parameter_balance(*layer) for layer in zip(params, grads, z, delta, strict=True)]

    return lambda *args: [s[0] for s in sides(*args)], lambda *args: [s[1] for s in sides(*args)]


def balance_of_layers(net, rule, deltas):
    """S1.12: ⟨z, δ⟩ = ⟨z⁺ − b⁺, δ⁺⟩ across every relu."""

    def sides(params, *args):
        residuals, _, delta, _ = swept(rule, deltas)(params, *args)
        return layer_balances(params, residuals, delta)

    return lambda *args: [s[0] for s in sides(*args)], lambda *args: [s[1] for s in sides(*args)]


def linear_in_the_cotangent(net, rule, deltas):
    """S1.2: three times the cotangent gives three times the gradients."""

    def of_three_times(params, x, delta_a):
        return hand(rule)(params, x, 3 * delta_a)

    return of_three_times, lambda *args: jax.tree.map(lambda g: 3 * g, hand(rule)(*args))


def strict_gate(net, rule, deltas):
    """S1.7: the gradient is that of jax.nn.relu, zero at z = 0 included."""

    def definition(params, x, delta_a):
        return jax.grad(lambda p: jnp.sum(delta_a * output(net.sigma, p, x)))(params)

    return lambda *args: hand(rule)(*args)[0], definition


def two_phase_update(net, rule, deltas):
    """S4.3: updating inside the sweep equals updating after it."""

    def sgd(p, g):
        return p - 0.5 * g

    def in_sweep(params, x, delta_a):
        return descend(rule, params, rule.forward(params, x)[1], delta_a, sgd)[0]

    return in_sweep, lambda params, *args: jax.tree.map(sgd, params, hand(rule)(params, *args)[0])


LAWS = {
    "S0.3": output_error,
    "S0.12": hidden_error,
    "S0.14": balance_of_parameters,
    "S1.2": linear_in_the_cotangent,
    "S1.7": strict_gate,
    "S1.12": balance_of_layers,
    "S4.3": two_phase_update,
}


def point(mutant):
    """Return a network at which the mutant shows: positive, so that every relu lets through."""
    net = draw_network(mutant.sizes, mutant.batch, mutant.activation, mutant.last, seed=0)
    if mutant.law == "S1.7":  # W = 1, b = 0, x = 0, y = 1
        params = ({"W": np.ones((1, 1)), "b": np.zeros(1)},)
        return net._replace(params=params, x=np.zeros(1), delta=-np.ones(1))
    return net._replace(params=jax.tree.map(abs, net.params), x=abs(net.x))


def apart(mutant, net, rule, deltas):
    return distance(*LAWS[mutant.law](net, rule, deltas), net.params, net.x, net.delta)


@pytest.mark.spec("X.3")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_law_kills_the_mutant_on_its_smallest_network(mutant):
    assert apart(mutant, point(mutant), mutant.rule, deltas_of(mutant.terms)) > AGREES_WITHIN


@pytest.mark.spec("X.3")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_shipped_network_obeys_that_law_there(mutant):
    assert apart(mutant, point(mutant), mutant.original, bp.deltas) <= AGREES_WITHIN


@pytest.mark.spec("X.3")
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if len(m.sizes) > 2], ids=lambda m: m.name)
def test_one_layer_fewer_hides_what_is_wrong_between_layers(mutant):
    smaller = mutant._replace(sizes=mutant.sizes[1:])
    assert apart(smaller, point(smaller), smaller.rule, deltas_of(smaller.terms)) <= AGREES_WITHIN


@pytest.mark.spec("X.3")
def test_a_symmetric_W_hides_the_missing_transpose():
    mutant = next(m for m in MUTANTS if m.name == "missing transpose")
    net = point(mutant)
    symmetric = {**net.params[1], "W": net.params[1]["W"] + net.params[1]["W"].T}
    net = net._replace(params=(net.params[0], symmetric))
    assert apart(mutant, net, mutant.rule, deltas_of(mutant.terms)) <= AGREES_WITHIN


@pytest.mark.spec("X.3")
def test_one_sample_hides_the_mean_of_b_and_one_unit_the_shared_bias():
    for name, hiding in (("mean of b only", {"batch": (1,)}), ("shared bias", {"sizes": (1, 1)})):
        mutant = next(m for m in MUTANTS if m.name == name)._replace(**hiding)
        net = point(mutant)
        assert_agrees(hand(mutant.rule), hand(mutant.original), net.params, net.x, net.delta)


@pytest.mark.spec("X.3")
@given(networks(sizes=DEEP, lasts=SIGMAS))
def test_a_sweep_with_every_term_right_is_the_shipped_one(net):
    right = net.rule._replace(backward=sweep(Terms()))
    assert_agrees(hand(right), hand(net.rule), net.params, net.x, net.delta)


@pytest.mark.spec("X.3")
def test_every_mutant_the_specification_names_is_here():
    assert [m.name for m in MUTANTS] == [
        "sign",
        "factor 2",
        "missing outer slope",
        "z for a",
        "W updated first",
        "missing hidden slope",
        "slope at a",
        "slope of the wrong layer",
        "missing transpose",
        "mean of b only",
        "gate at zero",
        "dropped cotangent",
        "shared bias",
    ]
