"""Document 001: the gate is strict at z = 0 (S1.7, E1), and a batch is the sum of its samples (S1.8)."""

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
from networks import REFERENCE, SIGMAS, draw_network, hand, networks, output, seeds

RELUS = [rules.relu, rules.relu_with(0.5), rules.relu_with(1.0)]
ties = st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324]), min_size=1, max_size=6)


def through(gate):
    """Return (z, δa) -> δz by a shipped activation."""
    return lambda z, delta_a: gate.backward((), gate.forward((), z)[1], delta_a)[1]


@pytest.mark.spec("S1.7")
@given(ties, seeds)
def test_nothing_passes_the_gate_at_zero_of_either_sign(zs, seed):
    z = np.array(zs)
    delta_a = np.random.default_rng(seed).normal(size=z.shape)
    dz = measure(through(rules.relu), z, delta_a).value
    assert np.array_equal(dz, np.where(z > 0, delta_a, 0))
    autodiff = measure(lambda z, d: jax.vjp(jax.nn.relu, z)[1](d)[0], z, delta_a).value
    assert np.array_equal(dz, autodiff)


@pytest.mark.spec("S1.7", "E1")
def test_the_smallest_network_at_a_tie_tells_the_two_gates_apart():
    params, x, y = ({"W": jnp.ones((1, 1)), "b": jnp.zeros(1)},), jnp.zeros(1), jnp.ones(1)

    def db(gate):
        value_and_grad = bp.value_and_grad(bp.mlp((1, 1), gate, last=gate), losses.half_squared_error)
        return value_and_grad(params, x, y)[1][0]["b"].item()

    assert db(rules.relu) == 0  # z > 0, and notebook 7.2
    assert db(rules.relu_with(1.0)) == -1  # z ≥ 0, and notebook 7.3


@pytest.mark.spec("E1")
@given(networks(batches=[()], activations=[rules.relu]))
def test_away_from_zero_the_two_gates_are_one(net):
    sizes = [net.x.size, *(len(p["b"]) for p in net.params)]
    other = bp.mlp(sizes, rules.relu_with(1.0), net.rule.parts[-1])
    assert_agrees(hand(net.rule), hand(other), net.params, net.x, net.delta)


@pytest.mark.spec("E1")
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (jax.nn.relu, 0.0),
        (lambda z: jnp.where(z > 0, z, jnp.zeros_like(z)), 0.0),
        (lambda z: jnp.maximum(z, 0), 0.5),
        (lambda z: jnp.where(z >= 0, z, jnp.zeros_like(z)), 1.0),
        (lambda z: (z + jnp.abs(z)) / 2, 1.0),
    ],
)
def test_equal_functions_differ_in_the_slope_that_autodiff_gives_them_at_zero(f, slope):
    gate = rules.relu_with(slope) if slope else rules.relu
    assert jax.grad(f)(0.0) == slope == through(gate)(jnp.zeros(()), jnp.ones(()))


@pytest.mark.spec("E1")
@given(networks(sizes=[(2, 4, 3), (1, 3, 2)], batches=[()], activations=[rules.relu]))
def test_the_books_jacobian_layout_is_the_transpose_of_autodiffs(net):
    z, W = net.params[0]["b"], net.params[1]["W"]  # any z of the right length

    def denominator(z, W):  # ∂z⁺_j/∂z_i at (i, j)
        return jnp.where(z > 0, 1.0, 0.0).astype(z.dtype)[:, None] * W.T

    def numerator(z, W):  # ∂z⁺_i/∂z_j at (i, j)
        return jax.jacobian(lambda z: W @ REFERENCE["relu"](z))(z)

    assert_agrees(denominator, lambda z, W: numerator(z, W).T, z, W)
    with pytest.raises(ValueError, match="shape"):
        distance(denominator, numerator, z, W)


@pytest.mark.spec("S1.8")
@given(networks(batches=[(1,), (3,), (2, 3)], lasts=SIGMAS))
def test_the_gradient_of_a_batch_is_the_sum_over_its_samples(net):
    def batched(*args):
        return hand(net.rule)(*args)[0]

    def one_by_one(params, x, delta):
        rows = x.reshape(-1, x.shape[-1]), delta.reshape(-1, delta.shape[-1])
        grads = jax.vmap(lambda x, d: hand(net.rule)(params, x, d)[0])(*rows)
        return jax.tree.map(lambda g: g.sum(axis=0), grads)

    def definition(params, x, delta):  # G(Σ_i L_i)
        return jax.grad(lambda p: jnp.sum(delta * output(net.sigma, p, x)))(params)

    assert_agrees(batched, one_by_one, net.params, net.x, net.delta)
    assert_agrees(batched, definition, net.params, net.x, net.delta)


@pytest.mark.spec("S1.8")
@given(st.sampled_from([(1,), (3,), (5,)]), st.sampled_from(SIGMAS), seeds)
def test_the_mean_divides_value_W_and_b_alike_by_the_batch(batch, activation, seed):
    net = draw_network((2, 5, 1, 3), batch, activation, rules.identity, seed)
    mean = bp.value_and_grad(net.rule, losses.mean(losses.half_squared_error))
    total = bp.value_and_grad(net.rule, losses.half_squared_error)

    def divided(*args):
        return jax.tree.map(lambda leaf: leaf / batch[0], total(*args))

    def definition(params, x, y):
        def L(params):
            return jnp.mean(jnp.sum((output(net.sigma, params, x) - y) ** 2, axis=-1)) / 2

        return jax.value_and_grad(L)(params)

    assert_agrees(mean, divided, net.params, net.x, net.y)
    assert_agrees(mean, definition, net.params, net.x, net.y)


@pytest.mark.spec("S1.8")
@given(networks(batches=[(3,)], activations=[rules.tanh]))
def test_a_mean_of_the_biases_alone_is_neither_convention(net):
    def b_averaged(*args):
        return [{**g, "b": g["b"] / 3} for g in hand(net.rule)(*args)[0]]

    def total(*args):
        return list(hand(net.rule)(*args)[0])

    def mean(*args):
        return jax.tree.map(lambda leaf: leaf / 3, total(*args))

    args = (net.params, net.x, net.delta)
    assert min(distance(b_averaged, total, *args), distance(b_averaged, mean, *args)) > AGREES_WITHIN
