"""A decision is a tie where its operands are nearer than their rounding noise; each side breaks it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from backproof.numerics.decisions import sorted_beside, ties
from backproof.numerics.interpreter import one_sided, run
from backproof.numerics.lanes import Witness, has_sides
from backproof.numerics.tracing import trace

pytestmark = pytest.mark.as_user


def limit(f, x, step):
    """Return the limit of `f` at `x` from the side of `step`."""
    return one_sided(trace(f, x), (x,), (x + 1e-11 * np.asarray(step),))[1]


@pytest.mark.parametrize(("noise", "tied"), [(0.0, False), (1e-17, False), (1e-12, True)])
def test_two_numbers_tie_where_their_noise_is_larger_than_their_distance(noise, tied):
    lanes = [[np.array([1.0]), np.array([1.0 + 1e-12])], [np.array([1.0]), np.array([1.0 + 1e-12 + noise])]]
    assert bool(ties("gt", lanes, {})[0]) is tied
    assert bool(ties("eq", [[np.zeros(1), np.zeros(1)]], {})[0])


def test_at_a_kink_the_limit_from_each_side_is_that_sides_slope():
    slope = jax.grad(lambda x: jnp.abs(x).sum())
    x = np.array([0.0, 2.0, 0.0])
    assert limit(slope, x, [1, 1, -1]).tolist() == [1, 1, -1]
    assert limit(slope, x, [-1, 1, 1]).tolist() == [-1, 1, 1]


@pytest.mark.parametrize("guard", [1e-6, 1e-24, 1e-80])
def test_a_smooth_guard_has_one_limit_however_small_it_is(guard):
    slope = jax.grad(lambda x: jnp.sqrt(x * x + guard).sum())
    assert limit(slope, np.zeros(1), [1.0]) == limit(slope, np.zeros(1), [-1.0]) == 0


def test_a_kink_next_to_the_point_is_no_kink_at_it():
    """The step from 0 goes past the kink at 1e-20; the limit does not."""
    slope = jax.grad(lambda x: jnp.maximum(x, 1e-20).sum())
    assert limit(slope, np.zeros(1), [1.0]).tolist() == [0]


def test_a_tie_that_rounding_hides_is_one():
    """0.1 + 0.2 is 0.3 but for rounding."""
    slope = jax.grad(lambda x: jnp.maximum(x[0] + x[1] - 0.3, 0))
    x = np.array([0.1, 0.2])
    assert [limit(slope, x, sign * np.ones(2)).tolist() for sign in (1, -1)] == [[1, 1], [0, 0]]


def test_ties_of_an_order_are_broken_as_they_fall_next_to_the_point():
    keys = np.array([2.0, 1.0, 2.0, 3.0])
    assert sorted_beside([keys], np.array([2.1, 1.0, 2.0, 3.0])).tolist() == [1, 2, 0, 3]
    # a step that goes past another key changes nothing where the two are no tie
    assert sorted_beside([keys], np.array([2.0, 9.0, 2.1, 3.0])).tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.sort(x)[0],
        lambda x: jnp.min(x),
        lambda x: x[jnp.argmin(x)],
        lambda x: -lax.top_k(-x, 1)[0][0],
        lambda x: lax.cond(x[0] < x[1], lambda x: x[0], lambda x: x[1], x),
    ],
    ids=["sort", "min", "argmin", "top_k", "cond"],
)
def test_every_way_to_choose_takes_its_side(f):
    x, slope = np.array([1.0, 1.0, 5.0]), jax.grad(f)
    assert limit(slope, x, [-1, 1, 1]).tolist() == [1, 0, 0]
    assert limit(slope, x, [1, -1, 1]).tolist() == [0, 1, 0]


def test_a_loop_that_ends_sooner_on_one_side_ends_there_by_itself():
    halved = lambda x: lax.while_loop(lambda c: c > 1.0, lambda c: c / 2, x)
    program = trace(halved, np.array(2.0))
    beside, at = one_sided(program, (np.array(2.0),), (np.array(2.0 + 1e-11),))
    assert 0.5 < float(beside) < 0.5 + 1e-9
    assert at == 0.5
    assert one_sided(program, (np.array(2.0),), (np.array(2.0 - 1e-11),))[1] == 1.0


def test_a_witness_writes_down_answers_and_ties():
    f = lambda x, i: jnp.where(x > 0, x, 0.0) * (i != 3)
    for x, tied, answers in (
        (np.array([1.0, -1.0]), False, {True, False}),
        (np.array([0.0, 1.0]), True, None),
    ):
        witness = Witness()
        program = trace(f, x, np.array([3, 3]))
        run(program, (x, np.array([3, 3])), replicas=2, witness=witness)
        met = {eqn.primitive.name: found for eqn, found in witness.met.values()}
        assert (witness.tied, met["ne"]) == (tied, {False})
        assert answers is None or met["gt"] == answers


def looped(x):
    return lax.fori_loop(0, 3, lambda i, y: jnp.tanh(y) + jnp.where(i == 1, y, 0.0), x)


SMOOTH = {
    "a layer": lambda x: jnp.tanh(jnp.eye(3, dtype=x.dtype) @ x),
    "softmax": jax.nn.softmax,
    "a loop that counts": looped,
    "the slope of a product": jax.grad(lambda x: jnp.prod(jax.nn.sigmoid(x))),
}
WITH_SIDES = {
    "a comparison": lambda x: jnp.where(x > 0, x, 0.0),
    "a comparison in a call": jax.jit(lambda x: jnp.where(x > 0, x, 0.0)),
    "a comparison in a loop": lambda x: lax.scan(lambda c, y: (jnp.where(y > c, y, c), y), x[0], x)[0],
    "a branch": lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    "the slope of a modulus": jax.grad(lambda x: jnp.abs(x).sum()),
    "the slope of a maximum": jax.grad(jnp.max),
    "an order": lambda x: jnp.sort(x),
    "the largest two": lambda x: lax.top_k(x, 2)[0],
    "the place of the largest": lambda x: x[jnp.argmax(x)],
    "whole numbers": lambda x: x[x[0].astype(int)],
    "steps": lambda x: jnp.floor(x) + jnp.sign(x),
    "a window": jax.grad(lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID").sum()),
    "a factorisation": lambda x: jnp.linalg.svd(jnp.outer(x, x))[1],
    "a callback": lambda x: jax.pure_callback(np.abs, jax.ShapeDtypeStruct(x.shape, x.dtype), x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_where_nothing_decides_no_sides_are_looked_at(name):
    assert not has_sides(trace(SMOOTH[name], np.ones(3)).jaxpr)


@pytest.mark.parametrize("name", WITH_SIDES)
def test_whatever_may_decide_has_sides(name):
    assert has_sides(trace(WITH_SIDES[name], np.ones(3)).jaxpr)
