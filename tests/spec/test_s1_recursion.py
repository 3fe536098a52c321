"""Document 001: layers 0 … M, ReLU between them, none at the end, and a loss of any kind.

Index ι of the document is layer ι + 1 of the network: `params[i]` is (W_i, b_i).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import rules
from backproof.numerics.noise import measure
from backproof.rules._affine import affine_grads
from networks import DEEP, hand, hand_deltas, networks
from sweep_laws import pre_activations

relu_net = networks(batches=[()], activations=[rules.relu], lasts=[rules.identity])
deep_relu_net = networks(sizes=DEEP, batches=[()], activations=[rules.relu], lasts=[rules.identity])


def documents_forward(params, x_i):
    """Return ([z_0 … z_M], [x_0 … x_M]), with the datum x_i for x_0."""
    z, x = [params[0]["b"] + params[0]["W"] @ x_i], [x_i]
    for layer in params[1:]:
        x.append(jax.nn.relu(z[-1]))  # x_ι = f[z_{ι−1}]
        z.append(layer["b"] + layer["W"] @ x[-1])  # z_ι = b_ι + W_ι x_ι
    return z, x


def documents_loss(params, x_i, dz_M):
    """Return L_i, of which ∂L_i/∂z_M is `dz_M`."""
    return jnp.vdot(dz_M, documents_forward(params, x_i)[0][-1])


def true_dz(params, x_i, dz_M):
    """Return (∂L/∂z_0, …, ∂L/∂z_M) by autodiff in a shift of each z."""

    def shifted(shifts):
        biases = [{**p, "b": p["b"] + shift} for p, shift in zip(params, shifts, strict=True)]
        return documents_loss(biases, x_i, dz_M)

    return jax.grad(shifted)(tuple(jnp.zeros_like(p["b"]) for p in params))


@pytest.mark.spec("S1.1")
@given(relu_net)
def test_forward_is_the_documents_and_keeps_every_x_from_which_every_z_is_recomputed(net):
    def by_hand(params, x_i):
        y, residuals = net.rule.forward(params, x_i)
        return list(pre_activations(params, residuals)), [kept.x for kept in residuals], y

    def formula(params, x_i):
        z, x = documents_forward(params, x_i)
        return z, x, z[-1]  # nothing acts on z_M

    assert_agrees(by_hand, formula, net.params, net.x)


@pytest.mark.spec("S1.2")
@given(relu_net)
def test_the_sweep_starts_from_the_gradient_of_any_loss_at_z_M(net):
    def loss(z_M, y):  # no loss of the catalogue
        return jnp.sum(jnp.sin(z_M) * y) + jnp.prod(z_M) ** 2

    def by_hand(params, x_i, y):
        z_M, residuals = net.rule.forward(params, x_i)
        return net.rule.backward(params, residuals, jax.grad(loss)(z_M, y))

    def definition(params, x_i, y):
        return jax.grad(lambda p, x: loss(documents_forward(p, x)[0][-1], y), (0, 1))(params, x_i)

    assert_agrees(by_hand, definition, net.params, net.x, net.y)


@pytest.mark.spec("S1.2")
@given(networks(lasts=[rules.identity]), st.floats(-3, 3), st.floats(-3, 3))
def test_the_sweep_is_linear_in_the_cotangent(net, s, t):
    sweep = hand(net.rule)

    def combined(params, x, u, v):
        return sweep(params, x, s * u + t * v)

    def separate(params, x, u, v):
        return jax.tree.map(lambda g, h: s * g + t * h, sweep(params, x, u), sweep(params, x, v))

    assert_agrees(combined, separate, net.params, net.x, net.delta, net.y)


@pytest.mark.spec("S1.3")
@given(deep_relu_net)
def test_db_is_dz_above_the_first_layer(net):
    def by_hand(*args):
        return [grads["b"] for grads in hand(net.rule)(*args)[0][1:]]

    def definition(params, x_i, dz_M):
        return [g["b"] for g in jax.grad(documents_loss)(params, x_i, dz_M)[1:]]

    args = (net.params, net.x, net.delta)
    assert_agrees(by_hand, definition, *args)
    assert_agrees(by_hand, lambda *args: list(true_dz(*args)[1:]), *args)  # ∂L/∂b_ι = ∂L/∂z_ι


@pytest.mark.spec("S1.4")
@given(deep_relu_net)
def test_dW_is_dz_times_x_transposed_above_the_first_layer(net):
    def by_hand(*args):
        return [grads["W"] for grads in hand(net.rule)(*args)[0][1:]]

    def formula(params, x_i, dz_M):  # ∂L/∂W_ι = (∂L/∂z_ι) x_ιᵀ
        x = documents_forward(params, x_i)[1]
        dz = true_dz(params, x_i, dz_M)
        return [d[:, None] @ v[None, :] for d, v in zip(dz[1:], x[1:], strict=True)]

    def definition(params, x_i, dz_M):
        return [g["W"] for g in jax.grad(documents_loss)(params, x_i, dz_M)[1:]]

    assert_agrees(by_hand, formula, net.params, net.x, net.delta)
    assert_agrees(by_hand, definition, net.params, net.x, net.delta)


@pytest.mark.spec("S1.5")
@given(deep_relu_net)
def test_dz_below_is_the_gate_times_W_transposed_dz(net):
    def formula(params, x_i, dz_M):  # ∂L/∂z_{ι−1} = I[z_{ι−1} > 0] ⊙ (W_ιᵀ ∂L/∂z_ι)
        z, dz = documents_forward(params, x_i)[0], [dz_M]
        for layer, below in zip(params[:0:-1], z[-2::-1], strict=True):
            dz.append((below > 0).astype(below.dtype) * (layer["W"].T @ dz[-1]))
        return tuple(dz[::-1])

    assert_agrees(hand_deltas(net.rule), formula, net.params, net.x, net.delta)
    assert_agrees(hand_deltas(net.rule), true_dz, net.params, net.x, net.delta)


@pytest.mark.spec("S1.6")
@given(relu_net)
def test_the_first_layer_takes_the_datum(net):
    def by_hand(*args):
        return hand(net.rule)(*args)[0][0]

    def formula(params, x_i, dz_M):  # ∂L/∂b_0 = ∂L/∂z_0, ∂L/∂W_0 = (∂L/∂z_0) x_iᵀ
        dz_0 = true_dz(params, x_i, dz_M)[0]
        return {"W": dz_0[:, None] @ x_i[None, :], "b": dz_0}

    def definition(params, x_i, dz_M):
        return jax.grad(documents_loss)(params, x_i, dz_M)[0]

    assert_agrees(by_hand, formula, net.params, net.x, net.delta)
    assert_agrees(by_hand, definition, net.params, net.x, net.delta)


@pytest.mark.spec("S1.9")
@given(relu_net)
def test_with_the_datum_as_x_0_the_general_loop_gives_the_first_layer_bitwise(net):
    def loop(params, x_i, dz_M):  # ι = M … 0 for parameters, M … 1 for z
        z, x = documents_forward(params, x_i)
        dz, grads = dz_M, []
        for i in reversed(range(len(params))):
            grads.append(affine_grads(x[i], dz))
            if i > 0:
                dz = jnp.where(z[i - 1] > 0, dz @ params[i]["W"], 0)
        return tuple(grads[::-1])

    def special(params, x_i, dz_M):  # S1.6, from the shipped ∂L/∂z_0
        dz_0 = bp.deltas(params, net.rule.forward(params, x_i)[1], dz_M)[0]
        return {"W": jnp.outer(dz_0, x_i), "b": dz_0}

    args = (net.params, net.x, net.delta)
    general = measure(loop, *args).value[0]
    shipped = measure(hand(net.rule), *args).value[0][0]
    first = measure(special, *args).value
    for name in ("W", "b"):
        assert np.array_equal(general[name], first[name])
        assert np.array_equal(shipped[name], first[name])
