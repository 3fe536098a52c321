"""The smallest example: small, plain, and the right value can be seen in it, beside the wrong one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp

pytestmark = pytest.mark.as_user
A = bp.array
QUICK = {"examples": 60, "dtypes": (), "second_order": False}


def normalised(x):
    return x / jnp.sqrt((x * x).sum(-1, keepdims=True) + 1e-6)


def without_projection(args, ct):
    """At one entry, or at a direction along x, the right gradient is next to 0."""
    (x,) = args
    return (ct / jnp.sqrt((x * x).sum(-1, keepdims=True) + 1e-6),)


def group_mean(x):
    return x - x.mean(0)


def without_mean(args, ct):
    """At one row, or at the same cotangent in every row, the right gradient is 0."""
    return (ct + 0 * args[0],)


CASES = {
    "a projection": (normalised, without_projection, [A("b n>=1")]),
    "a mean": (group_mean, without_mean, [A("b>=1 n")]),
    "a softmax": (jax.nn.softmax, lambda a, ct: (ct * jax.nn.softmax(a[0]),), [A("n>=1")]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_right_value_can_be_seen(name):
    of, vjp, args = CASES[name]
    example = bp.verify(of=of, vjp=vjp, args=args, **QUICK).counterexample
    assert abs(example.oracle) >= 0.01 * max(1, abs(example.hand))
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(example.args)) <= 3


def test_where_the_right_value_is_zero_everywhere_it_is_shown_all_the_same():
    example = bp.verify(
        of=jnp.sign, vjp=lambda a, ct: (ct + 0 * a[0],), args=[A("n")], **QUICK
    ).counterexample
    assert (example.hand, example.oracle) == (1, 0)
    assert np.size(example.args[0]) == 1
