"""The recurrent layer against a plain loop over time, by autodiff, and against mpmath by differences."""

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
    tanh,
)
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import rnn
from slips_in_files import assert_named

N, WIDTH = 2, 3


def looped(params, x):
    """Return all states, each from the one before, with products written as sums."""
    h, states = jnp.zeros((*x.shape[:-2], WIDTH)), [jnp.zeros((*x.shape[:-2], 0, WIDTH))]
    for t in range(x.shape[-2]):
        z = jnp.einsum("ij,...j->...i", params["W"], x[..., t, :])
        h = jnp.tanh(
            z + jnp.einsum("ij,...j->...i", params["U"], h) + params["b"].reshape([1] * (x.ndim - 2) + [-1])
        )
        states.append(h[..., None, :])
    return jnp.concatenate(states, axis=-2)


BY_AUTODIFF = by_autodiff_with(looped)


def point(batch, steps, seed):
    return recurrent_point(1, N, WIDTH, batch, steps, seed)


@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_it_is_a_loop_over_time_and_gradients_are_summed_over_time_and_batch(shape, seed):
    assert_agrees(by_hand_with(rnn(WIDTH)), BY_AUTODIFF, *point(*shape, seed))


def test_it_is_its_recursion_in_exact_numbers():
    def exactly(params, x):
        h, states = np.zeros(WIDTH), []
        for x_t in x:
            h = tanh(params["W"] @ x_t + params["U"] @ h + params["b"])
            states.append(h)
        return np.stack(states)

    assert_is_exactly(rnn(WIDTH), exactly, *point((), 3, 0))


MUTANTS = {
    "U with the state after the step": ("x, before(h)), to_input", "x, h), to_input"),
    "U not transposed on the way back": ("return delta_z @ U, delta_z", "return delta_z @ U.T, delta_z"),
    "the slope of a sigmoid": ("slope = (1 - h) * (1 + h)", "slope = h * (1 - h)"),
    "the slope of the step before": ("slope = (1 - h) * (1 + h)", "slope = 1 - before(h) ** 2"),
    "the error of h sent back, not that of z": ("return delta_z @ U,", "return (delta_h + from_later) @ U,"),
    "no way back through time": ("(delta_h + from_later) * slope", "delta_h * slope"),
    "the scan in the order of time": ("end, each, reverse=True)", "end, each)"),
    "b at the last step alone": (
        '"b": delta_z.sum(axis=over)',
        '"b": delta_z[..., -1, :].sum(axis=over[:-1])',
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    assert_caught(rnn(WIDTH), *MUTANTS[name], BY_AUTODIFF, point((2,), 4, 0))


def test_it_keeps_its_input_and_its_states():
    x = jnp.ones((2, 4, N))
    params, y = rnn(WIDTH).init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert y.shape == (2, 4, WIDTH)
    y, (kept, h) = rnn(WIDTH).forward(params, x)
    assert kept is x
    assert h is y or jnp.array_equal(h, y)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="rnn: width must be a whole number of at least 1"):
        rnn(0)
    params, x, _ = point((), 4, 0)
    with pytest.raises(UsageError, match=r"x must be sequences of shape \(…, steps, features\)"):
        rnn(WIDTH).forward(params, jnp.ones(N))
    with pytest.raises(UsageError, match="the input must be floating"):
        rnn(WIDTH).init(jax.random.key(0), jax.ShapeDtypeStruct((4, N), "int32"))
    for leaf, shape in {"W": (WIDTH, N + 1), "U": (WIDTH, N), "b": (N,)}.items():
        with pytest.raises(UsageError, match=f"{leaf} must have shape"):
            rnn(WIDTH).forward({**params, leaf: np.ones(shape)}, x)
    with pytest.raises(UsageError, match="U must be floating"):
        rnn(WIDTH).forward({**params, "U": np.ones((WIDTH, WIDTH), int)}, x)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("x, before(h)), to_input", "x, h), to_input"),
        ("slope = (1 - h) * (1 + h)", "slope = h * (1 - h)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.rnn(2)._replace(domain=array("2 3 3"))

    assert_named(rnn(2), right, wrong, tmp_path, made, examples=60)
