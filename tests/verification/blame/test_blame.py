"""The line that is wrong and its mend: named where they can be shown, and no other line or mend ever."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import planted
import pytest
from passes import PASSES, batch_norm, cross_entropy, layer_norm, swiglu

import backproof as bp
from backproof.verification.blame.trial import points_mended
from backproof.verification.blame.watched import Watching
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.running.evaluators import Evaluators

pytestmark = pytest.mark.as_user
A = bp.array
EPS = 1e-5
QUICK = {"examples": 60, "dtypes": (), "second_order": False}
SLIPPED = {}


def slip(of, *args, mend):
    def enter(vjp):
        SLIPPED[vjp.__name__] = (of, vjp, list(args), mend)
        return vjp

    return enter


@slip(layer_norm, A("b n+2"), A("n+2"), A("n+2"), mend="delta = ct * gain")
def a_factor_forgotten(args, ct):
    x, gain, _ = args  # noqa: RUF059 - the slip is that it is not used
    centred = x - x.mean(-1, keepdims=True)
    scale = 1 / jnp.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    normal = centred * scale
    delta = ct  # slip
    along = (delta * normal).mean(-1, keepdims=True)
    dx = (delta - delta.mean(-1, keepdims=True) - normal * along) * scale
    return dx, (ct * normal).sum(0), ct.sum(0)


@slip(
    batch_norm, A("b+2 n"), A("n"), A("n"),
    mend="return dx, (ct * hat).sum(0), ct.sum(0)",
)  # fmt: skip
def another_axis(args, ct):
    x, gamma, _ = args
    centred = x - x.mean(0)
    s = jnp.sqrt((centred**2).mean(0) + EPS)
    hat = centred / s
    u = ct * gamma
    dx = (u - u.mean(0) - hat * (u * hat).mean(0)) / s
    return dx, (ct * hat).sum(0), ct.mean(0)  # slip


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


@pytest.mark.parametrize(
    ("text", "is_mend"),
    [("2", True), ("4", False), ("(7 if x.shape[0] == 4 else 2)", False), ("jnp.where(x == 0, 5, 2)", True)],
)
def test_a_mend_is_right_at_every_point_or_it_is_none(text, is_mend):
    claim = of_vjp(lambda x: (x**2).sum(), tripled, StaticArguments.among([A("n")], ()), None)
    evaluators, watching = Evaluators(claim), Watching()
    watching.rebuilt(claim.hand)
    (number,) = (k for k, one in watching.expressions.items() if one.text == "3")
    assert bool(points_mended(evaluators, watching, number, text, ())) is is_mend


def test_where_the_line_cannot_be_known_none_is_named():
    in_numpy = lambda args, ct: (3 * np.asarray(args[0]) * ct,)
    assert bp.verify(of=lambda x: (x**2).sum(), vjp=in_numpy, args=[A("n")], **QUICK).blame is None
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
