"""The names of functions in reports, and lines that run as they are pasted."""

import dataclasses
import enum
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import backproof as bp
from backproof.verification import Verdict
from backproof.verification.claims.names import LONGEST_NAME, lambda_text, name_of
from backproof.verification.claims.pasting import pasted, pasted_static

pytestmark = pytest.mark.as_user
N = bp.array("n")
NAMES = {"np": np, "jnp": jnp, "jax": jax, "sparse": sparse}


def verified(of, args, **how):
    return bp.verify(of=of, args=args, **{"examples": 20, "dtypes": (), "second_order": False, **how})


def replayed(report, capsys, **names):
    """What the pasted lines of a report print, and what they should."""
    found = report.counterexample
    exec(f"{found.repro}\n{found.replay}", {**NAMES, **names})
    return capsys.readouterr().out.strip(), str(found.hand)


def powered(f, x, n, w):
    return f(x) * w**n


def negated(args, ct):
    f, x, n, w = args
    return None, -ct * jax.grad(lambda x: f(x).sum())(x) * w**n, None, ct * f(x) * n * w ** (n - 1)


def scaled(x, w, eps):
    return x * w + eps


def sine_cosine(x):
    return jnp.sin(x).sum()


def test_a_lambda_is_named_by_its_text_and_a_partial_by_its_arguments():
    short = lambda x: x + 1
    long = lambda x: x + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15 + 16 + 17
    assert name_of(short) == "lambda x: x + 1"
    assert len(name_of(long)) == LONGEST_NAME
    assert name_of(long).endswith("…")
    assert name_of(functools.partial(scaled, eps=1e-6)) == "partial(scaled, eps=1e-06)"
    assert name_of(jax.custom_vjp(lambda x: -x)) == "lambda x: -x"
    assert name_of(jax.jit(scaled)) == "scaled"


def test_the_innermost_lambda_around_the_code_is_its_own():
    both = [lambda x: (lambda y: y * x)(2), lambda x: x]
    inner = (lambda x: lambda y: y * x)(3)
    assert [lambda_text(one) for one in both] == ["lambda x: (lambda y: y * x)(2)", "lambda x: x"]
    assert lambda_text(inner) == "lambda y: y * x"
    assert lambda_text(eval("lambda x: x")) is None
    assert lambda_text(scaled) is None


def test_a_pullback_with_static_arguments_can_be_replayed(capsys):
    report = verified(powered, [jnp.sin, N, 3, N], vjp=negated)
    assert report.verdict is Verdict.WRONG
    got, wanted = replayed(report, capsys, sin=jnp.sin, negated=negated)
    assert got == wanted


def test_a_lambda_can_be_replayed_by_its_text(capsys):
    report = verified(jnp.sin, [N], vjp=lambda args, ct: (-jnp.cos(args[0]) * ct,))
    assert report.name.startswith("lambda args, ct:")
    assert report.counterexample.replay.startswith("hand = lambda args, ct:")
    got, wanted = replayed(report, capsys)
    assert got == wanted


def test_a_lambda_that_needs_its_surroundings_is_shown_and_called_hand(capsys):
    slip = 2.0
    hand = lambda args, ct: (slip * jnp.cos(args[0]) * ct,)
    report = verified(jnp.sin, [N], vjp=hand)
    assert report.counterexample.replay.startswith("# hand = lambda args, ct: (slip * jnp.cos")
    got, wanted = replayed(report, capsys, hand=hand)
    assert got == wanted


def test_gradients_by_any_argnums_can_be_replayed(capsys):
    loss = lambda x, y: (x * jnp.sin(y)).sum()
    for argnums, grad in (
        (None, lambda x, y: -jnp.sin(y)),
        (1, lambda x, y: 2 * x * jnp.cos(y)),
        ((0, 1), lambda x, y: (jnp.sin(y), -x * jnp.cos(y))),
    ):
        report = verified(loss, [N, N], grad=grad, argnums=argnums)
        assert report.verdict is Verdict.WRONG
        got, wanted = replayed(report, capsys)
        assert got == wanted


def test_a_loss_can_be_replayed(capsys):
    wrong = bp.losses.half_squared_error
    wrong = wrong._replace(backward=lambda kept: -bp.losses.half_squared_error.backward(kept))
    report = bp.verify(wrong, examples=20, dtypes=(), second_order=False)
    got, wanted = replayed(report, capsys, loss=wrong)
    assert got == wanted


def test_a_custom_function_bound_in_a_partial_can_be_replayed(capsys):
    rule = jax.custom_vjp(scaled, nondiff_argnums=(2,))
    rule.defvjp(
        lambda x, w, eps: (x * w + eps, (x, w)), lambda eps, kept, ct: (ct * kept[1] + eps, ct * kept[0])
    )
    for fn, args in ((rule, [N, N, 0.25]), (functools.partial(rule, eps=0.25), [N, N])):
        report = bp.verify(fn, args=args, examples=20, dtypes=(), second_order=False)
        assert report.verdict is Verdict.WRONG
        got, wanted = replayed(report, capsys, scaled=rule)
        assert got == wanted


def test_a_numpy_pullback_can_be_replayed(capsys):
    report = verified(sine_cosine, [N], grad=lambda x: -np.cos(x))
    got, wanted = replayed(report, capsys)
    assert got == wanted


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Options:
    eps: float = 0.5


def test_static_arguments_are_written_where_python_rebuilds_them():
    values = [
        0.5,
        (0, 1),
        "same",
        None,
        Colour.RED,
        Options(),
        jnp.dtype("float32"),
        np.float32,
        np.arange(3),
    ]
    names = {**NAMES, "Colour": Colour, "Options": Options}
    for value in values:
        again = eval(pasted_static(value, "x"), names)
        assert np.all(again == value), value
    assert pasted_static(scaled, "f") == "scaled"
    assert pasted_static(lambda x: x, "static0") == "static0"
    assert pasted_static(object(), "static1") == "static1"


def test_keys_sparse_matrices_and_bfloat16_are_written_as_python():
    key, half = jax.random.key(3), np.asarray(jnp.ones(2, jnp.bfloat16))
    matrix = sparse.BCOO.fromdense(jnp.eye(2))
    again = eval(pasted((key, half, matrix)), NAMES)
    assert jnp.array_equal(jax.random.key_data(again[0]), jax.random.key_data(key))
    assert again[1].dtype == half.dtype
    assert jnp.array_equal(again[2].todense(), jnp.eye(2))
