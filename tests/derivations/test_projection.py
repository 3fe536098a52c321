"""What the assumptions admit is searched: drawn points are moved until they hold."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations import DerivationVerdict

pytestmark = pytest.mark.as_user

ASSUMED = {
    "each entry beyond a number": lambda x: x > 1,
    "a sum, exactly": lambda x: jnp.sum(x) == 1,
    "a sum of squares, exactly": lambda x: jnp.sum(x**2) == 3.21,
    "a sum, closely": lambda x: jnp.abs(jnp.sum(x) - 1) < 1e-9,
    "probabilities": lambda x: jnp.all(x > 0) & (jnp.sum(x) == 1),
    "in order": lambda x: jnp.all(x[1:] >= x[:-1]),
    "on either side": lambda x: jnp.all((x > 2) | (x < -2)),
    "some entry": lambda x: jnp.any(x > 50),
    "not all": lambda x: ~jnp.all(x < 50),
    "a norm": lambda x: jnp.linalg.norm(x) == 1,
    "mean and variance": lambda x: (jnp.abs(jnp.mean(x)) < 1e-12) & (jnp.abs(jnp.var(x) - 1) < 1e-12),
    "by cases": lambda x: jnp.where(x > 0, x > 2, x < -2),
}


@pytest.mark.parametrize("name", ASSUMED)
def test_points_are_found_that_an_assumption_admits_and_a_false_line_fails_there(name):
    @bp.derivation("x")
    def right(x: Float[Array, " n"]):
        yield bp.assume(ASSUMED[name](x), name)
        yield bp.line("2 x", x + x, "definition")
        yield bp.line("2 x", 2 * x, "the sum")

    @bp.derivation("x")
    def wrong(x: Float[Array, " n"]):
        yield bp.assume(ASSUMED[name](x), name)
        yield bp.line("x", x, "definition")
        yield bp.line("x", x[::-1], "another order, which one number does not show")

    assert right.verify().verdict is DerivationVerdict.HOLDS
    assert wrong.verify().wrong == 1


def test_two_arguments_are_moved_together():
    @bp.derivation("A")
    def symmetric(A: Float[Array, "n n"], x: Float[Array, " n"]):
        yield bp.assume(jnp.all(A == A.T) & (jnp.dot(x, x) >= 4), r"A = A^\top, \|x\| \geq 2")
        yield bp.line("A x", A @ x, "definition")
        yield bp.line("x A", x @ A, "A is its transpose")

    report = symmetric.verify()
    assert report.verdict is DerivationVerdict.HOLDS
    assert ", sizes n 1 3 9" in report.reach.partition("as assumed")[2]


def test_where_jax_cannot_differentiate_the_condition_no_point_is_moved_and_that_is_told():
    def halved(x):
        return jax.lax.while_loop(lambda x: jnp.max(x) > 1, lambda x: x / 2, x)

    @bp.derivation("x")
    def looped(x: Float[Array, " n"]):
        yield bp.assume(jnp.sum(halved(x)) == 1, "a loop")
        yield bp.line("2 x", x + x, "definition")
        yield bp.line("2 x", 2 * x, "the sum")

    @bp.derivation("x")
    def beside(x: Float[Array, " n"]):
        yield bp.assume(jnp.sum(x) == 1, r"\sum x = 1")
        yield bp.line(
            "x", jax.pure_callback(lambda x: x, x, x, vmap_method="sequential"), "definition: on the host"
        )
        yield bp.line("x", x, "it does nothing")

    assert any("no point was moved" in note for note in looped.verify().notes)
    assert ", sizes n 1 3 9" in beside.verify().reach.partition("as assumed")[2]


def test_two_equalities_are_met_exactly():
    @bp.derivation("H")
    def of_two(p: Float[Array, " n"], q: Float[Array, " m"]):
        yield bp.assume((jnp.sum(p) == 1) & (jnp.sum(q) == 1.7), r"\sum p = 1, \sum q = 1.7")
        yield bp.line("1.7", jnp.sum(p) * jnp.sum(q), "definition")
        yield bp.line("1.7", jnp.sum(q), "p sums to 1")

    report = of_two.verify()
    assert report.verdict is DerivationVerdict.HOLDS
    assert ", sizes n 1 3 9, m 1 2 8" in report.reach.partition("as assumed")[2]


def test_where_points_are_admitted_anyway_none_is_moved():
    @bp.derivation("x")
    def free(x: Float[Array, " n"]):
        yield bp.assume(jnp.dot(x, x) >= 0, "always")
        yield bp.line("2 x", x + x, "definition")
        yield bp.line("2 x", 2 * x, "the sum")

    @bp.derivation("x")
    def without(x: Float[Array, " n"]):
        yield bp.line("2 x", x + x, "definition")
        yield bp.line("2 x", 2 * x, "the sum")

    assert free.verify().reach == without.verify().reach
