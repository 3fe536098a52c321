"""S2.10 and errata E2 (a), (b): the bias as the weights of one more neuron, which always puts out 1.

With y~ = [y; 1] and W~ = [W | b] of shape (n_k, n_{k−1} + 1), W~ y~ = W y + b. The bias is the last
COLUMN; the document's index W_{n_{k−1}+1, j} makes it a row.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreement import assert_agrees
from backproof.numerics.comparison import distance
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.rules import affine
from networks import BATCHES, networks, output, seeds


def with_one(y):
    """Return y~ = [y; 1]: the constant neuron has no incoming weights and no activation."""
    return jnp.concatenate([y, jnp.ones((*y.shape[:-1], 1), y.dtype)], axis=-1)


def augmented(layer):
    """Return the layer with W~ = [W | b] in place of W, and no bias beside it."""
    return {"W": jnp.concatenate([layer["W"], layer["b"][:, None]], axis=1), "b": jnp.zeros_like(layer["b"])}


def augmented_sweep(net, params, x, delta):
    """Return the output and every ∂J/∂W~ of the augmented network, by the shipped rules alone."""
    y, kept = x, []
    for f, layer in zip(net.rule.parts[1::2], params, strict=True):
        z, below = affine(len(layer["b"])).forward(augmented(layer), with_one(y))
        y, above = f.forward((), z)
        kept.append((f, layer, below, above))
    dW, e = [], delta
    for f, layer, below, above in kept[::-1]:
        _, delta_z = f.backward((), above, e)
        grads, e = affine(len(layer["b"])).backward(augmented(layer), below, delta_z)
        dW.append(grads["W"])
        e = e[..., :-1]  # nothing stands below the constant neuron: its error is dropped
    return y, dW[::-1]


@pytest.mark.spec("S2.10")
@given(net=networks())
def test_the_augmented_network_puts_out_the_same_and_its_last_columns_are_the_bias_gradients(net):
    def explicit(params, x, delta):
        y, residuals = net.rule.forward(params, x)
        grads, _ = net.rule.backward(params, residuals, delta)
        return y, [jnp.concatenate([g["W"], g["b"][:, None]], axis=1) for g in grads]

    assert_agrees(lambda *args: augmented_sweep(net, *args), explicit, net.params, net.x, net.delta)


@pytest.mark.spec("S2.10")
@given(net=networks())
def test_autodiff_of_the_augmented_network_gives_our_bias_gradients(net):
    def shipped(params, x, delta):
        grads, _ = net.rule.backward(params, net.rule.forward(params, x)[1], delta)
        return [g["b"] for g in grads]

    def autodiff(params, x, delta):
        def J(W):
            y = x
            for f, W_k in zip(net.sigma, W, strict=True):
                y = f(jnp.einsum("ij,...j->...i", W_k, with_one(y)))
            return (y * delta).sum()

        return [dW[:, -1] for dW in jax.grad(J)([augmented(layer)["W"] for layer in params])]

    assert_agrees(shipped, autodiff, net.params, net.x, net.delta)


@pytest.mark.spec("E2")
@given(
    n=st.sampled_from([(3, 5), (1, 4), (2, 2), (5, 3), (4, 1)]), batch=st.sampled_from(BATCHES), seed=seeds
)
def test_the_bias_written_into_row_n_plus_1_is_no_bias(n, batch, seed):
    (n_k, n_below), rng = n, np.random.default_rng(seed)
    W, b, y = rng.normal(size=(n_k, n_below)), rng.normal(size=n_k), rng.normal(size=(*batch, n_below))
    row = np.concatenate([W, np.zeros((n_k, 1))], axis=1)  # W~ before the bias is entered
    if n_below + 1 > n_k:
        with pytest.raises(IndexError):  # a matrix of n_k rows has no row n_{k−1} + 1
            row[n_below, :] = b[0]
    else:
        row[n_below, :] = b[0]  # the row exists, but it belongs to unit n_{k−1} + 1
        assert_differs(n_k, row, W, b, y)


def assert_differs(n_k, wrong, W, b, y):
    apart = distance(
        lambda y: affine(n_k).forward({"W": wrong, "b": jnp.zeros(n_k)}, with_one(y))[0],
        lambda y: affine(n_k).forward({"W": W, "b": b}, y)[0],
        y,
    )
    assert apart > AGREES_WITHIN


@pytest.mark.spec("E2")
@given(net=networks())
def test_one_scalar_bias_for_all_units_has_the_sum_of_the_errors_as_its_gradient(net):
    scalars = tuple(layer["b"][0] for layer in net.params)

    def spread(scalars):
        return tuple(
            {"W": layer["W"], "b": jnp.broadcast_to(b, layer["b"].shape)}
            for layer, b in zip(net.params, scalars, strict=True)
        )

    def shipped(scalars, x, delta):  # db = Σ_j δ_j
        params = spread(scalars)
        grads, _ = net.rule.backward(params, net.rule.forward(params, x)[1], delta)
        return tuple(g["b"].sum() for g in grads)

    def autodiff(scalars, x, delta):
        return jax.grad(lambda b: (output(net.sigma, spread(b), x) * delta).sum())(scalars)

    assert_agrees(shipped, autodiff, scalars, net.x, net.delta)


@pytest.mark.spec("E2")
@given(n=st.sampled_from([(2, 1), (3, 2), (5, 4)]), batch=st.sampled_from(BATCHES), seed=seeds)
def test_one_scalar_bias_is_another_model_as_soon_as_there_are_two_units(n, batch, seed):
    (n_k, n_below), rng = n, np.random.default_rng(seed)
    W, b, y = rng.normal(size=(n_k, n_below)), rng.normal(size=n_k), rng.normal(size=(*batch, n_below))
    shared = np.concatenate([W, np.full((n_k, 1), b[0])], axis=1)
    assert_differs(n_k, shared, W, b, y)
