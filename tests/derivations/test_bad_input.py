"""What is no derivation is told so: the file, the derivation and the line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations import DerivationVerdict, verify_each


@bp.derivation("x")
def one_line(x: Float[Array, " n"]):
    yield bp.line("x", x, "alone")


@bp.derivation("x")
def no_line(x: Float[Array, " n"]):
    return
    yield


@bp.derivation("x")
def wrong_tuple(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    yield x, "x"


@bp.derivation("x")
def bare_claim(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    yield bp.equal(x, x)


@bp.derivation("x")
def no_array(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    yield bp.line("x", "x", "a text")


@bp.derivation("x")
def nothing(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    yield bp.line("x", None, "nothing")


@bp.derivation("x")
def as_many_as_entries(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    for _ in x:
        yield bp.line("x", x, "again")


@bp.derivation("x")
def draws(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    yield bp.line(
        "x", x + np.random.default_rng().normal() - x, "drawn"
    )  # an unseeded generator is the point


@bp.derivation("x")
def no_generator(x: Float[Array, " n"]):
    return x, "x", "returned"


@bp.derivation("x")
def no_annotation(x):
    yield bp.line("x", x, "right")
    yield bp.line("x", x, "right")


@bp.derivation("x")
def unlike_sides(x: Float[Array, " n"]):
    yield bp.line("x", x, "right")
    yield bp.line("x", bp.equal(x, {"x": x}), "sides")


BROKEN = {
    one_line: "line 0 is its only line",
    no_line: "yields no line",
    wrong_tuple: "line 1 .*a line is yielded as bp.line",
    bare_claim: "line 1 .*a claim is yielded with its formula",
    no_array: "line 1 .*a line is an array",
    nothing: "line 1 .*a line is an array",
    as_many_as_entries: "number of lines must not depend",
    draws: "line 1 .*must not draw its own random numbers",
    no_generator: "a derivation is a generator",
    no_annotation: "no_annotation: every argument needs a jaxtyping annotation",
    unlike_sides: "line 1 .*one tree and shape",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.name)
def test_the_file_the_derivation_and_the_line_are_named(broken):
    report = broken.verify()
    assert report.verdict is DerivationVerdict.BROKEN
    with pytest.raises(bp.GradientError, match=BROKEN[broken]):
        broken.check()
    assert str(report).startswith(f"{broken.name}, x: BROKEN")
    assert "test_bad_input.py:" in str(report).splitlines()[0]


def test_what_raises_between_two_lines_is_the_finding_of_the_line_not_reached():
    @bp.derivation("x")
    def raises(x: Float[Array, " n"]):
        yield bp.line("x", x, "right")
        y = x + jnp.zeros((2, 3, 4, 5))[..., 0, 0]
        yield bp.line("x", y, "not reached")

    report = raises.verify()
    assert (report.verdict, report.wrong, report.cause) == (DerivationVerdict.FAILS, 1, "contract-raises")
    assert "test_bad_input.py:" in str(report)


def test_a_line_that_does_not_fit_in_a_loop_is_named_by_its_turn():
    @bp.derivation("x")
    def looped(x: Float[Array, " n"]):
        yield bp.line("x", x, "right")
        for rows in (1, 7):
            yield bp.line("x", x + jnp.zeros(rows), "one of two")

    report = looped.verify()
    assert (report.verdict, report.wrong) == (DerivationVerdict.FAILS, 2)


def test_a_branch_on_a_value_says_what_to_write():
    @bp.derivation("x")
    def branches(x: Float[Array, " n"]):
        yield bp.line("x", x, "right")
        yield bp.line("x", x if x[0] > 0 else -x, "a branch")

    assert "write jnp.where" in branches.verify().explanation


def test_line_0_may_raise_too():
    @bp.derivation("x")
    def first(x: Float[Array, " n"]):
        yield bp.line("x", x @ jnp.zeros((7, 7)), "of another size")
        yield bp.line("x", x, "right")

    report = first.verify()
    assert (report.wrong, report.cause) == (0, "contract-raises")


def test_numbers_from_a_fixed_seed_are_no_random_numbers():
    @bp.derivation("x")
    def seeded(x: Float[Array, " n"]):
        shift = np.random.default_rng(0).normal()
        yield bp.line("x", x + shift, "shifted")
        yield bp.line("x", shift + x, "shifted")

    assert seeded.verify().ok


@bp.derivation("x")
def assumed_in_vain(x: Float[Array, " n"]):
    bp.assume(jnp.all(x > 0), "x > 0")
    yield bp.line("x", jnp.sqrt(x) ** 2, "definition")
    yield bp.line("x", x, "where it is not negative")


@bp.derivation("x")
def claimed_in_vain(x: Float[Array, " n"]):
    yield bp.line("x", x, "definition")
    bp.at_most(x, -1.0)
    yield bp.line("x", x, "again")


def test_an_assumption_or_a_claim_that_is_not_yielded_is_an_error():
    for derivation, what in ((assumed_in_vain, "an assumption"), (claimed_in_vain, "a claim")):
        with pytest.raises(bp.UsageError, match=f"{derivation.name}: .*{what} must be yielded"):
            derivation.verify()
        (report,) = verify_each([derivation])
        assert (report.verdict, report.cause) == (DerivationVerdict.BROKEN, "not-yielded")


def test_a_plain_float_is_one_number():
    @bp.derivation("2x")
    def doubled(x: float, y: Float[Array, " n"]):
        yield bp.line("d", jax.grad(lambda x: x * x * jnp.sum(y))(x), "definition")
        yield bp.line("2 x", 2 * x * jnp.sum(y), "the power rule")

    assert doubled.verify().verdict is DerivationVerdict.HOLDS
