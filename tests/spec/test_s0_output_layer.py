"""Document 000, the last layer: the loss, its error at z^L and the gradients of W^L and b^L."""

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
from backproof.rule import no_params
from networks import BATCHES, SIGMAS, draw_network, hand_deltas, layers, networks, output, seeds

half_squared_error = losses.half_squared_error
single = networks(batches=[()], lasts=SIGMAS)


def J(a, y):
    return jnp.sum((a - y) ** 2) / 2


def cubic_forward(params, z):
    return z**3, z


def cubic_backward(params, z, delta_a):
    return (), delta_a * 3 * z * z


cubic = bp.Rule("cubic", no_params, cubic_forward, cubic_backward)


def hand_gradient(net):
    """Return (params, x, y) -> ∂J/∂params, by the shipped network and loss."""
    value_and_grad = bp.value_and_grad(net.rule, half_squared_error)
    return lambda params, x, y: value_and_grad(params, x, y)[1]


@pytest.mark.spec("S0.1")
@given(st.sampled_from([(1,), (4,), (1, 3), (5, 2)]), seeds)
def test_the_loss_is_half_the_squared_distance_and_its_gradient_a_minus_y(shape, seed):
    a, y = np.random.default_rng(seed).normal(size=(2, *shape))
    assert_agrees(lambda a, y: half_squared_error.forward(a, y)[0], J, a, y)

    def hand(a, y):
        return half_squared_error.backward(half_squared_error.forward(a, y)[1])

    assert_agrees(hand, jax.grad(J), a, y)
    assert_agrees(hand, lambda a, y: a - y, a, y)


@pytest.mark.spec("S0.1")
@given(networks())
def test_without_the_half_every_gradient_doubles(net):
    def without_half(params, x, y):
        return jax.grad(lambda p: jnp.sum((output(net.sigma, p, x) - y) ** 2))(params)

    def doubled(params, x, y):
        return jax.tree.map(lambda g: 2 * g, hand_gradient(net)(params, x, y))

    assert_agrees(doubled, without_half, net.params, net.x, net.y)
    assert distance(hand_gradient(net), without_half, net.params, net.x, net.y) > AGREES_WITHIN


@pytest.mark.spec("S0.2")
@given(networks(lasts=SIGMAS))
def test_the_output_is_sigma_of_the_last_affine_map_for_every_sigma(net):
    assert_agrees(
        lambda params, x: net.rule.forward(params, x)[0],
        lambda params, x: output(net.sigma, params, x),
        net.params,
        net.x,
    )


@pytest.mark.spec("S0.2")
@given(st.sampled_from(BATCHES), seeds)
def test_sigma_may_be_a_users_own_rule(batch, seed):
    net = draw_network((2, 3, 1), batch, rules.tanh, rules.tanh, seed)
    rule, sigma = bp.mlp((2, 3, 1), cubic, cubic), (lambda z: z**3,) * 2
    value_and_grad = bp.value_and_grad(rule, half_squared_error)

    def reference(params, x, y):
        return jax.value_and_grad(lambda p: J(output(sigma, p, x), y))(params)

    assert_agrees(value_and_grad, reference, net.params, net.x, net.y)


@pytest.mark.spec("S0.3")
@given(single)
def test_the_output_error_is_a_minus_y_times_the_slope_at_z(net):
    sigma = net.sigma[-1]

    def hand(params, x, y):
        a = net.rule.forward(params, x)[0]
        delta_a = half_squared_error.backward(half_squared_error.forward(a, y)[1])
        return hand_deltas(net.rule)(params, x, delta_a)[-1]

    def formula(params, x, y):  # δ^L = (a^L − y) ⊙ σ′(z^L)
        z = layers(net.sigma, params, x)[0][-1]
        return (sigma(z) - y) * jax.vmap(jax.grad(sigma))(z)

    def definition(params, x, y):  # ∂J/∂z^L
        return jax.grad(lambda z: J(sigma(z), y))(layers(net.sigma, params, x)[0][-1])

    assert_agrees(hand, definition, net.params, net.x, net.y)
    assert_agrees(hand, formula, net.params, net.x, net.y)


@pytest.mark.spec("S0.4")
@given(single)
def test_the_gradient_of_the_last_W_is_the_error_times_the_input_transposed(net):
    def hand(params, x, y):
        return hand_gradient(net)(params, x, y)[-1]["W"]

    def formula(params, x, y):  # ((a^L − y) ⊙ σ′(z^L)) (a^{L−1})ᵀ
        z, a = layers(net.sigma, params, x)
        delta = (a[-1] - y) * jax.vmap(jax.grad(net.sigma[-1]))(z[-1])
        return delta[:, None] @ a[-2][None, :]

    def definition(params, x, y):
        def of(W):
            last = {"W": W, "b": params[-1]["b"]}
            return J(output(net.sigma, (*params[:-1], last), x), y)

        return jax.grad(of)(params[-1]["W"])

    assert_agrees(hand, definition, net.params, net.x, net.y)
    assert_agrees(hand, formula, net.params, net.x, net.y)
    assert jax.eval_shape(hand, net.params, net.x, net.y).shape == net.params[-1]["W"].shape  # (n_L, n_{L−1})


@pytest.mark.spec("S0.5")
@given(single)
def test_the_gradient_of_the_last_b_is_the_output_error(net):
    def hand(params, x, y):
        return hand_gradient(net)(params, x, y)[-1]["b"]

    def definition(params, x, y):
        def of(b):
            last = {"W": params[-1]["W"], "b": b}
            return J(output(net.sigma, (*params[:-1], last), x), y)

        return jax.grad(of)(params[-1]["b"])

    def error(params, x, y):  # δ^L as ∂J/∂z^L
        return jax.grad(lambda z: J(net.sigma[-1](z), y))(layers(net.sigma, params, x)[0][-1])

    assert_agrees(hand, definition, net.params, net.x, net.y)
    assert_agrees(hand, error, net.params, net.x, net.y)
