"""S2.4 to S2.9: document 002 component by component, from y^k = f(W^k y^{k−1}) to the errors.

g^k(W^k … W^K, y^{k−1}) is the loss of layers k … K as a function of what enters them; the document has
no bias here (S2.10 brings it back), so b = 0.
"""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import losses
from backproof.numerics.noise import measure
from networks import networks, output

LOSSES = [losses.half_squared_error, losses.softmax_cross_entropy_dense, losses.huber]
single_nets = networks(batches=[()])
any_g = st.sampled_from(LOSSES)


def unbiased(net):
    return tuple({"W": layer["W"], "b": np.zeros_like(layer["b"])} for layer in net.params)


def layers_from(net, k):
    """Return the shipped network of layers k … K."""
    n = [net.params[k - 1]["W"].shape[1], *(len(layer["b"]) for layer in net.params[k - 1 :])]
    return bp.mlp(n, net.rule.parts[1], net.rule.parts[-1])


def g_of(net, loss, k):
    """Return g^k(W^k … W^K, y^{k−1}); g^{K+1} is the loss itself."""
    if k == net.depth + 1:
        return lambda _, y: loss.forward(y, net.y)[0]
    return lambda params, y: loss.forward(layers_from(net, k).forward(params, y)[0], net.y)[0]


def trajectory(net, params, x):
    """Return ([z^1 … z^K], [y^0 … y^K]), one component at a time."""
    z, y = [], [x]
    for f, layer in zip(net.sigma, params, strict=True):
        W, (n_k, n_below) = layer["W"], layer["W"].shape
        z.append(jnp.stack([sum(W[i, j] * y[-1][j] for j in range(n_below)) for i in range(n_k)]))
        y.append(jnp.stack([f(z[-1][i]) for i in range(n_k)]))  # y_i^k = f^k(Σ_j W_ij^k y_j^{k−1})
    return z, y


@pytest.mark.spec("S2.4")
@given(net=single_nets)
def test_a_unit_applies_f_to_the_weighted_sum_of_the_layer_below(net):
    assert_agrees(
        lambda params, x: net.rule.forward(params, x)[0],
        lambda params, x: trajectory(net, params, x)[1][-1],
        unbiased(net),
        net.x,
    )


@pytest.mark.spec("S2.4")
@given(net=networks())
def test_the_layers_merge_into_one_nested_function_of_x(net):
    def nested(params, y):  # f^K(W^K … f^2(W^2 f^1(W^1 x)))
        for f, layer in zip(net.sigma, params, strict=True):
            y = f(jnp.einsum("ij,...j->...i", layer["W"], y))
        return y

    assert_agrees(lambda params, x: net.rule.forward(params, x)[0], nested, unbiased(net), net.x)


@pytest.mark.spec("S2.5")
@given(net=networks(), loss=any_g)
def test_every_g_k_has_the_value_of_the_loss_along_the_trajectory(net, loss):
    def shipped(params, x):
        _, residuals = net.rule.forward(params, x)
        return [g_of(net, loss, k)(params[k - 1 :], residuals[k - 1].x) for k in range(1, net.depth + 1)]

    def direct(params, x):
        return [loss.forward(output(net.sigma, params, x), net.y)[0]] * net.depth

    assert_agrees(shipped, direct, unbiased(net), net.x)


@pytest.mark.spec("S2.6", "S2.7")
@settings(max_examples=12)
@given(net=single_nets, loss=any_g)
def test_gradient_and_error_are_the_document_s_sums_over_components(net, loss):
    def shipped(params, x):
        y, residuals = net.rule.forward(params, x)
        grads, delta_x = net.rule.backward(params, residuals, loss.backward(loss.forward(y, net.y)[1]))
        return [layer["W"] for layer in grads], delta_x

    def by_components(params, x):
        z, y = trajectory(net, params, x)
        e = jax.grad(lambda y: loss.forward(y, net.y)[0])(y[-1])  # ∂g^{K+1}/∂y^K
        dW = []
        for k in range(net.depth, 0, -1):
            W, (n_k, n_below) = params[k - 1]["W"], params[k - 1]["W"].shape
            slope = [jax.grad(net.sigma[k - 1])(z[k - 1][i]) for i in range(n_k)]
            # ∂g^k/∂W_ab^k = ∂g^{k+1}/∂y_a^k f′(z_a^k) y_b^{k−1}
            dW.append(
                jnp.stack(
                    [jnp.stack([e[a] * slope[a] * y[k - 1][b] for b in range(n_below)]) for a in range(n_k)]
                )
            )
            # ∂g^k/∂y_a^{k−1} = Σ_i ∂g^{k+1}/∂y_i^k f′(z_i^k) W_ia^k
            e = jnp.stack([sum(e[i] * slope[i] * W[i, a] for i in range(n_k)) for a in range(n_below)])
        return dW[::-1], e

    def autodiff(params, x):
        J = lambda params, x: loss.forward(output(net.sigma, params, x), net.y)[0]
        grads, delta_x = jax.grad(J, argnums=(0, 1))(params, x)
        return [layer["W"] for layer in grads], delta_x

    assert_agrees(shipped, by_components, unbiased(net), net.x)
    assert_agrees(shipped, autodiff, unbiased(net), net.x)


@pytest.mark.spec("S2.8")
@given(net=networks(), loss=any_g)
def test_the_recursion_hears_of_g_only_through_its_gradient_at_the_top(net, loss):
    y_K, _ = measure(net.rule.forward, net.params, net.x).value
    e_K = measure(jax.grad(lambda y: loss.forward(y, net.y)[0]), y_K).value  # ∂g^{K+1}/∂y^K = ∂g/∂y
    plane = bp.Loss("<e, y>", lambda y, _: ((y * e_K).sum(), ()), lambda _: e_K)
    assert_agrees(
        lambda params, x: bp.value_and_grad(net.rule, loss)(params, x, net.y)[1],
        lambda params, x: bp.value_and_grad(net.rule, plane)(params, x, net.y)[1],
        net.params,
        net.x,
    )


@pytest.mark.spec("S2.8")
@given(net=networks())
def test_there_is_no_layer_above_the_last(net):
    one_more = (*net.params, net.params[-1])
    with pytest.raises(bp.UsageError, match=f"{net.depth} entries"):
        net.rule.forward(one_more, net.x)


@pytest.mark.spec("S2.9")
@settings(max_examples=12)
@given(net=networks(), loss=any_g)
def test_the_true_error_above_a_layer_gives_its_true_gradient_and_the_true_error_below(net, loss):
    def shipped(params, x):
        y, residuals = net.rule.forward(params, x)
        ys = [*(kept.x for kept in residuals[1:]), y]
        steps = []
        for k in range(1, net.depth + 1):
            e_k = jax.grad(g_of(net, loss, k + 1), argnums=1)(params[k:], ys[k - 1])
            steps.append(bp.layer_step(params[k - 1], residuals[k - 1], e_k))
        return steps

    def autodiff(params, x):
        _, residuals = net.rule.forward(params, x)
        steps = []
        for k in range(1, net.depth + 1):
            grads, e = jax.grad(g_of(net, loss, k), argnums=(0, 1))(params[k - 1 :], residuals[k - 1].x)
            steps.append((grads[0], e))
        return steps

    assert_agrees(shipped, autodiff, net.params, net.x)


@pytest.mark.spec("S2.9")
@given(net=networks())
def test_passing_only_the_error_from_step_to_step_is_the_whole_backward_pass(net):
    def handed_down(params, x, e):
        _, residuals = net.rule.forward(params, x)
        grads = []
        for layer, kept in zip(params[::-1], residuals[::-1], strict=True):
            layer_grads, e = bp.layer_step(layer, kept, e)
            grads.append(layer_grads)
        return tuple(grads[::-1]), e

    def whole(params, x, e):
        return net.rule.backward(params, net.rule.forward(params, x)[1], e)

    assert list(inspect.signature(bp.layer_step).parameters) == ["params_l", "residuals_l", "delta_a"]
    assert_agrees(handed_down, whole, net.params, net.x, net.delta)
