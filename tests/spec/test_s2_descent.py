"""S2.11 and errata E2 (d), (f): gradient descent on θ = (W, b), and which derivative its gradient is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import losses
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import DEEP, networks, output

g = losses.half_squared_error
learning_rates = st.floats(0.01, 2)


def descended(net, eta, params, x):
    """Return θ − η ∂g^K/∂θ as the library takes it, layer by layer inside the sweep."""
    y, residuals = net.rule.forward(params, x)
    e = g.backward(g.forward(y, net.y)[1])
    return bp.descend(net.rule, params, residuals, e, lambda theta, grad: theta - eta * grad)[0]


@pytest.mark.spec("S2.11")
@given(net=networks(), eta=learning_rates)
def test_descent_moves_theta_against_the_autodiff_gradient(net, eta):
    def autodiff(params, x):
        grads = jax.grad(lambda p: g.forward(output(net.sigma, p, x), net.y)[0])(params)
        return jax.tree.map(lambda theta, grad: theta - eta * grad, params, grads)

    assert_agrees(lambda params, x: descended(net, eta, params, x), autodiff, net.params, net.x)


@pytest.mark.spec("S2.11")
@given(net=networks(), eta=learning_rates)
def test_descent_is_optax_sgd_bit_for_bit(net, eta):
    def sgd(params, x):
        _, grads = bp.value_and_grad(net.rule, g)(params, x, net.y)
        updates, _ = optax.sgd(eta).update(grads, optax.sgd(eta).init(params))
        return optax.apply_updates(params, updates)

    ours = measure(lambda params, x: descended(net, eta, params, x), net.params, net.x).value
    theirs = measure(sgd, net.params, net.x).value
    for got, want in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.array_equal(got, want)


@pytest.mark.spec("S2.11")
@given(net=networks(), eta=learning_rates)
def test_updating_w_and_b_merged_in_one_theta_is_updating_them_apart(net, eta):
    def merged(layer):
        return jnp.concatenate([layer["W"], layer["b"][:, None]], axis=1)

    def at_once(params, x):
        _, grads = bp.value_and_grad(net.rule, g)(params, x, net.y)
        return [merged(p) - eta * merged(d) for p, d in zip(params, grads, strict=True)]

    ours = measure(
        lambda params, x: [merged(p) for p in descended(net, eta, params, x)], net.params, net.x
    ).value
    theirs = measure(at_once, net.params, net.x).value
    assert all(np.array_equal(got, want) for got, want in zip(ours, theirs, strict=True))


@pytest.mark.spec("E2")
@given(net=networks())
def test_there_is_no_w_0(net):
    _, grads = jax.eval_shape(bp.value_and_grad(net.rule, g), net.params, net.x, net.y)
    assert len(grads) == net.depth  # W^1 … W^K
    n_0 = net.x.shape[-1]
    w_0 = {"W": np.eye(n_0), "b": np.zeros(n_0)}
    with pytest.raises(bp.UsageError, match=f"{net.depth} entries"):
        net.rule.forward((w_0, *net.params), net.x)


@pytest.mark.spec("E2")
@given(net=networks(sizes=DEEP))
def test_the_gradient_of_a_lower_layer_is_total_for_g_K_and_partial_for_g_k(net):
    K, k = net.depth, net.depth - 1

    def g_from(l, params, y):  # noqa: E741 - g^l as a function of W^l … W^K and y^{l−1}
        return g.forward(output(net.sigma[l - 1 :], params[l - 1 :], y), net.y)[0]

    def inputs(params, x):
        return [kept.x for kept in net.rule.forward(params, x)[1]]

    def shipped(params, x):
        return bp.value_and_grad(net.rule, g)(params, x, net.y)[1][k - 1]

    def partial_of_g_k(params, x):  # y^{k−1} is held fixed
        y = inputs(params, x)[k - 1]
        return jax.grad(lambda params: g_from(k, params, y))(params)[k - 1]

    def partial_of_g_K(params, x):  # y^{K−1} is held fixed: W^k is no argument of this function
        y = inputs(params, x)[K - 1]
        return jax.grad(lambda params: g_from(K, params, y))(params)[k - 1]

    assert_agrees(shipped, partial_of_g_k, net.params, net.x)
    partial = measure(partial_of_g_K, net.params, net.x).value
    assert not np.any(partial["W"])
    assert not np.any(partial["b"])
    total = measure(shipped, net.params, net.x).value
    if np.any(total["W"]):  # a net of dead units has no gradient to tell them by
        assert distance(shipped, partial_of_g_K, net.params, net.x) > AGREES_WITHIN
