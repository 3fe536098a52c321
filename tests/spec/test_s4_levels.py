"""Document 004, one batch: derivatives level by level from the top, x^{n+1} = f(ω^n x^n + b^n)."""

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
from backproof.rule import descend
from networks import SIGMAS, hand, layers, networks, output

ETA = 0.1
single = networks(batches=[()], lasts=SIGMAS)


def sgd(p, g):
    return p - ETA * g


def level(f):
    """Return (ω^n and b^n, x^n) -> x^{n+1}."""
    return lambda layer, x: f(layer["W"] @ x + layer["b"])


def swept(net):
    """Return (params, x, ∂L/∂x^{N+1}) -> (updated params, ∂L/∂x^1), by the shipped in-sweep update."""
    return lambda params, x, delta: descend(net.rule, params, net.rule.forward(params, x)[1], delta, sgd)


@pytest.mark.spec("S4.1")
@given(single)
def test_the_shipped_sweep_is_the_documents_loop_over_levels(net):
    def loop(params, x, dL):
        _, xs = layers(net.sigma, params, x)  # x^1 … x^{N+1}
        updated = []
        for f, layer, x_n in zip(net.sigma[::-1], params[::-1], xs[-2::-1], strict=True):  # n = N … 1
            d_layer, dL = jax.vjp(level(f), layer, x_n)[1](dL)  # ∂L/∂ω^n and ∂L/∂b^n; ∂L/∂x^n
            updated.append(jax.tree.map(lambda w, d: w - ETA * d, layer, d_layer))  # ω^n ← ω^n − η ∂L/∂ω^n
        return tuple(updated[::-1]), dL

    assert_agrees(swept(net), loop, net.params, net.x, net.delta)


@pytest.mark.spec("S4.1")
@given(networks(lasts=SIGMAS))
def test_one_pass_over_the_levels_is_one_step_of_descent_on_the_loss(net):
    def step(params, x, delta):
        grads = jax.grad(lambda p: jnp.sum(delta * output(net.sigma, p, x)))(params)
        return jax.tree.map(sgd, params, grads)

    assert_agrees(lambda *args: swept(net)(*args)[0], step, net.params, net.x, net.delta)


@pytest.mark.spec("S4.2")
@given(single)
def test_bracketing_from_the_loss_equals_the_full_product_of_jacobians(net):
    def jacobians(params, x):
        _, xs = layers(net.sigma, params, x)
        return [
            jax.jacobian(level(f), (0, 1))(layer, x_n)
            for f, layer, x_n in zip(net.sigma, params, xs[:-1], strict=True)
        ]

    def full_product(params, x, dL):  # (∂x^{N+1}/∂x^N · … · ∂x^{n+2}/∂x^{n+1}) · ∂x^{n+1}/∂ω^n first, ∂L last
        J = jacobians(params, x)
        ways_up = [
            reduce(jnp.matmul, [of_x for _, of_x in J[n + 1 :]][::-1], jnp.eye(len(dL)))
            for n in range(len(J))
        ]
        return tuple(
            jax.tree.map(lambda of_w, up=up: jnp.tensordot(dL, jnp.tensordot(up, of_w, 1), 1), of_layer)
            for (of_layer, _), up in zip(J, ways_up, strict=True)
        )

    def bracketed(params, x, dL):  # ((∂L/∂x^{n+3} · ∂x^{n+3}/∂x^{n+2}) · ∂x^{n+2}/∂x^{n+1}) · ∂x^{n+1}/∂ω^n
        grads = []
        for of_layer, of_x in jacobians(params, x)[::-1]:
            grads.append(jax.tree.map(lambda of_w, dL=dL: jnp.tensordot(dL, of_w, 1), of_layer))
            dL = dL @ of_x
        return tuple(grads[::-1])

    def by_hand(*args):
        return hand(net.rule)(*args)[0]

    assert_agrees(by_hand, full_product, net.params, net.x, net.delta)
    assert_agrees(by_hand, bracketed, net.params, net.x, net.delta)


@pytest.mark.spec("S4.4")
@given(networks(lasts=SIGMAS))
def test_both_derivatives_of_a_level_are_those_of_its_own_forward_map(net):
    def by_hand(params, x, delta):
        residuals = net.rule.forward(params, x)[1]
        return bp.layer_step(params[-1], residuals[-1], delta)

    def definition(params, x, delta):
        def top(layer, x):  # x^{N+1} = f(ω^N x^N + b^N)
            return output(net.sigma[-1:], (layer,), x)

        x_N = output(net.sigma[:-1], params[:-1], x)
        return jax.vjp(top, params[-1], x_N)[1](delta)

    assert_agrees(by_hand, definition, net.params, net.x, net.delta)


@pytest.mark.spec("E4")
@given(single)
def test_the_bias_gradient_the_document_uses_is_the_error_at_z(net):
    def db(params, x, delta):
        return [g["b"] for g in hand(net.rule)(params, x, delta)[0]]

    def errors(params, x, delta):
        return list(bp.deltas(params, net.rule.forward(params, x)[1], delta))

    assert_agrees(db, errors, net.params, net.x, net.delta)


@pytest.mark.spec("E4")
@given(networks(batches=[()], activations=[rules.tanh], lasts=[rules.sigmoid, rules.tanh]))
def test_read_literally_without_b_the_forward_map_has_another_gradient(net):
    def literal(params, x, delta):  # L = f(ω^n x^n)
        without = tuple({"W": p["W"], "b": jnp.zeros_like(p["b"])} for p in params)
        return hand(net.rule)(without, x, delta)[0][-1]["W"]

    def truth(params, x, delta):
        return hand(net.rule)(params, x, delta)[0][-1]["W"]

    assert distance(literal, truth, net.params, net.x, net.delta) > AGREES_WITHIN


@pytest.mark.spec("E4")
@given(networks(sizes=[(4, 3), (2, 5)], batches=[()]))
def test_numerator_order_does_not_fit_a_column_gradient(net):
    jacobian, column = jnp.asarray(net.params[0]["W"]), jnp.asarray(net.delta)[:, None]  # n_out × n_in
    with pytest.raises(TypeError):
        column @ jacobian  # ∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n with ∂L/∂x^{n+1} a column
    assert (column.T @ jacobian).shape == (1, np.size(net.x))
