"""S3.19: in float32 the literal softmax overflows and the unfused chain divides 0 by 0; ours does neither.

This file runs on JAX itself, in float32: the subject is what XLA computes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from backproof import losses, rules
from backproof.numerics.noise import FLUSHED
from backproof.numerics.tolerance import AGREES_WITHIN

cross_entropy = losses.softmax_cross_entropy
TINY = float(np.finfo(np.float32).tiny)  # below it XLA flushes to 0
LITERAL_FAILS = 89.0  # e^89 is above the largest float32
far = st.floats(LITERAL_FAILS, float(np.finfo(np.float32).max) / 4, width=32)
near = st.floats(40.0, LITERAL_FAILS, width=32)
beyond = st.floats(110.0, 2.0**100, width=32)  # e^−110 is below every float32
layouts = st.sampled_from([(0, 1), (1, 0), (2, 0), (0, 2)])  # (the class on top, another class), K = 3


@jax.jit
def literal(z):
    return jnp.exp(z) / jnp.broadcast_to(jnp.exp(z).sum(), z.shape)


@jax.jit
def ours(z, y):
    J, residuals = cross_entropy.forward(z, y)
    return J, cross_entropy.backward(residuals), rules.softmax.forward((), z)[0]


@jax.jit
def literal_gradient(z, y):
    return jax.grad(lambda z: -jnp.log(literal(z))[y])(z)


@jax.jit
def fused_autodiff(z, y):
    return jax.grad(lambda z: -jax.nn.log_softmax(z)[y])(z)


@jax.jit
def gradient_through_p(z, t):
    return jax.grad(lambda z: -(t * jnp.log(jax.nn.softmax(z))).sum())(z)


@jax.jit
def unfused(p, t):
    """Return S3.8 as it stands: ∂J/∂z_k = Σ_i −t_i / p_i · ∂p_i/∂z_k."""
    return (-t / p) @ (jnp.diag(p) - jnp.outer(p, p))


def logits(top, at):
    return jnp.zeros(3, jnp.float32).at[at].set(top)


@pytest.mark.spec("S3.19")
@given(top=far, at=st.integers(0, 2))
def test_where_the_exponential_overflows_the_literal_softmax_and_its_gradient_are_nan(top, at):
    z = logits(top, at)
    assert np.isnan(literal(z)[at])
    assert np.all(np.isnan(literal_gradient(z, at)[at]))


def agrees(got, truth, size):
    """Say whether float32 `got` is `truth`, known in float64, summed from terms of this size."""
    noise = np.finfo(np.float32).eps * size + FLUSHED * TINY
    return np.all(np.abs(np.asarray(got, np.float64) - truth) <= AGREES_WITHIN * noise)


@pytest.mark.spec("S3.19")
@given(top=st.one_of(far, near), at=layouts)
def test_our_loss_and_its_gradient_are_right_where_the_literal_ones_are_not(top, at):
    highest, other = at
    shifted = np.where(np.arange(3) == highest, 0, -top)
    p = np.exp(shifted) / np.exp(shifted).sum()
    log_p = shifted - np.log(np.exp(shifted).sum())
    for y in (highest, other):
        t = np.eye(3)[y]
        J, delta, shipped_p = ours(logits(top, highest), y)
        assert agrees(shipped_p, p, p)
        assert agrees(delta, p - t, p + t)
        assert agrees(J, -log_p[y], 1 + np.abs(shifted[y]))


@pytest.mark.spec("S3.19")
@given(top=beyond, at=layouts)
def test_beyond_the_smallest_number_our_error_is_the_indicators_bit_for_bit(top, at):
    highest, other = at
    one_hot = np.eye(3, dtype=np.float32)
    for y in (highest, other):
        _, delta, _ = ours(logits(top, highest), y)
        assert np.array_equal(delta, one_hot[highest] - one_hot[y])


@pytest.mark.spec("S3.19")
@given(at=layouts)
def test_the_unfused_chain_is_nan_for_a_class_of_probability_0_and_p_minus_t_is_not(at):
    highest, _ = at
    p = t = jnp.eye(3, dtype=jnp.float32)[highest]  # the absent classes: 0 / 0
    assert np.any(np.isnan(unfused(p, t)))
    assert not np.any(p - t)


@pytest.mark.spec("S3.19")
@given(top=beyond, at=layouts)
def test_autodiff_of_the_logarithm_of_softmax_is_nan_where_that_of_log_softmax_and_ours_are_right(top, at):
    highest, _ = at
    z, t = logits(top, highest), jnp.eye(3, dtype=jnp.float32)[highest]
    assert np.any(np.isnan(gradient_through_p(z, t)))
    assert np.array_equal(fused_autodiff(z, highest), ours(z, highest)[1])


@pytest.mark.spec("S3.19")
def test_our_backward_neither_divides_nor_takes_a_logarithm():
    z, y = jnp.zeros((2, 3)), jnp.zeros(2, jnp.int32)
    _, residuals = jax.eval_shape(cross_entropy.forward, z, y)
    program = str(jax.make_jaxpr(cross_entropy.backward)(residuals))
    for primitive in ("div", "log", "exp"):
        assert f" {primitive} " not in program
    assert " div " in str(jax.make_jaxpr(unfused)(z[0], z[0]))  # as the search would find it


NET = bp.mlp((1, 2), rules.identity)
net_gradient = jax.jit(bp.value_and_grad(NET, cross_entropy))


@pytest.mark.spec("S3.19")
@given(top=far)
def test_a_network_with_our_loss_has_a_finite_gradient_where_the_literal_loss_has_none(top):
    params = ({"W": jnp.asarray([[1.0], [0.0]]), "b": jnp.zeros(2)},)
    x = jnp.asarray([top], jnp.float32)  # z = (top, 0)
    _, grads = net_gradient(params, x, jnp.asarray(0))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(grads))
    assert np.any(np.isnan(literal_gradient(NET.forward(params, x)[0], 0)))
