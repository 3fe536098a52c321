"""The linear recurrence in blocks against the one step by step, and against JAX's associative scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_recurrences import (
    assert_caught,
    assert_in_wide_states,
    assert_last_step_does_not_move_the_first_ones,
)
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees
from backproof.arguments import array
from backproof.errors import UsageError
from backproof.rules import linear_recurrence, linear_recurrence_in_blocks
from slips_in_files import assert_named

N = 3
# Batch and steps; and sizes of blocks that divide the steps, that do not, and that are longer.
SHAPES = (((), 6), ((2,), 7), ((0,), 4), ((3, 2), 1), ((2,), 0))
SIZES = (1, 2, 3, 4, 9)


def associative(params, x):
    def after(first, then):
        return then[0] * first[0], then[0] * first[1] + then[1]

    return jax.lax.associative_scan(after, x, axis=-2)[1] if x[0].shape[-2] else x[1]


BY_AUTODIFF = by_autodiff_with(associative)


def point(batch, steps, seed):
    rng = np.random.default_rng(seed)
    a, b, delta = rng.standard_normal((3, *batch, steps, N))
    return (), (a, b), delta


@given(st.sampled_from(SHAPES), st.sampled_from(SIZES), st.integers(0, 2**32 - 1))
def test_blocks_of_any_size_give_what_single_steps_do(shape, size, seed):
    blocks = by_hand_with(linear_recurrence_in_blocks(size))
    assert_agrees(blocks, by_hand_with(linear_recurrence), *point(*shape, seed))


@given(st.sampled_from(SHAPES), st.integers(0, 2**32 - 1))
def test_it_is_the_associative_scan_of_jax_by_autodiff(shape, seed):
    assert_agrees(by_hand_with(linear_recurrence_in_blocks(3)), BY_AUTODIFF, *point(*shape, seed))


def test_a_step_sees_no_later_one():
    assert_last_step_does_not_move_the_first_ones(linear_recurrence_in_blocks(2), *point((2,), 5, 0))


def test_states_are_float32_where_the_input_is_not():
    x = jax.tree.map(jnp.float32, point((2,), 5, 0)[1])
    assert_in_wide_states(linear_recurrence_in_blocks(2), (), x)


@pytest.mark.parametrize(("steps", "size", "longest"), [(100, 10, 10), (7, 3, 3), (0, 4, 4)])
def test_so_few_steps_follow_one_another(steps, size, longest):
    rule = linear_recurrence_in_blocks(size)
    x = jnp.ones((steps, N)), jnp.ones((steps, N))

    def lengths(jaxpr):
        scans = [eqn.params["length"] for eqn in jaxpr.eqns if eqn.primitive.name == "scan"]
        inner = [v for eqn in jaxpr.eqns for v in eqn.params.values() if hasattr(v, "jaxpr")]
        return scans + [n for one in inner for n in lengths(one.jaxpr)]

    found = lengths(jax.make_jaxpr(lambda x: rule.forward((), x)[0])(x).jaxpr)
    assert sorted(found) == sorted([size, -(-steps // size)])
    assert max(found) == longest


MUTANTS = {
    "the factor of the same step": ("jnp.flip(after, 0)", "jnp.flip(factors, 0)"),
    "the factor of the step before": (
        "[factors[1:], jnp.zeros_like(factors[:1])]",
        "[jnp.zeros_like(factors[:1]), factors[:-1]]",
    ),
    "the state after the step": ("(lam * before(h))", "(lam * h)"),
    "not turned back in time": ("lam = steps_last(jnp.flip(", "lam = steps_last(jnp.roll("),
    "the first states of the blocks forgotten": ("products * first[None] + g", "g"),
    "a product that starts from zero": ("jnp.ones_like(none), none", "none, none"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    assert_caught(linear_recurrence_in_blocks(2), *MUTANTS[name], BY_AUTODIFF, point((2,), 5, 0))


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        UsageError, match="linear_recurrence_in_blocks: size must be a whole number of at least 1"
    ):
        linear_recurrence_in_blocks(0)
    with pytest.raises(UsageError, match=r"linear_recurrence_in_blocks\(2\): b must have shape \(4, 3\)"):
        linear_recurrence_in_blocks(2).forward((), (np.ones((4, N)), np.ones((3, N))))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(lam * before(h))", "(lam * h)"),
        ("jnp.flip(after, 0)", "jnp.flip(factors, 0)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        return module.linear_recurrence_in_blocks(2)._replace(domain=(array("3 2"), array("3 2")))

    assert_named(linear_recurrence_in_blocks(2), right, wrong, tmp_path, made, examples=60)
