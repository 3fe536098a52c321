"""Planted slips: the line that is named is the planted one, whenever the slip changes anything."""

import ast

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations.changes import SLIPS, changes
from backproof.derivations.slips import Outcome, campaign, slips_of

pytestmark = pytest.mark.smoke

CHANGED = {
    "transpose": ("W.T @ d", "W @ d"),
    "sign": ("a - y", "a + y"),
    "half": ("e / 2", "e"),
    "slope": ("d * slope", "d"),
    "order": ("W @ V", "V @ W"),
    "index": ("x[1]", "x[0]"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_each_kind_of_slip_does_what_it_says(kind):
    before, after = CHANGED[kind]
    found = changes(ast.parse(before, mode="eval").body, {kind: SLIPS[kind]})
    assert after in [ast.unparse(change.expression) for change in found]


@pytest.mark.parametrize("line", ["f(x)", "x", "{'a': x, 'b': y}", "bp.equal(x, y)", "bp.holds(x > 0)"])
def test_every_line_has_an_applicable_slip(line):
    assert list(slips_of(ast.parse(line, mode="eval").body))


@bp.derivation("d")
def derived(W: Float[Array, "n n"], V: Float[Array, "n n"], z: Float[Array, " n"], y: Float[Array, " n"]):
    yield bp.line("d", jax.grad(lambda z: jnp.sum((W @ V @ jnp.tanh(z) - y) ** 2) / 2)(z), "definition")
    yield bp.line("d", ((W @ V).T @ (W @ V @ jnp.tanh(z) - y)) * (1 - jnp.tanh(z) ** 2), "chain rule")
    yield bp.line("d", 2 * ((W @ V).T @ (W @ V @ jnp.tanh(z) - y)) * (1 - jnp.tanh(z) ** 2) / 2, "2/2 = 1")
    yield bp.line("y", bp.equal(jnp.stack([z, y])[1], y), "the second")
    yield bp.line("s", bp.at_most(1 - jnp.tanh(z) ** 2, 1.0), "a square is positive")


def test_the_planted_line_is_named_for_every_kind_of_slip():
    found = list(campaign(derived, examples=3))
    assert {slip.kind for slip in found} == set(SLIPS)
    assert {slip.line for slip in found} == {1, 2, 3, 4}
    assert not [slip for slip in found if slip.outcome in (Outcome.MISSED, Outcome.FALSE_ALARM)]
    assert all(slip.line == 4 for slip in found if slip.outcome is Outcome.STILL_TRUE)
    assert sum(slip.outcome is Outcome.FOUND for slip in found) > 10


def test_a_slip_in_an_assignment_is_named_at_the_first_line_that_it_changes():
    @bp.derivation("d")
    def assigned(W: Float[Array, "n n"], z: Float[Array, " n"], y: Float[Array, " n"]):
        a = jnp.tanh(z) - 0.5 * y
        yield bp.line("d", jax.vjp(lambda z: W @ jnp.tanh(z), z)[1](a)[0], "definition")
        above = W.T @ a
        yield bp.line("d", jax.jacobian(jnp.tanh)(z) @ above, "chain rule")
        slope = 1 - jnp.tanh(z) ** 2
        yield bp.line("d", above * slope, "σ acts elementwise")
        yield bp.line("s", bp.at_most(slope, 1.0), "a square is positive")

    found = list(campaign(assigned, examples=3))
    rows = sorted({slip.row for slip in found})
    of = {row: [slip for slip in found if slip.row == row] for row in rows}
    _, above, _, slope, *_ = rows
    assert {slip.line for slip in of[above]} == {1}
    assert {slip.line for slip in of[slope]} == {2}
    assert {slip.outcome for slip in (*of[above], *of[slope])} == {Outcome.FOUND}
    assert {slip.outcome for slip in of[rows[0]]} == {Outcome.STILL_TRUE}  # another a, in the definition too
    assert not [slip for slip in found if slip.outcome in (Outcome.MISSED, Outcome.FALSE_ALARM)]


def test_a_slip_that_changes_nothing_is_counted_apart():
    @bp.derivation("d")
    def symmetric(x: Float[Array, " n"]):
        yield bp.line("d", jnp.outer(x, x), "definition")
        yield bp.line("d", jnp.outer(x, x).T, "symmetric")

    found = {(slip.kind, slip.outcome) for slip in campaign(symmetric, examples=3)}
    assert ("transpose", Outcome.UNCHANGED) in found
    assert ("order", Outcome.UNCHANGED) in found
    assert ("sign", Outcome.FOUND) in found


def test_a_derivation_that_does_not_hold_is_seen_to_miss():
    @bp.derivation("d")
    def wrong(x: Float[Array, " n"]):
        yield bp.line("d", x, "definition")
        yield bp.line("d", 2 * x, "no")
        yield bp.line("d", 3 * x, "no")

    outcomes = {(slip.line, slip.outcome) for slip in campaign(wrong, examples=3)}
    assert (2, Outcome.MISSED) in outcomes
