"""A line that takes a lemma's value follows only where the lemma's assumptions hold, however it takes it."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float, Int

import backproof as bp
from backproof.derivations import DerivationVerdict

pytestmark = pytest.mark.as_user


@bp.derivation("v")
def positive(z: Float[Array, ""]):
    yield bp.assume(z > 0, "z > 0")
    yield bp.line("v", jnp.abs(z), "definition")
    yield bp.line("v", z, "z is positive")


@bp.derivation("v")
def relu_is_identity(z: Float[Array, ""]):
    yield bp.assume(z > 0, "z > 0")
    yield bp.line("v", jnp.maximum(z, 0), "definition")
    yield bp.line("v", z, "z is positive")


@bp.derivation("v")
def inner(z: Float[Array, ""]):
    yield bp.assume(z > 0.1, "z > 0.1")
    yield bp.line("v", jnp.abs(z), "definition")
    yield bp.line("v", positive.value(z), "by another lemma")


def bound(z):
    yield bp.line(r"|z| \le z", bp.at_most(jnp.abs(z), positive.value(z)), "by the lemma")


def equality(z):
    yield bp.line("|z| = z", bp.equal(jnp.abs(z), positive.value(z)), "by the lemma")


def definition(z):
    yield bp.line("z", positive.value(z), "by the lemma")
    yield bp.line("|z|", jnp.abs(z), "by the lemma")


def slope(z):
    yield bp.line("v", jax.grad(lambda z: jnp.maximum(z, 0))(z), "definition")
    yield bp.line("v", jax.grad(relu_is_identity.value)(z), "by the lemma")


def swallowed(z):
    yield bp.line("v", jnp.sign(z) ** 2, "definition")
    yield bp.line("v", jnp.where(positive.value(z) > 0, 1.0, jnp.sign(z) ** 2), "by the lemma")


def by_way_of_another(z):
    yield bp.line("v", jnp.abs(z), "definition")
    yield bp.line("v", jnp.where(z < 0.05, -inner.value(z), jnp.abs(z)), "by the lemma")


@pytest.mark.parametrize("lines", [bound, equality, definition, slope, swallowed, by_way_of_another])
def test_a_line_that_takes_a_value_where_the_lemma_shows_nothing_does_not_follow(lines):
    def derived(z: Float[Array, ""]):
        yield from lines(z)

    report = bp.derivation("v")(derived).verify()
    assert (report.verdict, report.cause) == (DerivationVerdict.FAILS, "lemma-assumption")
    assert report.example is not None
    assert report.example.args[0] <= 0.1


def test_a_lemma_that_is_taken_at_longer_sizes_alone_is_looked_at_there():
    @bp.derivation("v")
    def derived(z: Float[Array, " n"]):
        yield bp.line("v", jnp.abs(z), "definition")
        yield bp.line("v", jax.vmap(positive.value)(z) if len(z) > 1 else jnp.abs(z), "by the lemma")

    report = derived.verify()
    assert (report.wrong, report.cause) == (1, "lemma-assumption")


def test_a_derivation_without_arguments_is_held_to_the_lemma_too():
    @bp.derivation("v")
    def derived():
        yield bp.line("v", -jnp.ones(()), "definition")
        yield bp.line("v", positive.value(-jnp.ones(())), "by the lemma")

    report = derived.verify()
    assert (report.wrong, report.cause) == (1, "lemma-assumption")


def test_rows_may_take_it_each_on_its_own_and_what_comes_later_is_not_held_against_it():
    @bp.derivation("v")
    def derived(z: Float[Array, " n"], w: Float[Array, " n"]):
        yield bp.assume(z > 0, "z > 0")
        yield bp.line("v", jnp.abs(z), "definition")
        yield bp.line("v", jax.vmap(positive.value)(z), "by the lemma")
        yield bp.line("v", z * w / w, "cancels")

    report = derived.verify()
    assert report.verdict is DerivationVerdict.HOLDS
    assert report.uses == ("positive",)


def test_a_compiled_helper_that_was_traced_before_still_makes_a_derivation_rest_on_the_lemma():
    @bp.derivation("v")
    def fallen(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        yield bp.line("v", z, "a slip")
        yield bp.line("v", 2 * z, "and back")

    helper = jax.jit(fallen.value)

    def lines(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        yield bp.line("v", helper(z), "by the lemma")

    for _ in range(2):
        report = bp.derivation("v")(lines).verify()
        assert (report.verdict, report.uses) == (DerivationVerdict.INCONCLUSIVE, ("fallen",))


def test_a_line_that_is_wrong_by_its_lemma_says_that_the_lemma_fails():
    @bp.derivation("v")
    def fallen(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        yield bp.line("v", 3 * z, "a slip")

    @bp.derivation("v")
    def above(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        yield bp.line("v", fallen.value(z), "by the lemma")

    assert "it rests on fallen, which is FAILS too: look at that first" in above.verify().notes


def test_an_erratum_is_no_lemma():
    @bp.derivation("v", refutes=bp.Refutes(1, "E", "factor", "a factor is missing"))
    def erratum(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        yield bp.line("v", z, "as printed")

    @bp.derivation("v")
    def above(z: Float[Array, " n"]):
        yield bp.line("v", z, "definition")
        yield bp.line("v", erratum.value(z), "by the erratum")

    assert above.verify().verdict is DerivationVerdict.INCONCLUSIVE


def test_a_value_keeps_its_dtype():
    @bp.derivation("k")
    def counted(k: Int[Array, ""]):
        yield bp.assume(k > -1000, "k > -1000")
        yield bp.line("k", k + 0, "definition")
        yield bp.line("k", k, "nothing is added")

    @bp.derivation("v")
    def indexed(x: Float[Array, "3"], k: Int[Array, ""]):
        yield bp.line("v", x[k % 3], "definition")
        yield bp.line("v", x[counted.value(k) % 3], "by the lemma")

    assert indexed.verify().ok


def test_a_derivation_that_rests_on_itself_is_broken_and_says_so():
    @bp.derivation("v")
    def circular(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        yield bp.line("v", circular.value(z), "by itself")

    report = circular.verify()
    assert report.verdict is DerivationVerdict.BROKEN
    assert "circular rests on itself" in report.explanation


def test_arguments_that_are_not_those_of_the_lemma_are_an_error_that_names_it():
    with pytest.raises(bp.UsageError, match="too many positional arguments"):
        positive.value(jnp.ones(()), jnp.ones(()))
