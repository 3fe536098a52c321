"""The gated recurrent unit against a plain loop, gate by gate, and against mpmath by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_recurrences import (
    SHAPES,
    assert_caught,
    assert_is_exactly,
    recurrent_point,
    sigma,
    tanh,
)
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees, assert_value
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import gru
from slips_in_files import assert_named

N, WIDTH = 2, 3


def looped(params, x, reset_after=False):
    """Return all states, each from the one before, with a product for each gate."""
    W, U, b = (params[leaf].reshape(3, WIDTH, *params[leaf].shape[1:]) for leaf in ("W", "U", "b"))
    h = jnp.zeros((*x.shape[:-2], WIDTH))
    states = [h[..., None, :][..., :0, :]]

    def by(gate, x_t, h):
        return jnp.einsum("ij,...j->...i", W[gate], x_t) + jnp.broadcast_to(b[gate], h.shape)

    for t in range(x.shape[-2]):
        z_r, z_u, z_c = (by(gate, x[..., t, :], h) for gate in range(3))
        r = jax.nn.sigmoid(z_r + jnp.einsum("ij,...j->...i", U[0], h))
        u = jax.nn.sigmoid(z_u + jnp.einsum("ij,...j->...i", U[1], h))
        last = jnp.einsum("ij,...j->...i", U[2], h if reset_after else r * h)
        c = jnp.tanh(z_c + (r * last if reset_after else last))
        h = u * h + (1 - u) * c
        states.append(h[..., None, :])
    return jnp.concatenate(states, axis=-2)


BY_AUTODIFF = by_autodiff_with(looped)


def point(batch, steps, seed):
    return recurrent_point(3, N, WIDTH, batch, steps, seed)


@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_it_is_a_loop_over_time_and_gradients_are_summed_over_time_and_batch(shape, seed):
    assert_agrees(by_hand_with(gru(WIDTH)), BY_AUTODIFF, *point(*shape, seed))


def test_its_reset_gate_acts_before_the_product():
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(
            lambda params, x: gru(WIDTH).forward(params, x)[0],
            lambda params, x: looped(params, x, reset_after=True),
            *point((2,), 4, 0)[:2],
        )


def test_it_is_its_recursion_in_exact_numbers():
    def exactly(params, x):
        h, states = np.zeros(WIDTH), []
        U_r, U_u, U_c = np.split(params["U"], 3)
        for x_t in x:
            z_r, z_u, z_c = np.split(params["W"] @ x_t + params["b"], 3)
            r, u = sigma(z_r + U_r @ h), sigma(z_u + U_u @ h)
            h = u * h + (1 - u) * tanh(z_c + U_c @ (r * h))
            states.append(h)
        return np.stack(states)

    assert_is_exactly(gru(WIDTH), exactly, *point((), 3, 0))


def test_an_open_update_gate_carries_the_state_through_any_number_of_steps():
    """The first step sets the state, as u = σ(−100); in the others u = σ(100) = 1."""
    params = {"W": np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), "U": np.zeros((3, 1)), "b": np.zeros(3)}
    x = np.stack([np.zeros(50), np.full(50, 100.0)], axis=-1)
    x[0] = 0.5, -100.0

    def state_and_slope(params, x, delta):
        y, (_, delta_x) = by_hand_with(gru(1))(params, x, delta)
        return y, delta_x[0, 0]

    expected = np.full((50, 1), np.tanh(0.5)), 1 - np.tanh(0.5) ** 2
    assert_value(state_and_slope, (params, x, np.eye(50)[-1:].T), expected)


MUTANTS = {
    "h for r ⊙ h": ("2 * width :], r * h_before)", "2 * width :], h_before)"),
    "the rows of U_c left as those of the gates": ('grads["U"].at[2 * width :].set(grad_U_c)', 'grads["U"]'),
    "the state after the step": ("slope_u = (h_before - c)", "slope_u = (h - c)"),
    "u and 1 − u exchanged": ("slope_u = (h_before - c)", "slope_u = (c - h_before)"),
    "no way back through the update gate": ("delta_h * u + r * e +", "r * e +"),
    "no reset on the way back": ("delta_h * u + r * e +", "delta_h * u + e +"),
    "no way back through the gates": (" + delta_gates @ U_gates", ""),
    "the slope of the reset gate forgotten": ("h_before * (r * (1 - r))", "h_before"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    assert_caught(gru(WIDTH), *MUTANTS[name], BY_AUTODIFF, point((2,), 4, 0))


def test_it_keeps_four_numbers_for_each_unit_and_step():
    params, x, _ = point((2,), 4, 0)
    kept = gru(WIDTH).forward(params, jnp.float32(x))[1]
    assert [leaf.shape for leaf in jax.tree.leaves(kept)] == [x.shape, *[(2, 4, WIDTH)] * 4]
    started, y = gru(WIDTH).init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, "bfloat16"))
    assert jax.tree.map(jnp.shape, started) == jax.tree.map(np.shape, params)
    assert (y.shape, y.dtype) == ((2, 4, WIDTH), jnp.bfloat16)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="gru: width must be a whole number of at least 1"):
        gru("3")
    params, x, _ = point((), 4, 0)
    with pytest.raises(UsageError, match=r"gru\(3\): x must be sequences of shape"):
        gru(WIDTH).init(jax.random.key(0), jax.ShapeDtypeStruct((N,), "float32"))
    with pytest.raises(UsageError, match=r"U must have shape \(9, 3\)"):
        gru(WIDTH).forward({**params, "U": params["U"][:WIDTH]}, x)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("2 * width :], r * h_before)", "2 * width :], h_before)"),
        ("slope_u = (h_before - c)", "slope_u = (h - c)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.gru(2)._replace(domain=array("2 3 1"))

    assert_named(gru(2), right, wrong, tmp_path, made, examples=60)
