"""The formal Jacobians and what rests on them, read as jnp, against the code that ships and autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
import mirror
from agreement import assert_agrees
from backproof import losses, rules
from backproof.numerics.tracing import float64
from backproof.verification.diagnosis.balances import inner
from drawn import SIZES, Drawn, few, names, seeds, shipped_grads, to_shipped

single = st.builds(Drawn, st.sampled_from(SIZES), st.just(1), names, names, seeds)


@few
@given(single)
def test_the_product_of_jacobians_gives_the_shipped_delta(net):
    def formal(th, x, g):
        z = mirror.z1(th, x)
        delta_L = mirror.had(g, mirror.last_act(net.A).slope(mirror.last_z(net.A, th, z)))
        return mirror.jacobian_product(net.A, th, z).T @ delta_L

    def shipped(th, x, g):
        _, residuals, params = net.shipped(th, x)
        return bp.deltas(params, residuals, g.T)[0].T

    assert_agrees(formal, shipped, net.th, net.X, net.G)


@few
@given(single)
def test_the_product_is_the_jacobian_of_the_last_z(net):
    def sides(th, z, side):
        last = lambda z: mirror.last_z(net.A, th, z)
        return mirror.is_jacobian(last, z, mirror.jacobian_product(net.A, th, z))[side]

    W, b = net.th[0]
    z = W @ net.X + b
    assert_agrees(lambda th, z: sides(th, z, 0), lambda th, z: sides(th, z, 1), net.th, z)


@few
@given(single)
def test_the_product_of_levels_gives_the_shipped_error_of_the_input(net):
    formal = lambda th, x, g: mirror.level_product(net.A, th, x).T @ g
    assert_agrees(formal, lambda *args: shipped_grads(net, *args)[1], net.th, net.X, net.G)


@few
@given(seed=seeds)
def test_columns_and_rows_are_scaled_by_products_with_a_diagonal_matrix(seed):
    rng = np.random.default_rng(seed)
    W, d, e = rng.normal(size=(3, 2)), rng.normal(size=(2, 1)), rng.normal(size=(3, 1))
    diagonal = lambda v: jnp.diag(v[:, 0])
    assert_agrees(mirror.scaled_columns, lambda W, d: W @ diagonal(d), W, d)
    assert_agrees(mirror.scaled_rows, lambda e, W: diagonal(e) @ W, e, W)


@few
@given(single)
def test_every_g_has_the_value_of_the_loss_and_the_gradient_that_ships(net):
    def formal(th, x, g):
        loss = lambda a: inner(a, g)
        value, of_th = jax.value_and_grad(lambda th: mirror.g_from(net.A, loss, th, x))(th)
        return value, of_th

    def shipped(th, x, g):
        return inner(net.shipped(th, x)[0].T, g), shipped_grads(net, th, x, g)[0]

    assert_agrees(formal, shipped, net.th, net.X, net.G)


@few
@given(n=st.sampled_from([2, 5]), seed=seeds)
def test_the_jacobian_of_softmax_gives_the_shipped_pullback(n, seed):
    z, g = np.random.default_rng(seed).normal(size=(2, n, 1))

    def shipped(z, g):
        return rules.softmax.backward((), rules.softmax.forward((), z[:, 0])[1], g[:, 0])[1][:, None]

    def weighted(z, g):
        p = mirror.softmax(z)
        return mirror.had(p, g - mirror.dot(p, g))

    assert_agrees(lambda z, g: mirror.softmax_jacobian(z) @ g, shipped, z, g)
    assert_agrees(weighted, shipped, z, g)


@few
@given(batch=st.sampled_from([1, 3]), activation=names, seed=seeds)
def test_a_residual_connection_adds_the_error_from_above(batch, activation, seed):
    net = Drawn((3, 2, 3), batch, activation, "identity", seed)

    def formal(th, X, G):
        return jax.vjp(lambda th, X: mirror.residual(net.A, th, X), th, X)[1](G)

    def shipped(th, X, G):
        grads, delta_x = shipped_grads(net, th, X, G)
        return grads, G + delta_x

    assert_agrees(formal, shipped, net.th, net.X, net.G)


@few
@given(n=st.sampled_from([2, 5]), seed=seeds)
def test_layer_norm_and_its_pullback(n, seed):
    z, g = np.random.default_rng(seed).normal(size=(2, n, 1))
    eps = 1e-5
    value = lambda z: (z - jnp.mean(z)) / jnp.sqrt(jnp.var(z) + eps)

    def pullback(z, g):
        y = mirror.layer_norm(eps, z)
        return (mirror.centred(g) - mirror.mean(mirror.had(g, y)) * y) / mirror.deviation(eps, z)

    assert_agrees(lambda z: mirror.layer_norm(eps, z), value, z)
    assert_agrees(pullback, lambda z, g: jax.vjp(value, z)[1](g)[0], z, g)


def of_weights(th, x, label):
    """Return the shipped gradient of each W, under the cross-entropy of the label."""
    sizes = (th[0][0].shape[1], *(len(W) for W, _ in th))
    gradient = bp.value_and_grad(bp.mlp(sizes, rules.relu), losses.softmax_cross_entropy)
    grads = gradient(to_shipped(th), x.T, jnp.asarray([label]))[1]
    return [layer["W"] for layer in grads]


def test_a_misclassified_sample_of_three_classes_gains_less_than_the_factor():
    with float64():
        th, x = mirror.three_weights(), jnp.full((1, 1), 0.01)
        assert mirror.relu_net(mirror.three)
        assert mirror.no_bias(th)
        assert mirror.lead(mirror.three, th, x, 0, 1) > 0
        (small,), (large,) = of_weights(th, x, 0), of_weights(th, 100 * x, 0)
        assert 80 < float(abs(large).max() / abs(small).max()) < 80.1
        assert round(float(jnp.linalg.norm(large) / jnp.linalg.norm(small)), 1) == 92.4


def test_the_claim_of_document_003_fails_in_testnet():
    with float64():
        th, x = mirror.testnet_weights(), jnp.ones((3, 1))
        assert mirror.off_kinks(mirror.testnet, th, mirror.z1(th, x))
        for small, large in zip(of_weights(th, x, 0), of_weights(th, 1000 * x, 0), strict=True):
            assert abs(large).max() < 1000 * abs(small).max()
