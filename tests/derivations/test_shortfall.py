"""By how much a condition is missed: 0 exactly where it holds, and read from every comparison in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.derivations.shortfall import EXACTLY, Inside, shortfall
from backproof.numerics.tracing import float64

X = np.array([-1.0, 0.5, 2.0])
MISSED = {
    "above": (lambda x: x >= 1, [2, 0.5, 0]),
    "below": (lambda x: x <= 1, [0, 0, 1]),
    "equal": (lambda x: x == 1, [-2, -0.5, 1]),
    "both": (lambda x: (x >= 0) & (x <= 1), [1, 0, 0, 0, 0, 1]),
    "neither": (lambda x: ~((x < 0) | (x > 1)), [1, 0, 0, 0, 0, 1]),
    "all": (lambda x: jnp.all(x >= 0), [1, 0, 0]),
    "any": (lambda x: jnp.any(x >= 3), [1]),
    "not all": (lambda x: ~jnp.all(x < 3), [1]),
    "either": (lambda x: (x >= 1) | (x <= 0), [0, 0.5, 0, 0, 0, 0]),
    "cases": (lambda x: jnp.where(x > 0, x >= 1, x <= -2), [1, 0, 0, 0, 0.5, 0]),
    "nothing": (lambda x: jnp.sum((x > 0).astype(int)) % 2 == 0, None),
}


@pytest.mark.parametrize("name", MISSED)
def test_what_is_missed_is_read_from_the_comparisons(name):
    condition, wanted = MISSED[name]
    with float64():
        found = np.asarray(shortfall(condition, (X,), EXACTLY))
        slopes = jax.jacrev(lambda x: shortfall(condition, (x,), EXACTLY))(X)
    if wanted is None:
        assert not np.any(slopes)
        return
    assert sorted(found[found != 0].tolist()) == sorted(one for one in wanted if one)
    assert np.any(found) == (not np.all(condition(X)))


def test_a_point_is_moved_inside_of_a_bound_and_not_only_to_it():
    with float64():
        at_bound = np.asarray(shortfall(lambda x: x > 0, (np.zeros(3),), Inside(1.0, 0.0)))
        halfway = np.asarray(shortfall(lambda x: x < 1e-9, (np.full(3, 1e-9),), Inside(0.0, 0.5)))
    assert np.all(at_bound > 0)
    assert len(set(at_bound.tolist())) == 3
    assert np.all(halfway == 5e-10)
