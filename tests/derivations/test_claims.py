"""Lines that are no equalities, and assumptions: each holds where it is true, and is seen to fail."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations import DerivationVerdict, Mark


def claimed(claim, assumed=None):
    @bp.derivation("c")
    def derived(x: Float[Array, " n"]):
        if assumed:
            yield bp.assume(assumed(x), r"x \neq 0")
        yield bp.line("c", claim(x), "because")

    return derived.verify()


TRUE = {
    "at most": lambda x: bp.at_most(jnp.abs(jnp.sum(x)), jnp.sum(jnp.abs(x))),
    "at most, equal within rounding": lambda x: bp.at_most(jnp.sum(x) / 3, jnp.sum(x / 3)),
    "at least": lambda x: bp.at_least(x**2, 0.0),
    "less": lambda x: bp.less(jnp.tanh(x), 1.0),
    "equal": lambda x: bp.equal(jnp.sum(x) / 3, jnp.sum(x / 3)),
    "differ": lambda x: bp.differ(x, x + 1),
    "differ somewhere": lambda x: bp.differ(jnp.sum(x) ** 2, jnp.sum(x**2), somewhere=True),
    "holds": lambda x: bp.holds(x == x),
    "pytrees": lambda x: bp.equal({"a": x, "b": 2 * x}, {"a": x, "b": x + x}),
}
FALSE = {
    "at most": lambda x: bp.at_most(jnp.sum(jnp.abs(x)), jnp.abs(jnp.sum(x))),
    "at least": lambda x: bp.at_least(x, 0.0),
    "less": lambda x: bp.less(x, jnp.abs(x)),
    "equal": lambda x: bp.equal(x, x * (1 + 1e-9)),
    "differ": lambda x: bp.differ(x, jnp.abs(x)),
    "differ somewhere": lambda x: bp.differ(x + x, 2 * x, somewhere=True),
    "holds": lambda x: bp.holds(x < 1),
}


@pytest.mark.parametrize("name", TRUE)
def test_a_true_claim_holds(name):
    report = claimed(TRUE[name])
    assert report.verdict is DerivationVerdict.HOLDS
    assert report.lines[0].mark is Mark.HOLDS


@pytest.mark.parametrize("name", FALSE)
def test_a_false_claim_is_shown_false(name):
    report = claimed(FALSE[name])
    assert (report.verdict, report.wrong, report.cause) == (DerivationVerdict.FAILS, 0, "claim")
    assert report.lines[0].mark is Mark.IS_FALSE
    assert report.example is not None


def test_a_stated_difference_is_shown_at_its_smallest_point():
    example = claimed(TRUE["differ somewhere"]).example
    assert [arg.tolist() for arg in example.args] == [[1.0, 1.0]]


def test_a_claim_is_not_the_line_before_the_next():
    @bp.derivation("c")
    def squares(x: Float[Array, " n"]):
        yield bp.line("2x", jax.grad(lambda x: jnp.sum(x**2))(x), "definition")
        yield bp.line(r"x^2 \ge 0", bp.at_least(x**2, 0.0), "a square")
        yield bp.line("2x", 2 * x, "the square")

    assert [line.mark for line in squares.verify().lines] == [Mark.STARTS, Mark.HOLDS, Mark.FOLLOWS]


def test_an_assumption_keeps_points_out_and_is_shown():
    def gate(x):
        return bp.equal(jax.vmap(jax.grad(jnp.abs))(x), jnp.where(x > 0, 1.0, -1.0))

    assert claimed(gate).verdict is DerivationVerdict.FAILS
    report = claimed(gate, assumed=lambda x: x != 0)
    assert report.verdict is DerivationVerdict.HOLDS
    assert report.assumptions == (r"x \neq 0",)
    assert "assumed  x ≠ 0" in str(report)
    assert not report.notes


def test_an_assumption_that_is_never_false_is_reported():
    assert any("vacuous" in note for note in claimed(TRUE["holds"], assumed=lambda x: x**2 >= 0).notes)


def test_an_assumption_that_no_point_satisfies_leaves_nothing_to_see():
    assert (
        claimed(TRUE["holds"], assumed=lambda x: (x > 1) & (x < 0)).verdict is DerivationVerdict.INCONCLUSIVE
    )


def test_a_line_that_is_finite_nowhere_shows_nothing():
    assert claimed(lambda x: bp.equal(x / 0.0, x / 0.0)).verdict is DerivationVerdict.INCONCLUSIVE


def test_a_line_that_loses_what_was_finite_fails():
    @bp.derivation("c")
    def lost(x: Float[Array, " n"]):
        yield bp.line("1", jax.grad(lambda x: jnp.sum(x))(x), "definition")
        yield bp.line("1", (x - x) / (x - x), "0/0")

    assert (lost.verify().verdict, lost.verify().cause) == (DerivationVerdict.FAILS, "not-finite")


def test_points_at_which_a_line_is_not_finite_are_counted():
    @bp.derivation("c")
    def quotient(x: Float[Array, " n"]):
        yield bp.line("1", jax.grad(lambda x: jnp.sum(x))(x), "definition")
        yield bp.line("x/x", x / x, "cancelled")

    report = quotient.verify()
    assert report.ok
    assert report.lines[1].skipped > 0


def test_without_arguments_a_derivation_runs_as_it_stands():
    @bp.derivation("c")
    def loop():
        total = 0.0
        while total < 1:  # no trace can do this
            total = total + float(jnp.asarray(0.25))
        yield bp.line("1", bp.equal(total, 1.0), "four quarters")
        yield bp.line("1", bp.less(total, 1.0), "no")

    report = loop.verify()
    assert (report.wrong, report.cause) == (1, "claim")


def test_without_arguments_rounding_is_measured_where_it_matters():
    @bp.derivation("c")
    def cancelling():
        x = jnp.arange(1, 8.0) * 1e-3
        yield bp.line("c", 1 - jnp.cos(x), "loses digits")
        yield bp.line("c", 2 * jnp.sin(x / 2) ** 2, "half angle")

    assert cancelling.verify().ok
