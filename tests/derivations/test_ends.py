"""The shorter form: the definition as `of=`, what ships as `ships=`, and a lemma's value in a line."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float, Int

import backproof as bp
from backproof import rules
from backproof.derivations import DerivationVerdict
from backproof.derivations.slips import Outcome, campaign
from backproof.derivations.walk import walk

pytestmark = pytest.mark.as_user


def cost(z, y):
    return jnp.sum((jnp.tanh(z) - y) ** 2) / 2


def runs(z, y):
    return rules.tanh.backward((), rules.tanh.forward((), z)[1], jnp.tanh(z) - y)[1]


@bp.derivation(r"\delta = (a - y) \odot \sigma'(z)", of=cost, ships=runs)
def error(z: Float[Array, " n"], y: Float[Array, " n"]):
    a = jnp.tanh(z)
    yield bp.line(r"(a - y) \odot \sigma'(z)", (a - y) * (1 - a**2), "σ acts on each component alone")


@bp.derivation(r"\partial J / \partial W = \delta x^T", of=lambda W, x, y: cost(W @ x, y), wrt="W")
def weights(W: Float[Array, "n m"], x: Float[Array, " m"], y: Float[Array, " n"]):
    yield bp.line(r"\delta x^T", jnp.outer(error.value(W @ x, y), x), "the error of this layer")


@bp.derivation(r"\bar w, \bar x", of=lambda w, x: jnp.tanh(w * x), cotangent="g")
def pullback(w: Float[Array, " n"], x: Float[Array, " n"], g: Float[Array, " n"]):
    slope = 1 - jnp.tanh(w * x) ** 2
    yield bp.line("v", (x * slope * g, w * slope * g), "chain rule")


def test_the_definition_is_line_0_and_what_ships_the_last():
    report = error.verify()
    first, middle, last = report.lines
    assert report.verdict is DerivationVerdict.HOLDS
    assert (first.latex, first.note) == (r"\delta", "anchored in jax.grad")
    assert (last.latex, last.note) == (r"\texttt{tanh}", "this is what runs: tanh")
    assert first.row == cost.__code__.co_firstlineno
    assert middle.row > error.row
    assert last.row == runs.__code__.co_firstlineno


def test_a_definition_of_several_numbers_is_pulled_back_at_the_argument_that_is_its_cotangent():
    report = pullback.verify()
    assert report.ok
    assert report.lines[0].note == "anchored in jax.vjp"
    by_one = bp.derivation("v", of=lambda w, x: jnp.tanh(w * x), cotangent="g", wrt="x")(_by_x)
    assert by_one.verify().ok


def _by_x(w: Float[Array, " n"], x: Float[Array, " n"], g: Float[Array, " n"]):
    yield bp.line("v", w * (1 - jnp.tanh(w * x) ** 2) * g, "chain rule")


def test_a_slip_is_named_between_the_ends_and_in_what_ships():
    def slipped(z: Float[Array, " n"], y: Float[Array, " n"]):
        yield bp.line("v", (jnp.tanh(z) - y) * (1 - jnp.tanh(z)), "a square is missing")

    def right(z: Float[Array, " n"], y: Float[Array, " n"]):
        yield bp.line("v", (jnp.tanh(z) - y) * (1 - jnp.tanh(z) ** 2), "chain rule")

    between = bp.derivation("v", of=cost, ships=runs)(slipped).verify()
    assert (between.wrong, between.mend is not None) == (1, True)
    at_the_end = bp.derivation("v", of=cost, ships=lambda z, y: -runs(z, y))(right).verify()
    assert (at_the_end.wrong, at_the_end.lines[2].note) == (2, "this is what runs: tanh")


def test_every_planted_slip_is_found_between_the_ends():
    found = [slip.outcome for one in (error, pullback) for slip in campaign(one, examples=1)]
    assert Outcome.FOUND in found
    assert not {Outcome.MISSED, Outcome.FALSE_ALARM} & set(found)


def test_an_end_is_not_computed_where_another_line_alone_is_asked_for():
    ran = []

    def dear(z):
        ran.append("of")
        return jnp.sum(z**2)

    @bp.derivation("v", of=dear, ships=lambda z: ran.append("ships") or 2 * z)
    def derived(z: Float[Array, " n"]):
        yield bp.line("2 z", 2 * z, "slope of a square")

    walk(derived.function, (jnp.ones(2),), only=1)
    assert ran == []
    walk(derived.function, (jnp.ones(2),))
    assert set(ran) == {"of", "ships"}


def test_a_line_that_takes_the_value_of_a_lemma_rests_on_it():
    report = weights.verify()
    assert report.ok
    assert report.uses == ("error",)
    assert report.lines[1].note == "by error"


def test_a_derivation_whose_lemma_fails_is_inconclusive_though_its_lines_follow():
    @bp.derivation("v")
    def fallen(z: Float[Array, " n"]):
        yield bp.line("v", jax.grad(lambda z: jnp.sum(z**2))(z), "definition")
        yield bp.line("v", z, "a factor is missing")
        yield bp.line("v", 2 * z, "and comes back")

    @bp.derivation("v")
    def above(z: Float[Array, " n"]):
        yield bp.line("v", jax.grad(lambda z: jnp.sum(z**2))(z), "definition")
        yield bp.line("v", fallen.value(z), "by the lemma")

    report = above.verify()
    assert report.verdict is DerivationVerdict.INCONCLUSIVE
    assert report.explanation.startswith("it rests on fallen, which is FAILS")


def test_a_line_does_not_follow_by_a_lemma_where_the_assumption_of_the_lemma_does_not_hold():
    @bp.derivation("v")
    def positive(z: Float[Array, " n"]):
        yield bp.assume(z > 0, "z > 0")
        yield bp.line("v", jnp.abs(z), "definition")
        yield bp.line("v", z, "z is positive")

    @bp.derivation("v")
    def above(z: Float[Array, " n"]):
        yield bp.line("v", jnp.abs(z), "definition")
        yield bp.line("v", positive.value(z), "by the lemma")

    @bp.derivation("v")
    def above_it(z: Float[Array, " n"]):
        yield bp.assume(z > 1, "z > 1")
        yield bp.line("v", jnp.abs(z), "definition")
        yield bp.line("v", positive.value(z), "by the lemma")

    report = above.verify()
    assert (report.wrong, report.cause) == (1, "lemma-assumption")
    assert "positive is shown only where z > 0" in report.explanation
    assert above_it.verify().ok


def test_a_line_may_still_be_yielded_as_a_tuple():
    @bp.derivation("v")
    def older(z: Float[Array, " n"]):
        yield jax.grad(lambda z: jnp.sum(z**2))(z), r"\partial", "definition"
        yield 2 * z, "2 z", "slope of a square"

    report = older.verify()
    assert report.ok
    assert [line.latex for line in report.lines] == [r"\partial", "2 z"]


def test_a_line_that_is_not_yielded_is_an_error_that_says_so():
    @bp.derivation("v")
    def forgotten(z: Float[Array, " n"]):
        yield bp.line("v", 2 * z, "definition")
        bp.line("v", 3 * z, "no yield before it")

    with pytest.raises(bp.UsageError, match="a line must be yielded, or it has no effect"):
        forgotten.verify()


def test_steps_may_be_yielded_in_a_loop_over_a_size_that_is_fixed():
    @bp.derivation("v", of=lambda x: jnp.sum(jnp.sin(jnp.sin(jnp.sin(x)))))
    def thrice(x: Float[Array, " n"]):
        slope = jnp.ones_like(x)
        inside = [x, jnp.sin(x), jnp.sin(jnp.sin(x))]
        for done in range(3):
            slope = slope * jnp.cos(inside[2 - done])
            rest = jax.grad(lambda x, done=done: jnp.sum([_id, jnp.sin, _sin_sin][2 - done](x)))(x)
            yield bp.line("v", slope * rest, f"{done + 1} slopes taken off")

    report = thrice.verify()
    assert report.ok
    assert len(report.lines) == 4


def _id(x):
    return x


def _sin_sin(x):
    return jnp.sin(jnp.sin(x))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"of": lambda z, q: jnp.sum(z * q)}, "by their names, but found 'q', which is not among z, y"),
        ({"of": cost, "wrt": "q"}, "wrt= must name one of z, y, but found 'q'"),
        ({"of": cost, "cotangent": "g"}, "cotangent= must name one of z, y, but found 'g'"),
        ({"ships": lambda q: q}, "the function given as ships= must take arguments of the derivation"),
        ({"of": "J"}, "of= must be a function, or its formula and it, but found 'J'"),
        ({"of": ("J", cost, 1)}, "of= must be a function, or its formula and it"),
        ({"ships": 3}, "ships= must be a function, or its formula and it, but found 3"),
        ({"wrt": "z"}, "wrt= and cotangent= must come with of="),
        ({"of": cost, "wrt": ("z", "z")}, "wrt= must name arguments, each once"),
        ({"of": cost, "wrt": 0}, "wrt= must name arguments, each once"),
        ({"of": lambda: 1.0}, "must take an argument of the derivation"),
    ],
)
def test_an_end_that_names_what_is_not_there_is_a_usage_error(options, said):
    with pytest.raises(bp.UsageError) as error_of:
        bp.derivation("v", **options)(_of_two)
    assert said in str(error_of.value)


def test_arguments_with_a_value_of_their_own_and_those_by_name_alone_are_taken_as_they_are():
    def scaled(z, y, *, scale=3.0):
        return scale * jnp.sum(z * y)

    @bp.derivation("v", of=functools.partial(scaled, scale=2.0))
    def doubled(z: Float[Array, " n"], y: Float[Array, " n"]):
        yield bp.line("2 y", 2 * y, "a product with 2")

    @bp.derivation("v", of=lambda *, y, z: jnp.sum(z * y), wrt="z")
    def by_name(z: Float[Array, " n"], y: Float[Array, " n"]):
        yield bp.line("y", y, "a product")

    @bp.derivation("v", of=lambda z, k: z * k, cotangent="g")
    def of_an_integer(z: Float[Array, " n"], k: Int[Array, " n"], g: Float[Array, " n"]):
        yield bp.line("k g", k * g, "k is no number by which one differentiates")

    assert doubled.verify().ok
    assert by_name.verify().ok
    assert of_an_integer.verify().ok


def test_a_cotangent_of_another_form_is_an_error_that_says_so():
    @bp.derivation("v", of=lambda z: (z, z), cotangent="g")
    def of_a_pair(z: Float[Array, " n"], g: Float[Array, " n"]):
        yield bp.line("2 g", 2 * g, "twice")

    report = of_a_pair.verify()
    assert report.verdict is DerivationVerdict.BROKEN
    assert "the cotangent must have the form of the result" in report.explanation


def test_code_that_raises_where_no_line_is_written_ends_the_derivation_there():
    def row(latex, value, because):
        return bp.line(latex, value.reshape(3), because)

    @bp.derivation("v")
    def by_a_helper(z: Float[Array, " n"]):
        yield bp.line("z", z, "definition")
        yield row("z", z, "raises unless n is 3")

    @bp.derivation("v")
    def by_an_assumption(z: Float[Array, " n"]):
        yield bp.assume(z.reshape(3)[0] > 0, "raises unless n is 3")
        yield bp.line("z", z, "definition")

    assert by_a_helper.verify().wrong == 1
    assert not by_an_assumption.verify().ok


def test_texts_in_the_wrong_order_are_an_error_that_says_so():
    with pytest.raises(bp.UsageError, match=r"bp.line takes \(latex, value, because\)"):
        bp.line(jnp.ones(2), "v", "swapped")


def test_a_definition_of_several_numbers_without_a_cotangent_is_a_usage_error():
    report = bp.derivation("v", of=lambda z, y: z * y)(_of_two).verify()
    assert report.verdict is DerivationVerdict.BROKEN
    assert "must return one real number, or cotangent= name the argument for it" in report.explanation


def _of_two(z: Float[Array, " n"], y: Float[Array, " n"]):
    yield bp.line("v", z * y, "definition")
