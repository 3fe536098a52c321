"""Two programs are the same if their operations and constants are; code on the host never is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.tracing import same_program, trace

pytestmark = pytest.mark.as_user
X = np.array([0.3, 1.2])


def times(weights):
    return lambda x: jnp.sin(x) * jnp.asarray(weights)


def on_the_host(factor):
    like = jax.ShapeDtypeStruct(X.shape, X.dtype)
    return lambda x: jax.pure_callback(lambda x: np.asarray(x) * factor, like, x)


def test_the_same_code_traced_twice_is_the_same():
    assert same_program(trace(times([1.0, 2.0]), X), trace(times([1.0, 2.0]), X))
    assert not same_program(trace(jnp.sin, X), trace(jnp.cos, X))


def test_constants_that_differ_are_seen_also_inside_loops():
    assert not same_program(trace(times([1.0, 2.0]), X), trace(times([1.0, 2.1]), X))
    looped = lambda w: lambda x: jax.lax.fori_loop(0, 3, lambda _, c: times(w)(c), x)
    assert not same_program(trace(looped([1.0, 2.0]), X), trace(looped([1.0, 2.1]), X))


def test_code_on_the_host_does_not_show_what_it_computes():
    assert not same_program(trace(on_the_host(1.0), X), trace(on_the_host(0.9), X))
