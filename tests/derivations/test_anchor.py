"""Line 0 is anchored in autodiff, the last line runs what is shipped: seen in the source."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof import rules
from backproof.rules import tanh as shipped_tanh


def helper(x):
    return jax.vjp(jnp.tanh, x)[1](jnp.ones_like(x))[0]


def shipped(x):
    return rules.tanh.backward((), jnp.tanh(x), jnp.ones_like(x))[1]


def plain(x):
    return 1 - jnp.tanh(x) ** 2


@bp.derivation("x")
def direct(x: Float[Array, " n"]):
    yield bp.line("x", jax.grad(lambda x: jnp.sum(jnp.tanh(x)))(x), "definition")
    yield bp.line("x", rules.tanh.backward((), jnp.tanh(x), jnp.ones_like(x))[1], "shipped")


@bp.derivation("x")
def by_functions(x: Float[Array, " n"]):
    yield bp.line("x", helper(x), "definition")
    yield bp.line("x", shipped(x), "shipped")


@bp.derivation("x")
def by_locals(x: Float[Array, " n"]):
    slope = jax.jacobian(jnp.tanh)(x)
    rule = shipped_tanh
    yield bp.line("x", jnp.diag(slope), "definition")
    yield bp.line("x", rule.backward((), jnp.tanh(x), jnp.ones_like(x))[1], "shipped")


@bp.derivation("x")
def neither(x: Float[Array, " n"]):
    yield bp.line("x", plain(x), "definition")
    yield bp.line("x", 1 - jnp.tanh(x) * jnp.tanh(x), "the square")


@bp.derivation("x")
def only_said(x: Float[Array, " n"]):
    grad = plain
    yield bp.line("x", grad(x), "jax.grad, says the reason")
    yield bp.line("x", plain(x), "rules.tanh, says the reason")


@pytest.mark.parametrize(
    ("derived", "anchored", "runs"),
    [
        (direct, "anchored in jax.grad", "this is what runs: tanh"),
        (by_functions, "anchored in jax.vjp", "this is what runs: tanh"),
        (by_locals, "anchored in jax.jac", "this is what runs: tanh"),
        (neither, "not anchored", ""),
        (only_said, "not anchored", ""),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_report_says_what_anchors_and_what_runs(derived, anchored, runs):
    report = derived.verify()
    assert report.ok
    first, last = report.lines[0].note, report.lines[-1].note
    assert first.startswith(anchored)
    assert last == runs
