"""A comparison is known by the line of the user's code that makes it, in every program of that code."""

import jax.numpy as jnp
import numpy as np
import pytest

from backproof.numerics.interpreter import run
from backproof.numerics.lanes import Witness
from backproof.numerics.tracing import trace
from backproof.verification.running.sides import answers_of

pytestmark = pytest.mark.as_user


def above(x, i):
    kept = jnp.where(x > 2.5, x, 0.0)
    return kept.sum() + x[i]


def witnessed(x):
    witness, i = Witness(), np.array(-1)
    run(trace(above, x, i), (x, i), witness=witness)
    return witness


def test_answers_at_two_shapes_are_those_of_one_line():
    found = answers_of([witnessed(np.array([1.0])), witnessed(np.array([3.0, 4.0]))])
    ((comparison, answers),) = found.items()
    assert answers == {False, True}
    assert str(comparison).endswith("of test_sides.py: kept = jnp.where(x > 2.5, x, 0.0)")


def test_numbers_that_are_not_finite_answer_nothing():
    ((_, answers),) = answers_of([witnessed(np.array([np.inf]))]).items()
    assert answers == set()
