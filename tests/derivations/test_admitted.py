"""A report says which of the drawn points its assumptions admit; degenerate ones give no verdict."""

import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations import DerivationVerdict

HOLDS, INCONCLUSIVE = DerivationVerdict.HOLDS, DerivationVerdict.INCONCLUSIVE


@bp.derivation("x")
def free(x: Float[Array, " n"]):
    yield bp.line("x", jnp.sum(x + x), "definition")
    yield bp.line("x", 2 * jnp.sum(x), "the sum")


@bp.derivation("x")
def in_order(x: Float[Array, " n"]):
    yield bp.assume(jnp.all(x[1:] >= x[:-1]), "x sorted")
    yield bp.line("x", jnp.sort(x), "definition")
    yield bp.line("x", x, "as assumed")


@bp.derivation("x")
def alike(x: Float[Array, " n"]):
    yield bp.assume(jnp.abs(x) == jnp.abs(x[0]), r"|x_i| = |x_1|")
    yield bp.line("x^2", x**2, "definition")
    yield bp.line("false", jnp.mean(x**2) * jnp.ones_like(x), "true where all entries are alike")


@bp.derivation("x")
def of_no_point(x: Float[Array, " n"]):
    yield bp.assume((x > 1) & (x < 0), "1 < x < 0")
    yield bp.line("x", x, "definition")
    yield bp.line("2 x", 2 * x, "never looked at")


def test_the_report_says_where_it_was_tried():
    report = free.verify()
    assert report.reach.startswith("at ")
    assert ", sizes n 1 " in report.reach
    assert "as assumed" not in report.reach
    assert f"tried {report.reach}" in str(report)


def test_the_report_says_how_many_points_are_as_assumed():
    report = in_order.verify()
    assert report.verdict is HOLDS
    assert f"; {report.points} of them are as assumed, sizes n 1" in report.reach


def test_degenerate_points_give_no_verdict():
    report = alike.verify()
    assert report.verdict is INCONCLUSIVE
    assert "no drawn point with n > 1 whose entries differ" in report.explanation
    assert of_no_point.verify().verdict is INCONCLUSIVE
    assert "0 of them are as assumed" in of_no_point.verify().reach
