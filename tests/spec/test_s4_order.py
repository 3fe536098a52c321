"""S4.3 and S4.5: where the order of updates matters, and where it does not."""

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import float64
from backproof.rule import descend
from networks import SIGMAS, draw_network, hand, networks, output

ETA = 0.5
half_squared_error = losses.half_squared_error


def sgd(p, g):
    return p - ETA * g


def in_sweep(rule):
    """Return (params, x, y) -> updated params, each level updated during the sweep."""

    def step(params, x, y):
        a, residuals = rule.forward(params, x)
        delta = half_squared_error.backward(half_squared_error.forward(a, y)[1])
        return descend(rule, params, residuals, delta, sgd)[0]

    return step


def two_phase(rule):
    """Return (params, x, y) -> updated params, all gradients before the first update."""

    def step(params, x, y):
        grads = bp.value_and_grad(rule, half_squared_error)(params, x, y)[1]
        return jax.tree.map(sgd, params, grads)

    return step


def updated_first(rule):
    """Return (params, x, y) -> updated params, W^n taken after its update to give ∂L/∂x^n."""

    def step(params, x, y):
        a, residuals = rule.forward(params, x)
        delta = half_squared_error.backward(half_squared_error.forward(a, y)[1])
        updated = []
        for layer, kept in zip(params[::-1], residuals[::-1], strict=True):
            layer = jax.tree.map(sgd, layer, bp.layer_step(layer, kept, delta)[0])
            delta = bp.layer_step(layer, kept, delta)[1]
            updated.append(layer)
        return tuple(updated[::-1])

    return step


@pytest.mark.spec("S4.3")
@given(networks(lasts=SIGMAS))
def test_updating_inside_the_sweep_equals_updating_after_it(net):
    assert_agrees(in_sweep(net.rule), two_phase(net.rule), net.params, net.x, net.y)


@pytest.mark.spec("S4.3")
@given(networks(sizes=[(2, 2, 2)], lasts=[rules.identity]))
def test_so_it_does_for_chain_and_repeat(net):
    chained = bp.chain(rules.affine(2), rules.tanh, rules.affine(2))
    params = (net.params[0], (), net.params[1])
    assert_agrees(in_sweep(chained), two_phase(chained), params, net.x, net.y)
    repeated = bp.repeat(bp.chain(rules.affine(2), rules.sin), 2)
    stacked = (jax.tree.map(lambda p, q: np.stack([p, q]), *net.params), ())
    assert_agrees(in_sweep(repeated), two_phase(repeated), stacked, net.x, net.y)


@pytest.mark.spec("S4.3")
def test_updating_first_halves_the_gradient_of_the_smallest_network():
    with float64():
        one = jnp.ones((1, 1))
        params = ({"W": one, "b": jnp.zeros(1)},) * 2  # w1 = w2 = x = 1, y = 0, η = ½
        x, y = jnp.ones(1), jnp.zeros(1)
        rule = bp.mlp((1, 1, 1), rules.identity)

        def dL_dw1(step):
            return ((params[0]["W"] - step(rule)(params, x, y)[0]["W"]) / ETA).item()

        assert (dL_dw1(in_sweep), dL_dw1(two_phase)) == (1, 1)
        assert dL_dw1(updated_first) == 0.5


@pytest.mark.spec("S4.3")
@given(networks(sizes=[(2, 1, 3), (4, 3, 2)], activations=[rules.tanh, rules.sigmoid]))
def test_updating_first_differs_on_every_hidden_layer(net):
    args = (net.params, net.x, net.y)
    first, late = updated_first(net.rule), two_phase(net.rule)
    assert distance(lambda *a: first(*a)[0], lambda *a: late(*a)[0], *args) > AGREES_WITHIN
    assert_agrees(lambda *a: first(*a)[-1], lambda *a: late(*a)[-1], *args)  # nothing above it


@pytest.mark.spec("S4.5")
@given(networks(batches=[(3, 2)], lasts=SIGMAS))  # three batches of two samples
def test_the_loop_over_batches_is_a_scan_of_plain_sgd(net):
    def loop(params, x, y):
        for batch in range(3):
            params = in_sweep(net.rule)(params, x[batch], y[batch])
        return params

    def scanned(params, x, y):
        optimizer = optax.sgd(ETA)

        def step(carry, batch):
            params, state = carry
            grads = jax.grad(lambda p: jnp.sum((output(net.sigma, p, batch[0]) - batch[1]) ** 2) / 2)(params)
            with jax.numpy_dtype_promotion("standard"):
                updates, state = optimizer.update(grads, state, params)
                return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), (x, y))[0][0]

    assert_agrees(loop, scanned, net.params, net.x, net.y)


@pytest.mark.spec("S4.5")
@given(networks(sizes=[(3, 2), (2, 5, 1, 3)], batches=[(2, 3)], activations=[rules.tanh]))
def test_the_order_of_batches_matters(net):
    def epoch(order):
        def run(params, x, y):
            for batch in order:
                params = in_sweep(net.rule)(params, x[batch], y[batch])
            return params

        return run

    assert distance(epoch([0, 1]), epoch([1, 0]), net.params, net.x, net.y) > AGREES_WITHIN


@pytest.mark.spec("S4.5")
def test_the_order_of_levels_in_a_two_phase_step_does_not():
    net = draw_network((2, 5, 1, 3), (2,), rules.tanh, rules.sigmoid, seed=0)

    def updated_in(order):
        def step(params, x, delta):
            grads, new = hand(net.rule)(params, x, delta)[0], list(params)
            for n in order:
                new[n] = jax.tree.map(sgd, params[n], grads[n])
            return new

        return jax.tree.leaves(measure(step, net.params, net.x, net.delta).value)

    downward = updated_in((2, 1, 0))
    for order in permutations(range(3)):
        assert all(map(np.array_equal, updated_in(order), downward))
