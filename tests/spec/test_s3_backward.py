"""S3.11 to S3.17: backward through TestNet component by component, and for L layers.

Document 003 opens the gate where z ≥ 0; `relu_with(1.0)` is that gate. One unit of every net drawn here
stands exactly at z = 0, where the choice shows.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from networks import SIZES, draw_network, seeds

TWO_LAYERS = [(3, 4, 2), (1, 3, 2), (4, 1, 3), (5, 2, 4), (2, 5, 1)]
cross_entropy = losses.softmax_cross_entropy


def drawn(sizes, batch, y, seed):
    """Return (net, params, x, y): the gate is ≥, unit 0 of each hidden layer is at 0, y is a label."""
    net = draw_network(sizes, batch, rules.relu, rules.identity, seed)
    for layer in net.params[:-1]:
        layer["W"][0], layer["b"][0] = 0, 0
    y = np.random.default_rng(y).integers(0, sizes[-1], batch)
    return bp.mlp(sizes, rules.relu_with(1.0)), net.params, net.x, y


def document_003_nets(sizes, batches=((),)):
    return st.builds(drawn, st.sampled_from(sizes), st.sampled_from(batches), st.integers(0, 9), seeds)


def gated_relu(z):
    """Return relu with slope 1 at 0, for autodiff."""
    return jnp.where(z >= 0, z, jnp.zeros_like(z))


def loss_of(params, x, y):
    """Return J by JAX's own functions, summed over the batch."""
    a = x
    for l, layer in enumerate(params, start=1):  # noqa: E741 - the document's letter
        z = jnp.einsum("ij,...j->...i", layer["W"], a)
        z = z + jnp.broadcast_to(layer["b"], z.shape)
        a = gated_relu(z) if l < len(params) else z
    return -(jax.nn.one_hot(y, a.shape[-1], dtype=a.dtype) * jax.nn.log_softmax(a)).sum()


def forward(params, a):
    """Return ([z^(1) …], [a^(0) …], h) for one sample, as columns of numbers."""
    z, a = [], [a]
    for layer in params:
        z.append(layer["W"] @ a[-1] + layer["b"])
        a.append(gated_relu(z[-1]))
    return z, a, jnp.exp(z[-1]) / jnp.exp(z[-1]).sum()


@pytest.mark.spec("S3.11", "S3.12", "S3.13", "S3.14")
@given(drawn_net=document_003_nets(TWO_LAYERS))
def test_testnet_s_gradients_are_the_document_s_entry_by_entry(drawn_net):
    net, params, x, y = drawn_net

    def shipped(params, x):
        h, residuals = net.forward(params, x)
        e = cross_entropy.backward(cross_entropy.forward(h, jnp.asarray(y))[1])
        grads, _ = net.backward(params, residuals, e)
        _, delta_a = bp.layer_step(params[1], residuals[1], e)
        return grads[1]["W"], delta_a, bp.deltas(params, residuals, e)[0], grads[0]["W"]

    def documents(params, x):
        z, a, p = forward(params, x)
        (n_1, n_0), (K, _) = params[0]["W"].shape, params[1]["W"].shape
        W, delta = params[1]["W"], [p[i] - float(y == i) for i in range(K)]
        dW_2 = [jnp.stack([delta[i] * a[1][j] for j in range(n_1)]) for i in range(K)]
        da_1 = [sum(delta[i] * W[i, j] for i in range(K)) for j in range(n_1)]
        dz_1 = [da_1[j] * (z[0][j] >= 0).astype(a[1].dtype) for j in range(n_1)]
        gate = [(z[0][i] >= 0).astype(a[1].dtype) for i in range(n_1)]
        dW_1 = [  # (Σ_k δ_k W_{k,i}) 1(z_i ≥ 0) a_j
            jnp.stack([sum(delta[k] * W[k, i] for k in range(K)) * gate[i] * x[j] for j in range(n_0)])
            for i in range(n_1)
        ]
        return jnp.stack(dW_2), jnp.stack(da_1), jnp.stack(dz_1), jnp.stack(dW_1)

    assert_agrees(shipped, documents, params, x)


@pytest.mark.spec("S3.11", "S3.12", "S3.13", "S3.15")
@given(drawn_net=document_003_nets(TWO_LAYERS))
def test_in_matrices_a_gradient_is_an_error_column_times_an_input_row(drawn_net):
    net, params, x, y = drawn_net

    def shipped(params, x):
        return bp.value_and_grad(net, cross_entropy)(params, x, jnp.asarray(y))[1]

    def documents(params, x):
        z, a, p = forward(params, x)
        delta_2 = (p - np.eye(len(p))[y])[:, None]  # (K × 1)
        dz_1 = (params[1]["W"].T @ delta_2) * (z[0] >= 0).astype(x.dtype)[:, None]  # (n^(1) × K)(K × 1)
        return (
            {"W": dz_1 @ a[0][None, :], "b": dz_1[:, 0]},  # (n^(1) × 1)(1 × n^(0))
            {"W": delta_2 @ a[1][None, :], "b": delta_2[:, 0]},  # (K × 1)(1 × n^(1))
        )

    assert_agrees(shipped, documents, params, x)


@pytest.mark.spec("S3.15", "S3.16")
@given(drawn_net=document_003_nets(SIZES, batches=((), (1,), (3,))))
def test_the_gradients_of_l_layers_are_those_of_autodiff_with_the_same_gate(drawn_net):
    net, params, x, y = drawn_net
    assert_agrees(
        lambda params, x: bp.value_and_grad(net, cross_entropy)(params, x, jnp.asarray(y)),
        lambda params, x: jax.value_and_grad(loss_of)(params, x, y),
        params,
        x,
    )


@pytest.mark.spec("S3.16")
@given(drawn_net=document_003_nets(SIZES))
def test_the_residual_delta_runs_down_from_h_minus_the_indicator(drawn_net):
    net, params, x, y = drawn_net

    def shipped(params, x):
        z, residuals = net.forward(params, x)
        e = cross_entropy.backward(cross_entropy.forward(z, jnp.asarray(y))[1])
        return bp.deltas(params, residuals, e), net.backward(params, residuals, e)[0]

    def documents(params, x):
        z, a, h = forward(params, x)
        delta = [h - np.eye(len(h))[y]]  # δ^(L) = h − 1(y)
        for l in range(len(params) - 1, 0, -1):  # noqa: E741 - δ^(l) = (W^(l+1)ᵀ δ^(l+1)) * 1(z^(l) ≥ 0)
            delta.insert(0, (params[l]["W"].T @ delta[0]) * (z[l - 1] >= 0).astype(x.dtype))
        outer = [d[:, None] @ below[None, :] for d, below in zip(delta, a[:-1], strict=True)]
        grads = tuple({"W": dW, "b": d} for dW, d in zip(outer, delta, strict=True))
        return tuple(delta), grads

    assert_agrees(shipped, documents, params, x)


@pytest.mark.spec("S3.17")
@given(drawn_net=document_003_nets(SIZES, batches=((), (3,))), alpha=st.floats(0.01, 2))
def test_weights_and_biases_move_by_alpha_against_the_gradient(drawn_net, alpha):
    net, params, x, y = drawn_net

    def shipped(params, x):
        z, residuals = net.forward(params, x)
        e = cross_entropy.backward(cross_entropy.forward(z, jnp.asarray(y))[1])
        return bp.descend(net, params, residuals, e, lambda w, dw: w - alpha * dw)[0]

    def documents(params, x):
        return jax.tree.map(lambda w, dw: w - alpha * dw, params, jax.grad(loss_of)(params, x, y))

    assert_agrees(shipped, documents, params, x)
