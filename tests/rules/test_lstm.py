"""The long short-term memory against a plain loop, gate by gate, and against mpmath by differences."""

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
from backproof.rules import lstm
from slips_in_files import assert_named

N, WIDTH = 2, 3


def looped(params, x):
    """Return all states, each from the one before, with a product for each gate."""
    W, U, b = (params[leaf].reshape(4, WIDTH, *params[leaf].shape[1:]) for leaf in ("W", "U", "b"))
    h = c = jnp.zeros((*x.shape[:-2], WIDTH))
    states = [jnp.zeros((*x.shape[:-2], 0, WIDTH))]

    def before(gate, x_t, h):
        shift = jnp.broadcast_to(b[gate], h.shape)
        return jnp.einsum("ij,...j->...i", W[gate], x_t) + jnp.einsum("ij,...j->...i", U[gate], h) + shift

    for t in range(x.shape[-2]):
        i, f, g, o = (before(gate, x[..., t, :], h) for gate in range(4))
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        states.append(h[..., None, :])
    return jnp.concatenate(states, axis=-2)


BY_AUTODIFF = by_autodiff_with(looped)


def point(batch, steps, seed):
    return recurrent_point(4, N, WIDTH, batch, steps, seed)


@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_it_is_a_loop_over_time_and_gradients_are_summed_over_time_and_batch(shape, seed):
    assert_agrees(by_hand_with(lstm(WIDTH)), BY_AUTODIFF, *point(*shape, seed))


def test_it_is_its_recursion_in_exact_numbers():
    def exactly(params, x):
        h, c, states = np.zeros(WIDTH), np.zeros(WIDTH), []
        for x_t in x:
            i, f, g, o = np.split(params["W"] @ x_t + params["U"] @ h + params["b"], 4)
            c = sigma(f) * c + sigma(i) * tanh(g)
            h = sigma(o) * tanh(c)
            states.append(h)
        return np.stack(states)

    assert_is_exactly(lstm(WIDTH), exactly, *point((), 3, 0))


def test_an_open_forget_gate_carries_the_cell_and_its_error_through_any_number_of_steps():
    """With i = f = o = 1 and g from the first step alone, c is a constant, and so is its error."""
    params = {"W": np.zeros((4, 1)), "U": np.zeros((4, 1)), "b": np.array([100.0, 100.0, 0.0, 100.0])}
    params["W"][2] = 1
    x = np.zeros((50, 1))
    x[0] = 0.5
    state = np.tanh(np.tanh(0.5))
    slope = (1 - state**2) * (1 - np.tanh(0.5) ** 2)

    def state_and_slope(params, x, delta):
        y, (_, delta_x) = by_hand_with(lstm(1))(params, x, delta)
        return y, delta_x[0]

    expected = np.full((50, 1), state), np.array([slope])
    assert_value(state_and_slope, (params, x, np.eye(50)[-1:].T), expected)


MUTANTS = {
    "the cell after the step": ("slope_f = c_before * (", "slope_f = c * ("),
    "the slope of a sigmoid for g": ("i * ((1 - g) * (1 + g))", "i * (g * (1 - g))"),
    "the gates i and f exchanged": ("[slope_i, slope_f, slope_g]", "[slope_f, slope_i, slope_g]"),
    "the cell sent back without its gate": ("(delta_z @ U, f * delta_c)", "(delta_z @ U, delta_c)"),
    "no way back through the cell": ("delta_h * slope_c + later[1]", "delta_h * slope_c"),
    "no way back through the state": ("delta_h = delta_y + later[0]", "delta_h = delta_y"),
    "the cell for its tanh": ("slope_o = a * (", "slope_o = c * ("),
    "the state after the step": ("x, before(o * a)), to_input", "x, o * a), to_input"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    assert_caught(lstm(WIDTH), *MUTANTS[name], BY_AUTODIFF, point((2,), 4, 0))


def test_it_starts_with_open_forget_gates():
    params, y = lstm(WIDTH).init(jax.random.key(0), jax.ShapeDtypeStruct((2, 4, N), "bfloat16"))
    assert params["b"].tolist() == [*[0] * WIDTH, *[1] * WIDTH, *[0] * 2 * WIDTH]
    assert (y.shape, y.dtype) == ((2, 4, WIDTH), jnp.bfloat16)


def test_it_keeps_five_numbers_for_each_unit_and_step():
    params, x, _ = point((2,), 4, 0)
    kept = lstm(WIDTH).forward(params, jnp.float32(x))[1]
    assert [leaf.shape for leaf in jax.tree.leaves(kept)] == [x.shape, *[(2, 4, WIDTH)] * 5]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="lstm: width must be a whole number of at least 1"):
        lstm(1.5)
    params, x, _ = point((), 4, 0)
    with pytest.raises(UsageError, match=r"lstm\(3\): x must be sequences of shape"):
        lstm(WIDTH).init(jax.random.key(0), jax.ShapeDtypeStruct((N,), "float32"))
    with pytest.raises(UsageError, match=r"W must have shape \(12, 2\)"):
        lstm(WIDTH).forward({**params, "W": params["W"][:WIDTH]}, x)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("slope_f = c_before * (", "slope_f = c * ("),
        ("x, before(o * a)), to_input", "x, o * a), to_input"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.lstm(2)._replace(domain=array("2 3 1"))

    assert_named(lstm(2), right, wrong, tmp_path, made, examples=60)
