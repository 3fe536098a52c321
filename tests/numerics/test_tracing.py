"""What is traced, and that nothing is computed which the result does not need."""

import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.interpreter import run
from backproof.numerics.tracing import trace
from backproof.verification.claims.claim import pullback

pytestmark = pytest.mark.smoke


def names(jaxpr):
    inner = (value for eqn in jaxpr.eqns for value in eqn.params.values() if hasattr(value, "jaxpr"))
    return {eqn.primitive.name for eqn in jaxpr.eqns}.union(*(names(value.jaxpr) for value in inner))


def test_the_value_of_the_function_is_not_computed_for_its_pullback():
    x = np.linspace(-1, 1, 5)
    program = trace(pullback(jnp.sin), (x,), np.ones(5))
    assert "sin" not in names(program.jaxpr.jaxpr)
    assert "cos" in names(program.jaxpr.jaxpr)
    np.testing.assert_array_max_ulp(run(program, ((x,), np.ones(5)))[0][0], np.cos(x), maxulp=2)


def test_arguments_that_are_not_needed_and_constants_stay():
    held = np.arange(3.0)
    program = trace(lambda x, unused: x * held, np.ones(3), np.zeros(2))
    assert run(program, (np.full(3, 2.0), np.zeros(2)))[0].tolist() == [0, 2, 4]
