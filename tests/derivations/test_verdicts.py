"""The first line that does not follow is named, with its cause and the smallest example that shows it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.derivations import DerivationVerdict, Mark

pytestmark = pytest.mark.smoke

LATEX, REASON = r"\delta", "because"


def sigma(z):
    return jnp.tanh(z)


def slope(z):
    return 1 - jnp.tanh(z) ** 2


def column(*lines, **form):
    """Return the derivation of (W, z, delta) with these lines, each a function, after the definition."""

    @bp.derivation(LATEX, **form)
    def derived(W: Float[Array, "m n"], z: Float[Array, " n"], delta: Float[Array, " m"]):
        yield bp.line(LATEX, jax.vjp(lambda z: W @ sigma(z), z)[1](delta)[0], "definition")
        for line in lines:
            yield bp.line(LATEX, line(W, z, delta), REASON)

    return derived


def right(W, z, delta):
    return W.T @ delta * slope(z)


def test_a_right_derivation_holds():
    report = column(right).verify()
    assert report.verdict is DerivationVerdict.HOLDS
    assert [line.mark for line in report.lines] == [Mark.STARTS, Mark.FOLLOWS]
    assert report.ok
    assert column(right).check().ok


SLIPS = {
    "sign": lambda W, z, delta: -(W.T @ delta) * slope(z),
    "missing": lambda W, z, delta: 0 * z,
    "factor": lambda W, z, delta: 3 * (W.T @ delta) * slope(z),
    "negative-inputs": lambda W, z, delta: W.T @ delta * slope(z) * jnp.where(z < 0, 2.0, 1.0),
    "unknown": lambda W, z, delta: jnp.sin(3 * z) + W.T @ jnp.cos(delta),
    "contract-shape": lambda W, z, delta: jnp.outer(delta, z),
    "contract-tree": lambda W, z, delta: (z, z),
}


@pytest.mark.parametrize("cause", SLIPS)
def test_a_slip_is_named_at_its_line(cause):
    report = column(right, SLIPS[cause], right).verify()
    assert (report.verdict, report.wrong, report.cause) == (DerivationVerdict.FAILS, 2, cause)
    assert report.lines[3].mark is Mark.WOULD_BE_RIGHT


def test_a_factor_just_below_one_is_not_called_one():
    report = column(lambda W, z, delta: 0.99999997 * right(W, z, delta)).verify()
    assert report.cause == "factor"
    assert "0.99999997 times the line before" in report.explanation


@bp.derivation(LATEX)
def output_in_place_of_input(W: Float[Array, "m n"], z: Float[Array, " n"], delta: Float[Array, " m"]):
    a = sigma(z)
    yield bp.line(LATEX, jax.vjp(lambda z: W @ sigma(z), z)[1](delta)[0], "definition")
    yield bp.line(LATEX, (W.T @ delta) * slope(a), REASON)


@bp.derivation(LATEX)
def wrong_order(W: Float[Array, "m n"], z: Float[Array, " n"], delta: Float[Array, " m"]):
    matrix = W.T * slope(z)[:, None]
    yield bp.line(LATEX, jax.vjp(lambda z: W @ sigma(z), z)[1](delta)[0], "definition")
    yield bp.line(LATEX, delta @ matrix, REASON)
    yield bp.line(LATEX, matrix @ delta, REASON)


@bp.derivation(LATEX)
def wrong_index(z: Float[Array, " 3"]):
    yield bp.line(LATEX, jax.grad(lambda z: z[0] * z[1] * z[2])(z)[0], "definition")
    yield bp.line(LATEX, z[1] * z[1], REASON)


@bp.derivation(LATEX)
def forgotten_slope(W: Float[Array, "m n"], z: Float[Array, " n"], delta: Float[Array, " m"]):
    yield bp.line(LATEX, jax.vjp(lambda z: W @ sigma(z), z)[1](delta)[0], "definition")
    yield bp.line(LATEX, W.T @ delta, REASON)
    yield bp.line(LATEX, (W.T @ delta) * slope(z), REASON)


@bp.derivation(LATEX)
def another_name(u: Float[Array, " n"], v: Float[Array, " n"]):
    yield bp.line(LATEX, jax.grad(lambda u: jnp.sum(u * v))(u), "definition")
    yield bp.line(LATEX, 1.0 * u, REASON)


@pytest.mark.parametrize(
    ("derived", "cause", "mended"),
    [
        (output_in_place_of_input, "surplus", "a = z"),
        (wrong_order, "transpose", "with matrix.T in place of matrix"),
        (wrong_index, "wrong-index", "yield bp.line(LATEX, z[2] * z[1], REASON)"),
        (forgotten_slope, "dropped-factor", "yield bp.line(LATEX, W.T @ delta * slope(z), REASON)"),
        (another_name, "wrong-value", "yield bp.line(LATEX, v, REASON)"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_line_that_one_change_mends_is_shown_the_change(derived, cause, mended):
    report = derived.verify()
    assert (report.wrong, report.cause) == (1, cause)
    assert mended in str(report)


@bp.derivation(LATEX)
def slip_in_an_assignment(x: Float[Array, "b n"], g: Float[Array, "b n"]):
    centre = lambda x: x - x.mean(-1, keepdims=True)
    yield bp.line(LATEX, jax.vjp(lambda x: centre(x) ** 3, x)[1](g)[0], "definition")
    inner = 3 * centre(x) ** 2 * g
    total = inner + inner.mean(-1, keepdims=True)
    yield bp.line(LATEX, total, REASON)


def test_a_slip_in_an_assignment_is_mended_there():
    report = slip_in_an_assignment.verify()
    assert (report.wrong, report.cause) == (1, "term-sign")
    assert report.mend.endswith("total = inner - inner.mean(-1, keepdims=True)")
    assert json.loads(report.to_json())["blame"]["line"] == report.blame.line


def test_a_mend_leaves_the_lines_before_as_they_are():
    """What both lines use cannot be what is wrong with one of them."""

    @bp.derivation(LATEX)
    def shared(x: Float[Array, " n"]):
        u = jnp.sin(x)
        yield bp.line(LATEX, u * u, "definition")
        yield bp.line(LATEX, u * u * u, REASON)

    report = shared.verify()
    assert report.verdict is DerivationVerdict.FAILS
    assert report.blame.line != shared.row + 2


def test_no_mend_is_the_line_before_or_autodiff_itself():
    @bp.derivation(LATEX)
    def hopeless(x: Float[Array, " n"]):
        yield bp.line(LATEX, jax.grad(lambda x: jnp.sum(jnp.tanh(jnp.sin(3 * x)) ** 3))(x), "definition")
        yield bp.line(LATEX, jnp.arctan(x), REASON)

    @bp.derivation(LATEX)
    def wrapped(x: Float[Array, " n"]):
        yield bp.line(
            LATEX, jax.grad(lambda x: jnp.sum(jnp.tanh(jnp.sin(3 * x)) ** 3))(x).reshape(-1), "definition"
        )
        yield bp.line(LATEX, jnp.arctan(x), REASON)

    for derived in (hopeless, wrapped):
        report = derived.verify()
        assert report.verdict is DerivationVerdict.FAILS
        assert not report.mend


def test_another_choice_at_a_kink_follows_and_is_told():
    @bp.derivation(LATEX)
    def slope_of_abs(z: Float[Array, " n"]):
        yield bp.line(LATEX, jax.grad(lambda z: jnp.sum(jnp.abs(z)))(z), "definition")
        yield bp.line(LATEX, jnp.sign(z), REASON)
        yield bp.line(LATEX, jnp.where(z > 0, 1.0, -1.0), REASON)

    report = slope_of_abs.verify()
    assert report.verdict is DerivationVerdict.HOLDS
    assert [line.mark for line in report.lines[1:]] == [Mark.AT_KINKS, Mark.AT_KINKS]
    assert "another subgradient" in str(report)


def test_beyond_the_slopes_of_both_sides_nothing_follows_at_a_kink():
    @bp.derivation(LATEX)
    def wrong_at_zero(z: Float[Array, " n"]):
        yield bp.line(LATEX, jax.grad(lambda z: jnp.sum(jnp.abs(z)))(z), "definition")
        yield bp.line(LATEX, jnp.where(z == 0, 2.0, jnp.sign(z)), REASON)

    report = wrong_at_zero.verify()
    assert (report.verdict, report.wrong, report.cause) == (DerivationVerdict.FAILS, 1, "at-zeros")


def test_a_sum_that_is_missing_is_told_from_another_shape():
    @bp.derivation(LATEX)
    def bias(delta: Float[Array, "b n"], b: Float[Array, " n"]):
        yield bp.line(LATEX, jax.grad(lambda b: jnp.sum(delta * b[None, :]))(b), "definition")
        yield bp.line(LATEX, delta, REASON)

    assert bias.verify().cause == "missing-sum"


def test_the_example_is_of_the_smallest_shape_and_plain_numbers():
    example = column(SLIPS["sign"]).verify().example
    assert example.names == ("W", "z", "delta")
    assert [np.shape(arg) for arg in example.args] == [(1, 1), (1,), (1,)]
    assert {float(arg.flat[0]) for arg in example.args} == {1.0}
    line_0, line_1 = example.values
    assert line_0 == -line_1


def test_a_failure_that_needs_two_units_is_shown_with_two():
    example = wrong_order.verify().example
    assert np.shape(example.args[0]) == (2, 2)


def test_a_line_that_raises_does_not_hide_those_after_it():
    report = wrong_order.verify()
    assert "TypeError" in report.explanation
    assert [line.mark for line in report.lines] == [Mark.STARTS, Mark.FAILS, Mark.WOULD_BE_RIGHT]


def test_a_slip_that_is_carried_on_is_told_from_one_that_is_not():
    report = column(right, SLIPS["sign"], SLIPS["sign"]).verify()
    assert report.lines[3].mark is Mark.WOULD_BE_WRONG
    assert "the lines after it follow from it" in report.explanation


def test_a_slip_in_line_0_is_a_disagreement_of_the_anchor_and_line_1():
    @bp.derivation(LATEX)
    def squares(z: Float[Array, " n"]):
        yield bp.line(LATEX, -jax.grad(lambda z: jnp.sum(z**2))(z), "definition, with a slip")
        yield bp.line(LATEX, 2 * z, REASON)
        yield bp.line(LATEX, z + z, REASON)

    report = squares.verify()
    assert report.wrong == 1
    assert "lines 0 and 1 disagree, and every later line agrees with 1" in report.explanation


def test_pytrees_are_compared_leaf_by_leaf():
    def layer(W, z, delta):
        return {"W": jnp.outer(delta, z), "z": W.T @ delta}

    @bp.derivation(LATEX)
    def both(W: Float[Array, "m n"], z: Float[Array, " n"], delta: Float[Array, " m"]):
        grads = jax.grad(lambda W, z: delta @ (W @ z), (0, 1))(W, z)
        yield bp.line(LATEX, {"W": grads[0], "z": grads[1]}, "definition")
        yield bp.line(LATEX, layer(W, z, delta), REASON)
        yield bp.line(LATEX, {**layer(W, z, delta), "z": -(W.T @ delta)}, REASON)

    report = both.verify()
    assert (report.wrong, report.cause) == (2, "sign")
    assert report.example.entry == "['z'][0]"


def test_rounding_is_no_failure_however_large():
    @bp.derivation(LATEX)
    def cancelling(x: Float[Array, " n"]):
        yield bp.line(LATEX, 1 - jnp.cos(x * 1e-3), "loses ten digits")
        yield bp.line(LATEX, 2 * jnp.sin(x * 1e-3 / 2) ** 2, "half angle")

    assert cancelling.verify().ok


def test_an_erratum_is_good_only_where_and_as_it_is_stated():
    def stated(line, cause):
        return bp.Refutes(line, "E(x)", cause, "the sign is lost")

    assert column(SLIPS["sign"], refutes=stated(1, "sign")).verify().verdict is DerivationVerdict.REFUTED
    for wrong in (stated(2, "sign"), stated(1, "factor")):
        report = column(SLIPS["sign"], refutes=wrong).verify()
        assert report.verdict is DerivationVerdict.NOT_REFUTED
        assert "line 1 does, with cause 'sign'" in report.explanation
    assert column(right, refutes=stated(1, "sign")).verify().verdict is DerivationVerdict.NOT_REFUTED


def test_what_rests_on_a_lemma_falls_with_it():
    fallen = column(SLIPS["sign"])
    report = column(right, uses=(fallen,)).verify()
    assert report.verdict is DerivationVerdict.INCONCLUSIVE
    assert "rests on derived, which is FAILS" in report.explanation
    assert column(right, uses=(column(right),)).verify().uses == ("derived",)


def test_a_check_that_fails_raises_with_the_report():
    with pytest.raises(bp.GradientError, match="FAILS at line 1"):
        column(SLIPS["sign"]).check()


def test_the_same_seed_gives_the_same_report():
    def told(seed):
        return column(right).verify(seed=seed).lines[1].worst

    assert told(3) == told(3)


def test_a_report_is_json_and_a_page():
    report = column(SLIPS["sign"]).verify()
    found = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert (found["ok"], found["verdict"], found["wrong"], found["cause"]) == (False, "FAILS", 1, "sign")
    assert found["example"]["repro"] == report.example.repro
    said = str(report)
    for text in ("derived, δ: FAILS at line 1 (sign)", "DOES NOT FOLLOW", "smallest example", "line 0 = "):
        assert text in said


def shut_below(z):
    return jnp.where(z > 0, 1.0, 0.0)


def test_a_mend_does_not_rewrite_a_helper_on_which_a_later_right_line_stands():
    @bp.derivation(LATEX)
    def gated(z: Float[Array, " n"], d: Float[Array, " n"]):
        yield bp.line(LATEX, jax.vjp(jax.nn.relu, z)[1](d)[0], "definition")
        yield bp.line(LATEX, shut_below(-z) * d, "the sign is a slip")
        yield bp.line(LATEX, shut_below(z) * d, REASON)

    report = gated.verify()
    assert report.wrong == 1
    assert report.mend is None or "return" not in report.mend


@pytest.mark.parametrize("first", ["steps", "rate"])
def test_a_slip_that_shows_only_at_long_sizes_is_found_whatever_comes_first(first):
    def lines(x, a):
        h = jnp.zeros_like(a)
        for step in x:
            h = a * h + step
        yield bp.line(LATEX, h, "definition")
        last = x[::-1][:6]
        yield bp.line(LATEX, sum(a**k * last[k] for k in range(len(last))), "but never beyond six")

    def steps_first(x: Float[Array, "T n"], a: Float[Array, " n"]):
        yield from lines(x, a)

    def rate_first(a: Float[Array, " n"], x: Float[Array, "T n"]):
        yield from lines(x, a)

    function = steps_first if first == "steps" else rate_first
    report = bp.derivation(LATEX)(function).verify()
    assert (report.verdict, report.wrong) == (DerivationVerdict.FAILS, 1)


def test_a_line_that_is_wrong_beyond_a_constant_of_its_code_is_found():
    @bp.derivation(LATEX)
    def clipped(x: Float[Array, " n"]):
        yield bp.line(LATEX, jnp.tanh(x), "definition")
        yield bp.line(LATEX, jnp.where(jnp.abs(x) > 17, 0.9, jnp.tanh(x)), REASON)

    report = clipped.verify()
    assert (report.verdict, report.cause) == (DerivationVerdict.FAILS, "at-constant")
    assert "17" in report.explanation


SEVENTH = jnp.array([1 / 7])


@pytest.mark.as_user
def test_a_constant_in_float32_is_named():
    @bp.derivation(LATEX)
    def seventh(x: Float[Array, " n"]):
        yield bp.line(LATEX, jax.grad(lambda x: jnp.sum(SEVENTH * x**2))(x), "definition")
        yield bp.line(LATEX, 2 * x / 7, REASON)

    report = seventh.verify()
    assert (report.verdict, report.cause) == (DerivationVerdict.FAILS, "float32-constant")
    assert "SEVENTH holds float32" in report.explanation


STEPS = {
    "a count": (lambda x: jnp.sum(x >= 0), lambda x: jnp.sum(x > 0)),
    "a gate": (lambda x: jnp.where(x >= 0, 1.0, -1.0), jnp.sign),
    "a floor": (jnp.floor, lambda x: jnp.ceil(x) - 1),
    "a condition": (lambda x: x >= 0, lambda x: x > 0),
}


@pytest.mark.parametrize("what", sorted(STEPS))
def test_what_is_no_derivative_has_no_choice_at_a_step(what):
    one, other = STEPS[what]

    @bp.derivation(LATEX)
    def steps(x: Float[Array, " n"]):
        yield bp.line(LATEX, one(x), "definition")
        yield bp.line(LATEX, other(x), REASON)

    assert steps.verify().verdict is DerivationVerdict.FAILS


def test_a_choice_at_a_kink_beside_lost_digits_is_a_choice_still():
    @bp.derivation(LATEX)
    def cancelling(x: Float[Array, " n"]):
        yield bp.line(LATEX, jax.grad(lambda x: jnp.sum(jnp.abs(x) + 1e-9 * x))(x), "definition")
        yield bp.line(LATEX, jnp.sign(x) + (1 - jnp.cos(x) ** 2 - jnp.sin(x) ** 2) + 1e-9, REASON)

    assert cancelling.verify().verdict is DerivationVerdict.HOLDS
