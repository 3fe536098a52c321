"""S3.8 to S3.10: softmax and cross entropy, from the quotient rule to p − 1(y = k), and its precondition."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreement import assert_agrees, assert_value
from backproof import losses, rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import networks, seeds

cross_entropy = losses.softmax_cross_entropy
classes = st.sampled_from([1, 2, 3, 5])


def delta(z, target):
    """Return ∂J/∂z as the library takes it."""
    return cross_entropy.backward(cross_entropy.forward(z, target)[1])


def softmax(z):
    return rules.softmax.forward((), z)[0]


def shipped_jacobian(z):
    """Return ∂p/∂z, one row for each p_i."""
    _, residuals = rules.softmax.forward((), z)
    return jnp.stack([rules.softmax.backward((), residuals, e_i)[1] for e_i in np.eye(len(z))])


@pytest.mark.spec("S3.8")
@given(K=classes, seed=seeds)
def test_the_slope_of_p_is_p_minus_its_square_on_the_diagonal_and_minus_a_product_off_it(K, seed):
    z = np.random.default_rng(seed).normal(size=K)

    def entries(z):  # ∂p_1/∂z_1 = p_1 − p_1²,   ∂p_2/∂z_1 = −p_1 p_2
        p = jnp.exp(z) / jnp.exp(z).sum()
        return jnp.stack(
            [jnp.stack([p[i] - p[i] ** 2 if i == k else -p[k] * p[i] for k in range(K)]) for i in range(K)]
        )

    assert_agrees(shipped_jacobian, entries, z)
    assert_agrees(shipped_jacobian, jax.jacobian(softmax), z)


@pytest.mark.spec("S3.8", "S3.9")
@given(K=classes, y=st.integers(0, 4), seed=seeds)
def test_the_chain_over_all_p_collapses_to_p_minus_the_indicator(K, y, seed):
    z, y = np.random.default_rng(seed).normal(size=K), y % K
    t = np.eye(K)[y]

    def over_all_p(z):  # ∂J/∂z_k = Σ_i −1(y = i) / p_i · ∂p_i/∂z_k
        p, dp = softmax(z), shipped_jacobian(z)
        return jnp.stack([sum(-t[i] / p[i] * dp[i, k] for i in range(K)) for k in range(K)])

    assert_agrees(lambda z: delta(z, jnp.asarray(y)), over_all_p, z)
    assert_agrees(lambda z: delta(z, jnp.asarray(y)), lambda z: softmax(z) - t, z)
    assert_agrees(lambda z: delta(z, jnp.asarray(y)), jax.grad(lambda z: -jax.nn.log_softmax(z)[y]), z)


@pytest.mark.spec("S3.9")
@given(K=classes, seed=seeds)
def test_the_softmax_jacobian_is_symmetric_of_rank_k_minus_1_and_kills_the_ones(K, seed):
    z = np.random.default_rng(seed).normal(size=K)
    assert_agrees(shipped_jacobian, lambda z: jnp.diag(softmax(z)) - jnp.outer(softmax(z), softmax(z)), z)
    assert_agrees(shipped_jacobian, lambda z: shipped_jacobian(z).T, z)
    assert_agrees(lambda z: shipped_jacobian(z) @ jnp.ones(K), jnp.zeros_like, z)
    # the minor without the last row and column has the determinant p_1 … p_K, which is not 0
    minor = lambda z: jnp.linalg.det(shipped_jacobian(z)[: K - 1, : K - 1])
    if K > 1:
        assert_agrees(minor, lambda z: softmax(z).prod(), z)
        assert measure(minor, z).value > AGREES_WITHIN * measure(minor, z).noise


@pytest.mark.spec("S3.9")
@given(net=networks(activations=[rules.relu], lasts=[rules.identity]), seed=seeds)
def test_the_errors_of_the_classes_cancel_and_so_do_the_rows_of_the_last_gradient(net, seed):
    y = np.random.default_rng(seed).integers(0, net.y.shape[-1], net.y.shape[:-1])

    def sums(params, x):
        z, residuals = net.rule.forward(params, x)
        e = delta(z, jnp.asarray(y))
        grads, _ = net.rule.backward(params, residuals, e)
        return e.sum(axis=-1), grads[-1]["W"].sum(axis=0), grads[-1]["b"].sum()

    zeros = np.zeros(y.shape), np.zeros(net.params[-1]["W"].shape[1]), np.zeros(())
    assert_agrees(sums, lambda *_: zeros, net.params, net.x)


@pytest.mark.spec("S3.10")
@given(K=classes, batch=st.sampled_from([(), (1,), (4,)]), seed=seeds)
def test_for_any_target_the_error_is_p_times_its_sum_minus_the_target(K, batch, seed):
    z, t = np.random.default_rng(seed).normal(size=(2, *batch, K))

    def documents(z, t):
        p = jnp.exp(z) / jnp.broadcast_to(jnp.exp(z).sum(axis=-1, keepdims=True), z.shape)
        return p * jnp.broadcast_to(t.sum(axis=-1, keepdims=True), t.shape) - t

    assert_agrees(delta, documents, z, t)
    assert_agrees(delta, jax.grad(lambda z, t: -(t * jax.nn.log_softmax(z)).sum()), z, t)


@pytest.mark.spec("S3.10")
def test_p_minus_t_is_not_the_error_when_the_target_sums_to_2():
    z, t = np.array([math.log(35), 0.0]), np.ones(2)  # p = (35/36, 1/36)
    assert_value(delta, (z, t), np.array([34 / 36, -34 / 36]))
    assert_value(lambda z, t: softmax(z) - t, (z, t), np.array([-1 / 36, -35 / 36]))


@pytest.mark.spec("S3.10")
@given(K=classes, excess=st.floats(0.01, 2), seed=seeds)
def test_p_minus_t_is_the_error_only_if_the_target_sums_to_1(K, excess, seed):
    rng = np.random.default_rng(seed)
    z, t = rng.normal(size=K), rng.dirichlet(np.ones(K))
    naive = lambda z, t: softmax(z) - t
    assert_agrees(delta, naive, z, t)
    assert distance(delta, naive, z, (1 + excess) * t) > AGREES_WITHIN
