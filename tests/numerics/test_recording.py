"""A recorded program: the same result, and what would come out if a value in it were another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.recording import Recording
from backproof.numerics.tracing import trace

X = np.array([0.5, -1.0, 2.0])


def is_sin(eqn):
    return "sin" if eqn.primitive.name == "sin" else None


def straight(x):
    return jnp.sin(x) * 3 + x


def called(x):
    return jax.jit(lambda v: jnp.sin(v) * 3)(x) + x


def softened(x):
    return {"p": jax.nn.softmax(jnp.sin(x)), "x": x}


def looped(x):
    return jax.lax.fori_loop(0, 2, lambda i, v: v + jnp.cos(v), jnp.sin(x))


def after(function):
    """Return the function of the value of sin alone, x being what it is."""
    return {
        straight: lambda s: s * 3 + X,
        called: lambda s: s * 3 + X,
        softened: lambda s: {"p": np.exp(s) / np.exp(s).sum(), "x": X},
        looped: lambda s: (s + np.cos(s)) + np.cos(s + np.cos(s)),
    }[function]


@pytest.mark.parametrize("function", [straight, called, softened, looped])
def test_the_result_is_that_of_the_program_and_follows_a_value_that_is_replaced(function):
    recording = Recording(trace(function, X), (X,))
    (step,) = recording.marks(is_sin)["sin"]
    rows = recording.replaced([step], [[np.sin(X)], [X / 8]])
    for value, row in zip((np.sin(X), X / 8), rows, strict=True):
        for mine, true in zip(row, jax.tree.leaves(after(function)(value)), strict=True):
            assert np.max(np.abs(mine - true)) <= 4 * np.finfo(float).eps * np.max(np.abs(true))
    for mine, true in zip(
        *map(jax.tree.leaves, (recording.result(), after(function)(np.sin(X)))), strict=True
    ):
        assert np.max(np.abs(mine - true)) <= 4 * np.finfo(float).eps * np.max(np.abs(true))


def test_many_values_give_what_each_gives_alone():
    recording = Recording(trace(straight, X), (X,))
    steps = recording.marks(is_sin)["sin"]
    values = [[X * k] for k in range(300)]
    rows = list(recording.replaced(steps, values))
    assert len(rows) == 300
    for (value,), (row,) in zip(values, rows, strict=True):
        np.testing.assert_array_equal(row, value * 3 + X)


def test_a_value_replaced_by_itself_changes_nothing_and_only_what_comes_after_is_evaluated():
    recording = Recording(trace(called, X), (X,))
    steps = recording.marks(is_sin)["sin"]
    ((same,),) = recording.replaced(steps, [[recording.value(steps[0].results[0])]])
    np.testing.assert_array_equal(same, recording.result())
    assert recording.marks(lambda eqn: "cos" if eqn.primitive.name == "cos" else None) == {}
