"""Bounds that are too small by little are refuted by a search; those that are right, or tight, hold."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations import DerivationVerdict

HOLDS, FAILS = DerivationVerdict.HOLDS, DerivationVerdict.FAILS


def bounded(left, right, args, claim=bp.at_most):
    @bp.derivation("L", args=args)
    def stated(*values):
        yield bp.line("L", left(*values), "definition")
        yield bp.line(r"L \le R", claim(left(*values), right(*values)), "the bound")

    return stated.verify()


def length(W, x):
    return jnp.sum((W @ x) ** 2)


def of_spectrum(factor):
    return lambda W, x: factor * jnp.linalg.norm(W, 2) ** 2 * jnp.sum(x**2)


def of_softmax(z):
    p = jax.nn.softmax(z)
    return jnp.linalg.norm(jnp.diag(p) - p[:, None] * p[None], 2)


MATRIX = [bp.array("4 5"), bp.array("5")]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, HOLDS), (0.999, FAILS)])
def test_a_spectral_bound_is_searched_at_its_singular_vector(factor, verdict):
    assert bounded(length, of_spectrum(factor), MATRIX).verdict is verdict


@pytest.mark.parametrize(("bound", "verdict"), [(0.5, HOLDS), (0.49, FAILS)])
def test_half_bounds_the_jacobian_of_the_softmax_and_less_does_not(bound, verdict):
    report = bounded(of_softmax, lambda z: jnp.float64(bound), [bp.array("n>=3")])
    assert report.verdict is verdict
    assert report.cause == (None if verdict is HOLDS else "claim")


def test_a_strict_bound_that_is_only_approached_holds():
    below = lambda x, y: jnp.sqrt((1 + x**2) * (1 + y**2)) + 1e-3
    assert bounded(lambda x, y: 1 + x * y, below, [bp.array(""), bp.array("")], bp.less).verdict is HOLDS
    sigmoid = [bp.array("n>=2")]
    assert bounded(jax.nn.sigmoid, jnp.ones_like, sigmoid, bp.less).verdict is HOLDS


def test_the_search_stays_within_domain_and_structure():
    positive = [bp.array("n>=2", low=0, high=8)]
    assert bounded(jnp.tanh, lambda x: x, positive).verdict is HOLDS  # at x < 0 it is false
    weighted = [bp.simplex("n>=2"), bp.array("n>=2")]
    jensen = bounded(lambda p, x: jnp.exp(p @ x), lambda p, x: p @ jnp.exp(x), weighted)
    assert jensen.verdict is HOLDS  # for p that are no probabilities it is false


def test_a_search_respects_what_is_assumed():
    @bp.derivation("L", args=[bp.array("n>=2")])
    def ordered(x):
        yield bp.assume(x[0] < x[1], "x_0 < x_1")
        yield bp.line("d", x[1] - x[0], "definition")
        yield bp.line(r"d \ge 0", bp.at_least(x[1] - x[0], 0.0), "as assumed")

    assert ordered.verify().verdict is HOLDS


@pytest.mark.parametrize(("constant", "holds"), [(2.0, True), (2.3, False)])
def test_a_bound_is_pushed_along_what_is_assumed(constant, holds):
    @bp.derivation("P")
    def pinsker(p: Float[Array, " n"], q: Float[Array, " n"]):
        yield bp.assume((p > 0) & (q > 0), "p, q > 0")
        yield bp.assume((jnp.sum(p) == 1) & (jnp.sum(q) == 1), r"\\sum p = \\sum q = 1")
        divergence = jnp.sum(p * jnp.log(p / q))
        apart = jnp.sum(jnp.abs(p - q)) / 2
        yield bp.line("P", bp.at_most(constant * apart**2, divergence), "Pinsker's inequality")

    assert pinsker.verify().ok == holds


@pytest.mark.parametrize("is_assumed", [True, False])
def test_a_claim_without_slopes_is_not_searched_and_that_is_told(is_assumed):
    def halved(x):
        return jax.lax.while_loop(lambda x: jnp.max(x) > 1, lambda x: x / 2, x)

    @bp.derivation("x")
    def below_one(x: Float[Array, " n"]):
        if is_assumed:
            yield bp.assume(jnp.max(halved(x)) > -5, "a loop")
        yield bp.line(
            "1", bp.at_most(x - 1 if is_assumed else halved(x), x if is_assumed else 1.0), "a bound"
        )
        yield bp.line("2", bp.at_most(-1.0, 1.0), "another")

    report = below_one.verify()
    assert report.ok
    assert any("was not searched, for it has no slopes" in note for note in report.notes)


def none(x):
    return bp.line("2", bp.at_most(-1.0, 1.0), "nothing of interest")


def of_truths(x):
    return bp.line("2", bp.at_most(x < x, x <= x), "truth values have no difference")


def empty(x):
    return bp.line("2", bp.at_most(x[:0], x[:0]), "there is no largest entry of none")


def raising(x):
    if len(x) > 2:
        raise ValueError("no such size")
    return none(x)


@pytest.mark.parametrize("another", [none, of_truths, empty, raising])
def test_a_bound_is_searched_whatever_another_line_is(another):
    @bp.derivation("1")
    def stated(x: Float[Array, " n"]):
        w = jnp.cos(7.0 * jnp.arange(x.size) ** 1.3 + 0.3)
        c = 1.0 if x.size == 1 else 0.99
        bound = c * jnp.dot(w, w) * jnp.sum(x**2)
        yield bp.line("1", bp.at_most(jnp.dot(w, x) ** 2, bound), "Cauchy and Schwarz, one percent too small")
        yield another(x)

    report = stated.verify()
    assert (report.verdict, report.wrong) == (DerivationVerdict.FAILS, 0)
