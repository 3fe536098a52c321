"""Document 000, the recursion on δ^l = ∂J/∂z^l, one sample at a time and in the document's letters."""

import dataclasses
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import backproof as bp
from agreement import assert_agrees
from backproof import rules
from backproof.numerics.comparison import distance
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.rules._affine import affine_forward
from networks import DEEP, SIGMAS, autodiff, draw_network, from_z, hand, hand_deltas, layers, networks

pytestmark = pytest.mark.smoke

net_of_any_depth = networks(batches=[()], lasts=SIGMAS)
net_with_hidden_layers = networks(sizes=DEEP, batches=[()], lasts=SIGMAS)


def slope(sigma, z):
    return jax.vmap(jax.grad(sigma))(z)


def true_deltas(net):
    """Return (params, x, ∂J/∂a^L) -> (δ^1, …, δ^L), each by autodiff of J = ⟨∂J/∂a^L, a^L⟩ in z^l."""

    def deltas(params, x, delta):
        z, _ = layers(net.sigma, params, x)
        return tuple(
            jax.grad(lambda z, k=k: jnp.vdot(delta, from_z(net.sigma, params, k, z)))(z[k - 1])
            for k in range(1, net.depth + 1)
        )

    return deltas


def step(params, residuals, k, delta_above):
    """Return δ^k from δ^{k+1}: the shipped recursion on these two layers, the upper without σ."""
    upper = dataclasses.replace(residuals[k], kept=(), activation=rules.identity)
    return bp.deltas(params[k - 1 : k + 1], (residuals[k - 1], upper), delta_above)[0]


@pytest.mark.spec("S0.7")
@given(net_of_any_depth)
def test_each_error_is_the_output_error_times_the_jacobians_between(net):
    def formula(params, x, delta):  # δ^l = δ^L J_L J_{L−1} … J_{l+1}, δ a row, J_k = ∂z^k/∂z^{k−1}
        z, _ = layers(net.sigma, params, x)
        jacobians = [
            jax.jacobian(lambda v, k=k: params[k]["W"] @ net.sigma[k - 1](v) + params[k]["b"])(z[k - 1])
            for k in range(1, net.depth)
        ]
        top = delta * slope(net.sigma[-1], z[-1])
        return tuple(reduce(jnp.matmul, jacobians[k:][::-1], top) for k in range(net.depth))

    assert_agrees(hand_deltas(net.rule), formula, net.params, net.x, net.delta)


@pytest.mark.spec("S0.8")
@given(net_of_any_depth)
def test_every_layer_has_dW_as_delta_times_its_input_and_db_as_delta(net):
    def formula(params, x, delta):  # ∂J/∂W^l = δ^l (a^{l−1})ᵀ, ∂J/∂b^l = δ^l, δ^l by autodiff
        _, a = layers(net.sigma, params, x)
        pairs = zip(true_deltas(net)(params, x, delta), a[:-1], strict=True)
        return tuple({"W": jnp.outer(delta_z, below), "b": delta_z} for delta_z, below in pairs)

    def by_hand(*args):
        return hand(net.rule)(*args)[0]

    assert_agrees(by_hand, formula, net.params, net.x, net.delta)
    assert_agrees(by_hand, lambda *args: autodiff(net.sigma)(*args)[0], net.params, net.x, net.delta)


@pytest.mark.spec("S0.9")
@given(net_with_hidden_layers)
def test_a_true_error_above_gives_a_true_error_below(net):
    def by_hand(params, x, delta):
        truth, residuals = true_deltas(net)(params, x, delta), net.rule.forward(params, x)[1]
        return tuple(step(params, residuals, k, truth[k]) for k in range(1, net.depth))

    assert_agrees(by_hand, lambda *args: true_deltas(net)(*args)[:-1], net.params, net.x, net.delta)


@pytest.mark.spec("S0.9")
@pytest.mark.parametrize("wrong", [1, 2, 3])
def test_step_by_step_only_the_wrong_line_fails(wrong):
    net = draw_network((3, 4, 2, 5, 2), (), rules.tanh, rules.sigmoid, seed=0)

    def distance_at(k):
        def by_hand(params, x, delta):
            truth, residuals = true_deltas(net)(params, x, delta), list(net.rule.forward(params, x)[1])
            residuals[wrong - 1] = dataclasses.replace(residuals[wrong - 1], activation=rules.identity)
            return step(params, residuals, k, truth[k])

        return distance(by_hand, lambda *args: true_deltas(net)(*args)[k - 1], net.params, net.x, net.delta)

    failing = [k for k in (1, 2, 3) if distance_at(k) > AGREES_WITHIN]
    assert failing == [wrong]


@pytest.mark.spec("S0.10")
@given(net_of_any_depth)
def test_the_next_z_is_W_sigma_of_z_plus_b(net):
    def by_hand(params, x):
        a_L, residuals = net.rule.forward(params, x)
        return [affine_forward(p, kept.x)[0] for p, kept in zip(params, residuals, strict=True)], a_L

    def formula(params, x):  # z^{l+1} = W^{l+1} σ(z^l) + b^{l+1}
        z = [params[0]["W"] @ x + params[0]["b"]]
        for layer, sigma in zip(params[1:], net.sigma[:-1], strict=True):
            z.append(layer["W"] @ sigma(z[-1]) + layer["b"])
        return z, net.sigma[-1](z[-1])

    assert_agrees(by_hand, formula, net.params, net.x)


@pytest.mark.spec("S0.11")
@given(net_with_hidden_layers)
def test_the_jacobian_of_a_step_is_W_transposed_with_rows_scaled_by_the_slope(net):
    def by_hand(params, x):  # one shipped step for each unit vector δ^{l+1}: the columns, (n_l, n_{l+1})
        residuals, (n_above, _) = net.rule.forward(params, x)[1], params[1]["W"].shape
        return jax.vmap(lambda e: step(params, residuals, 1, e))(jnp.eye(n_above)).T

    def formula(params, x):  # (W^{l+1})ᵀ ⊙ (σ′(z^l), …, σ′(z^l)), n_{l+1} columns
        z, _ = layers(net.sigma, params, x)
        W, columns = params[1]["W"], [slope(net.sigma[0], z[0])] * len(params[1]["b"])
        return W.T * jnp.stack(columns, axis=1)

    def with_diagonal(params, x):  # diag(σ′) (W^{l+1})ᵀ
        z, _ = layers(net.sigma, params, x)
        return jnp.diag(slope(net.sigma[0], z[0])) @ params[1]["W"].T

    def definition(params, x):  # the transpose of ∂z^{l+1}_i/∂z^l_j at (i, j)
        z, _ = layers(net.sigma, params, x)
        return jax.jacobian(lambda v: params[1]["W"] @ net.sigma[0](v) + params[1]["b"])(z[0]).T

    for other in (formula, with_diagonal, definition):
        assert_agrees(by_hand, other, net.params, net.x)


@pytest.mark.spec("S0.12")
@given(net_of_any_depth)
def test_the_recursion_gives_every_error(net):
    def formula(params, x, delta):  # δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l)
        z, _ = layers(net.sigma, params, x)
        delta_z = [delta * slope(net.sigma[-1], z[-1])]
        for layer, sigma, below in zip(params[:0:-1], net.sigma[-2::-1], z[-2::-1], strict=True):
            delta_z.append(layer["W"].T @ delta_z[-1] * slope(sigma, below))
        return tuple(delta_z[::-1])

    assert_agrees(hand_deltas(net.rule), formula, net.params, net.x, net.delta)
    assert_agrees(hand_deltas(net.rule), true_deltas(net), net.params, net.x, net.delta)


@pytest.mark.spec("S0.12")
@given(networks(lasts=SIGMAS))
def test_hand_gradients_equal_autodiff_with_and_without_a_batch(net):
    assert_agrees(hand(net.rule), autodiff(net.sigma), net.params, net.x, net.delta)
    deltas = jax.eval_shape(hand_deltas(net.rule), net.params, net.x, net.delta)
    assert [d.shape for d in deltas] == [(*np.shape(net.x)[:-1], *p["b"].shape) for p in net.params]
