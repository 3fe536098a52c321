"""The line that is wrong and its mend: named where they can be shown, and no other line or mend ever."""

import json
import linecache
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest
from passes import PASSES, cross_entropy, swiglu

import backproof as bp
from backproof.verification.blame.case import Case
from backproof.verification.blame.trial import points_mended
from backproof.verification.blame.watched import Watching
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.diagnosis import diagnosis
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user
A = bp.array
QUICK = {"examples": 60, "dtypes": (), "second_order": False}
SLIPPED = {}


def slip(of, *args, mend):
    def enter(vjp):
        SLIPPED[vjp.__name__] = (of, vjp, list(args), mend)
        return vjp

    return enter


@slip(lambda x, w: jnp.sin(x * w).sum(), A("b n"), A("n"), mend="slope = jnp.cos(x * w) * ct")
def a_factor_forgotten(args, ct):
    x, w = args
    slope = jnp.cos(x * w)  # slip
    return slope * w, (slope * x).sum(0)


@slip(lambda x, w, b: x @ w + b, A("b n"), A("n m"), A("m"), mend="return ct @ w.T, x.T @ ct, ct.sum(0)")
def a_mean_for_a_sum(args, ct):
    x, w, _ = args
    return ct @ w.T, x.T @ ct, ct.mean(0)  # slip


@slip(lambda x: jnp.sinh(x.mean(1)), A("b n>=1"), mend="slope = ct * jnp.cosh(x.mean(1)) / x.shape[1]")
def another_size(args, ct):
    (x,) = args
    slope = ct * jnp.cosh(x.mean(1)) / x.shape[0]  # slip
    return (jnp.broadcast_to(slope[:, None], x.shape),)


def grown(x, y):
    return jnp.exp(jnp.sin(x) * y**2)


@slip(grown, A("n"), A("n"), mend="value = jnp.exp(jnp.sin(x) * y ** 2)")
def what_the_function_computes(args, ct):
    x, y = args
    value = jnp.cosh(x)  # slip
    return ct * value * jnp.cos(x) * y**2, ct * value * jnp.sin(x) * 2 * y


@slip(cross_entropy, A("b+1 v+1"), bp.integers("b+1", 0, "v"), mend="return ct * d / z.shape[0], None")
def another_count(args, ct):
    z, labels = args
    d = jax.nn.softmax(z) - jax.nn.one_hot(labels, z.shape[1])
    return ct * d / z.size, None  # slip


@slip(lambda x, w: jnp.tanh(x @ w), A("b n"), A("n n"), mend="return dz @ w.T, x.T @ dz")
def a_transpose_forgotten(args, ct):
    x, w = args
    dz = ct * (1 - jnp.tanh(x @ w) ** 2)
    return dz @ w, x.T @ dz  # slip


@slip(lambda x: jnp.where(x > 1, jnp.sin(x), 0.0), A("n"), mend="")
def a_condition_forgotten(args, ct):
    (x,) = args
    return (ct * jnp.cos(x),)  # slip


@slip(lambda x, y: jnp.sin(x) * y, A("n"), A("n"), mend="return s * y, ct * jnp.sin(x)")
def a_sign_too_many(args, ct):
    x, y = args
    s = ct * jnp.cos(x)
    return -s * y, ct * jnp.sin(x)  # slip


def halved(v):
    return v / 2  # slip


@slip(lambda x: (x**2).sum(), A("n"), mend="")
def a_slip_in_a_helper(args, ct):
    (x,) = args
    return (2 * ct * halved(x),)


def line_of_slip(name):
    vjp = SLIPPED[name][1]
    code = halved.__code__ if "helper" in name else vjp.__code__
    lines = pathlib.Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(n for n in range(code.co_firstlineno, len(lines)) if "# slip" in lines[n - 1])


@pytest.mark.parametrize("name", SLIPPED)
def test_the_line_of_a_slip_and_its_mend_are_named(name):
    of, vjp, args, mend = SLIPPED[name]
    report = bp.verify(of=of, vjp=vjp, args=args, **QUICK)
    assert report.verdict == "WRONG"
    assert report.blame.line == line_of_slip(name)
    assert report.blame.file == __file__
    assert f"{__file__.rpartition('/')[2]}:{report.blame.line}  {report.blame.text}" in str(report)
    if mend:
        assert report.blame.mend == mend
        assert report.mend == f"line {report.blame.line}: {report.blame.text}  →  {mend}"
    assert report.blame.mend == json.loads(report.to_json())["blame"]["mend"]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_no_false_line_and_no_false_mend_is_named_for_slips_at_random(seed, tmp_path):
    named = mended = wrong = 0
    for of_name, _, line, vjp, _ in planted.planted(6, seed, tmp_path):
        of, _, args = PASSES[of_name]
        report = bp.verify(of=of, vjp=vjp, args=args, **QUICK)
        if report.verdict != "WRONG" or report.blame is None:
            continue
        wrong += 1
        named += report.blame.line == line
        mended += bool(report.blame.mend)
        assert report.blame.line in (line, None) or report.blame.mend
        assert line in report.blame.lines or report.blame.mend
    assert 2 * named >= wrong
    assert mended


@pytest.mark.parametrize("name", PASSES)
def test_the_passes_in_which_slips_are_planted_are_right(name):
    of, vjp, args = PASSES[name]
    assert bp.verify(of=of, vjp=vjp, args=args, **QUICK).ok


def tripled(args, ct):
    (x,) = args
    return (ct * 3 * x,)


def points_with(of, vjp, text, instead, looks=()):
    """Return at how many points a pullback is right with another text for an expression."""
    claim = of_vjp(of, vjp, StaticArguments.among([A("n")], ()), None)
    evaluators, watching = Evaluators(claim), Watching()
    watching.rebuilt(claim.hand)
    (number,) = (k for k, one in watching.expressions.items() if one.text == text)
    looks = [look_of(evaluators, *one) for one in looks]
    return points_mended(Case(evaluators, watching, (), looks, Clock()), number, instead)


def look_of(evaluators, *numbers):
    point = Point((np.array(numbers),), np.ones(()))
    return Look(point, None, evaluators.truth(point), tied=True)


def square(x):
    return (x**2).sum()


@pytest.mark.parametrize(
    ("text", "is_mend"), [("2", True), ("4", False), ("(7 if x.shape[0] == 4 else 2)", False)]
)
def test_a_mend_is_right_at_every_point_or_it_is_none(text, is_mend):
    assert bool(points_with(square, tripled, "3", text)) is is_mend


def test_a_mend_that_is_wrong_at_one_point_looked_at_is_none():
    rarely = "jnp.where(x == 77, 5, 2)"
    assert points_with(square, tripled, "3", rarely)
    assert points_with(square, tripled, "3", rarely, [(1.0, 2.0), (3.0, 4.0)])
    assert not points_with(square, tripled, "3", rarely, [(1.0, 2.0), (3.0, 77.0)])


def test_a_mend_is_run_at_every_point_that_was_looked_at(monkeypatch):
    found = []
    monkeypatch.setattr(diagnosis, "blame", lambda evaluators, judged, looks, clock: found.extend(looks))
    report = bp.verify(of=square, vjp=tripled, args=[A("n")], **QUICK)
    assert len(found) >= max(report.examples, QUICK["examples"])


def test_numpy_code_gets_its_line_and_mend_too():
    def in_numpy(args, ct):
        (x,) = args
        dx = np.zeros_like(x)
        for i in range(len(x)):
            dx[i] += 3 * x[i]
        return (dx * ct,)

    report = bp.verify(of=lambda x: (x**2).sum(), vjp=in_numpy, args=[A("n")], **QUICK)
    assert report.blame.text == "dx[i] += 3 * x[i]"
    assert report.blame.mend == "dx[i] += 2 * x[i]"


def test_where_the_line_cannot_be_known_none_is_named():
    names = {}
    exec("def without_source(args, ct):\n    return (3 * args[0] * ct,)", names)
    report = bp.verify(of=lambda x: (x**2).sum(), vjp=names["without_source"], args=[A("n")], **QUICK)
    assert (report.verdict, report.blame, report.mend) == ("WRONG", None, None)


def two_slips(args, ct):
    x, u, w = args
    a, b = x @ u, x @ w
    s = jax.nn.sigmoid(a)
    da = ct * b * s
    db = ct * a
    return da @ u.T + db @ w.T, x.T @ da, x.T @ db


def test_of_two_slips_none_is_called_the_only_one():
    report = bp.verify(of=swiglu, vjp=two_slips, args=[A("b n"), A("n m"), A("n m")], **QUICK)
    assert report.verdict == "WRONG"
    assert report.blame is None or report.blame.line is None


def through_numbers(args, ct):
    x = args[0]
    n = x.shape[0] ** 2
    k = n + 3
    return (ct / k * jnp.ones_like(x),)


def test_the_lines_of_plain_numbers_are_in_question_too():
    report = bp.verify(of=lambda x: x.sum() / jnp.pi, vjp=through_numbers, args=[A("n>=1")], **QUICK)
    first = through_numbers.__code__.co_firstlineno
    assert report.blame.mend or {first + 2, first + 3, first + 4} <= {*report.blame.lines}


@pytest.mark.parametrize("head", ["import jax.numpy as xp", "import jax as xla"])
def test_a_mend_calls_modules_as_the_code_does(head):
    call = "xp" if "xp" in head else "xla.numpy"
    text = f"{head}\ndef back(args, ct):\n    return (ct * args[0],)\n"
    linecache.cache["called.py"] = (0, None, text.splitlines(keepends=True), "called.py")
    names = {}
    exec(compile(text, "called.py", "exec"), names)
    report = bp.verify(of=jnp.sinh, vjp=names["back"], args=[A("n")], **QUICK)
    assert report.blame.mend == ""
    report = bp.verify(of=lambda x: -jnp.cos(x), vjp=names["back"], args=[A("n")], **QUICK)
    assert report.blame.mend == f"return (ct * {call}.sin(args[0]),)"


def beside_a_right_leaf(args, ct):
    x, y = args
    inner = jnp.exp(y)
    slope = jnp.cos(1.1 * x) * jnp.tanh(x)
    return ct * slope, ct * jnp.cos(inner) * inner


def test_a_line_that_feeds_only_right_entries_is_not_in_question():
    of = lambda x, y: (jnp.arctan(x) + jnp.sin(jnp.exp(y))).sum()
    report = bp.verify(of=of, vjp=beside_a_right_leaf, args=[A("n"), A("n")], **QUICK)
    first = beside_a_right_leaf.__code__.co_firstlineno
    assert first + 3 in report.blame.lines
    assert first + 2 not in report.blame.lines


@jax.custom_vjp
def cubed(x):
    return x**3


cubed.defvjp(lambda x: (x**3, x), lambda x, ct: (2 * x**2 * ct,))


def test_the_backward_of_a_custom_vjp_a_rule_and_a_jvp_have_lines_too():
    report = bp.verify(cubed, args=[A("n")], **QUICK)
    assert "3 * x ** 2 * ct" in report.mend or "3 * x**2 * ct" in report.mend
    rule = bp.rules.silu._replace(
        name="slip", backward=lambda params, kept, ct: ((), 2 * bp.rules.silu.backward(params, kept, ct)[1])
    )
    assert bp.verify(rule, **QUICK).blame.file == __file__
    tangent = lambda args, tangents: 2 * jnp.cos(args[0]) * tangents[0]
    report = bp.verify(of=jnp.sin, jvp=tangent, args=[A("n")], **QUICK)
    assert report.blame.mend.endswith("jnp.cos(args[0]) * tangents[0]")


def shared(x):
    return x * 2.0


def misused(args, ct):
    return (2 * shared(args[0]) * ct,)


def test_a_mend_of_code_that_the_function_shares_is_none():
    report = bp.verify(of=lambda x: shared(x) ** 2, vjp=misused, args=[A("n")], **QUICK)
    assert report.verdict == "WRONG"
    assert report.blame.line == misused.__code__.co_firstlineno + 1


def test_a_mend_may_not_change_the_function():
    of = lambda x: (shared(x) ** 2).sum()
    assert points_with(of, misused, "2", "4")
    # with this the pullback would be that of the old function, and the function another one
    assert not points_with(of, misused, "x * 2.0", "x * 4.0")


def power(x, k):
    return power(x, k - 1) * x if k else jnp.ones_like(x)


def one_power_less(args, ct):
    return (4 * ct * power(args[0], 2),)


def test_a_mend_never_makes_code_endless():
    report = bp.verify(of=lambda x: x**4, vjp=one_power_less, args=[A("n")], **QUICK)
    assert report.verdict == "WRONG"
    assert "power(x, k)" not in str(report.mend)
    assert report.blame.line == one_power_less.__code__.co_firstlineno + 1


def slope(x):
    return 1 - jnp.tanh(1.3 * x) ** 2 * 0.7


def share(count):
    return 1 / (count + 0.7)


SLOPES = {"tanh": slope}


def by_default(args, ct, act=SLOPES["tanh"]):
    return (ct * act(args[0]),)


def by_table(args, ct):
    return (ct * SLOPES["tanh"](args[0]),)


def by_number(args, ct):
    x = args[0]
    return (ct * share(x.size) * jnp.ones_like(x),)


def by_condition(args, ct):
    x = args[0]
    inside = jnp.cos(3 * x) > 0.77
    return (jnp.where(inside, 2.0 * x * ct, 0.0),)


def by_loop(args, ct):
    return (jax.lax.scan(lambda c, row: (c, row * row * 1.1), 0.0, args[0])[1] * ct,)


HIDDEN = {
    "a default": (jnp.tanh, by_default),
    "a table": (jnp.tanh, by_table),
    "a number": (lambda x: x.mean(), by_number),
    "a condition": (lambda x: jnp.where(jnp.cos(3 * x) > 0.7, x**2, 0.0), by_condition),
    "a loop": (jnp.tanh, by_loop),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_where_what_is_wrong_may_be_hidden_no_line_is_the_only_one(name):
    of, vjp = HIDDEN[name]
    report = bp.verify(of=of, vjp=vjp, args=[A("n>=1")], **QUICK)
    assert report.verdict == "WRONG"
    assert report.blame.line is None or report.blame.mend


def test_code_that_is_another_when_it_is_rebuilt_is_not_blamed_and_a_note_says_so():
    def by_identity(args, ct):
        x = args[0]
        y = x
        return (ct * (3 * x if y is x else 2 * x),)

    report = bp.verify(of=lambda x: (x**2).sum(), vjp=by_identity, args=[A("n")], **QUICK)
    assert (report.verdict, report.blame) == ("WRONG", None)
    assert any("gives another result" in note for note in report.notes)


def test_without_time_no_line_is_looked_for():
    report = bp.verify(of=lambda x: (x**2).sum(), vjp=tripled, args=[A("n")], budget=1e-9, **QUICK)
    assert (report.verdict, report.blame) == ("WRONG", None)
    assert "no time left to look for the line" in str(report)


def test_a_line_is_looked_for_where_arrays_are_empty():
    def weighted(scores, temperature):
        return jnp.sum(jax.nn.softmax(scores / temperature) * scores)

    def by_hand(args, ct):
        scores, temperature = args
        p = jax.nn.softmax(scores / temperature)
        d = p * (scores - (p * scores).sum())
        return ct * (p + d / temperature), -ct * (d * scores).sum() / temperature

    report = bp.verify(of=weighted, vjp=by_hand, args=[bp.array("n"), bp.array("")])
    assert report.verdict == "WRONG"
    assert report.blame is not None
    assert not any("not looked for" in note for note in report.notes)
