"""X.2: each convention is an option with a reference of its own, and no two of them agree."""

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
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import SIGMAS, draw_network, hand, networks, seeds

GATES = {
    0.0: (rules.relu, jax.nn.relu),
    0.5: (rules.relu_with(0.5), lambda z: jnp.maximum(z, 0)),
    1.0: (rules.relu_with(1.0), lambda z: jnp.where(z >= 0, z, jnp.zeros_like(z))),
}
BATCH = 4
values = st.lists(st.sampled_from([0.0, -0.0, -1.0, 2.0]), min_size=1, max_size=6)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.spec("X.2")
@given(st.sampled_from([*GATES]), values, seeds)
def test_the_slope_of_relu_at_zero_is_the_one_asked_for(slope, zs, seed):
    gate, reference = GATES[slope]
    z, delta_a = np.array(zs), normal(seed, len(zs))
    dz = measure(lambda z, d: gate.backward((), gate.forward((), z)[1], d)[1], z, delta_a).value
    assert np.array_equal(dz, delta_a * np.where(z == 0, slope, z > 0))
    assert np.array_equal(dz, measure(lambda z, d: jax.vjp(reference, z)[1](d)[0], z, delta_a).value)


@pytest.mark.spec("X.2")
@given(st.sampled_from(SIGMAS), seeds)
def test_reduction_is_a_sum_unless_a_mean_is_asked_for(activation, seed):
    net = draw_network((4, 3, 2), (BATCH,), activation, rules.sigmoid, seed)
    total = bp.value_and_grad(net.rule, losses.half_squared_error)
    mean = bp.value_and_grad(net.rule, losses.mean(losses.half_squared_error))
    args = (net.params, net.x, net.y)
    by_sum, by_mean = measure(total, *args).value, measure(mean, *args).value
    pairs = zip(jax.tree.leaves(by_sum), jax.tree.leaves(by_mean), strict=True)
    assert all(np.array_equal(s, BATCH * m) for s, m in pairs)  # exact: a power of two
    assert distance(total, mean, *args) > AGREES_WITHIN


@pytest.mark.spec("X.2")
@given(networks(batches=[(3,)], lasts=SIGMAS))
def test_row_layout_is_the_transpose_of_column_layout(net):
    def turned(layers):
        return tuple({"W": layer["W"].T, "b": layer["b"]} for layer in layers)

    def in_rows(params, X, D):  # z = X W + b, with W of n_in × n_out and samples in rows
        def J(params):
            a = X
            for layer, f in zip(params, net.sigma, strict=True):
                z = a @ layer["W"]
                a = f(z + jnp.broadcast_to(layer["b"], z.shape))
            return jnp.sum(D * a)

        return turned(jax.grad(J)(turned(params)))  # dW_row = (dW_column)ᵀ

    assert_agrees(lambda *args: hand(net.rule)(*args)[0], in_rows, net.params, net.x, net.delta)


@pytest.mark.spec("X.2")
@given(networks(sizes=[(4, 3, 2), (2, 5, 1, 3)], batches=[()], lasts=SIGMAS))
def test_one_cotangent_serves_both_layouts_of_the_jacobian(net):
    def numerator(params, x, delta):  # ∂a^L_i/∂x_j at (i, j): the cotangent is a row, on the left
        return delta @ jax.jacobian(lambda x: net.rule.forward(params, x)[0])(x)

    def denominator(params, x, delta):  # ∂a^L_j/∂x_i at (i, j): a column, on the right
        return jax.jacobian(lambda x: net.rule.forward(params, x)[0])(x).T @ delta

    for layout in (numerator, denominator):
        assert_agrees(lambda *args: hand(net.rule)(*args)[1], layout, net.params, net.x, net.delta)


@pytest.mark.spec("X.2")
@given(st.booleans(), seeds)
def test_targets_need_not_sum_to_one(normalised, seed):
    z, t = normal(seed, 3, 4), abs(normal(seed + 1, 3, 4))
    t = t / t.sum(axis=-1, keepdims=True) if normalised else t
    loss = losses.softmax_cross_entropy_dense

    def by_hand(z, t):
        return loss.backward(loss.forward(z, t)[1])

    def definition(z, t):
        return jax.grad(lambda z: -jnp.sum(t * jax.nn.log_softmax(z)))(z)

    assert_agrees(by_hand, definition, z, t)
    p_minus_t = distance(by_hand, lambda z, t: jax.nn.softmax(z) - t, z, t)
    assert (p_minus_t <= AGREES_WITHIN) == normalised


@pytest.mark.spec("X.2")
@given(networks(activations=[rules.tanh]))
def test_a_half_in_the_loss_is_a_half_in_every_gradient(net):
    def without(a, y):
        return jnp.sum((a - y) ** 2)

    whole = bp.Loss("squared_error", lambda a, y: (without(a, y), a - y), lambda error: 2 * error)
    with_half = measure(
        bp.value_and_grad(net.rule, losses.half_squared_error), net.params, net.x, net.y
    ).value
    twice = measure(bp.value_and_grad(net.rule, whole), net.params, net.x, net.y).value
    for half, full in zip(jax.tree.leaves(with_half[1]), jax.tree.leaves(twice[1]), strict=True):
        assert np.array_equal(2 * half, full)
