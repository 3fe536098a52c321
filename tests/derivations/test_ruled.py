"""What is proved is what runs: the last line of a derivation is the backward pass of a custom_vjp."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import backproof as bp

pytestmark = pytest.mark.as_user


def product(w, x):
    return jnp.tanh(w * x)


@bp.derivation(r"(\bar w, \bar x)")
def pullback(w: Float[Array, " n"], x: Float[Array, " n"], g: Float[Array, " n"]):
    yield bp.line("v", jax.vjp(product, w, x)[1](g), "definition")
    slope = 1 - jnp.tanh(w * x) ** 2
    yield bp.line("v", (x * slope * g, w * slope * g), "chain rule")


@bp.derivation(r"\bar x")
def of_another(x: Float[Array, " n"], g: Float[Array, " n"]):
    yield bp.line("v", jax.vjp(jnp.sin, x)[1](g)[0], "definition")
    yield bp.line("v", jnp.cos(x) * g, "slope of sin")


@bp.derivation(r"\bar x")
def wrong(x: Float[Array, " n"], g: Float[Array, " n"]):
    yield bp.line("v", jax.vjp(jnp.sin, x)[1](g)[0], "definition")
    yield bp.line("v", -jnp.cos(x) * g, "a sign too many")


def test_the_last_line_runs_in_the_precision_of_its_arguments_and_nothing_above_it_does():
    ruled = bp.custom_vjp_of(pullback, of=product)
    w, x = jnp.float32([0.5, -1.0]), jnp.float32([2.0, 0.3])
    found = jax.vjp(ruled, w, x)[1](jnp.ones(2, jnp.float32))
    wanted = jax.vjp(product, w, x)[1](jnp.ones(2, jnp.float32))
    for mine, true in zip(found, wanted, strict=True):
        assert mine.dtype == jnp.float32
        assert float(jnp.max(jnp.abs(mine - true))) < 1e-6
    lean = jax.jit(lambda w, x, g: jax.vjp(ruled, w, x)[1](g)).lower(w, x, w).compile()
    plain = jax.jit(lambda w, x, g: (x * (1 - jnp.tanh(w * x) ** 2) * g, w * g)).lower(w, x, w).compile()
    assert lean.cost_analysis()["transcendentals"] <= plain.cost_analysis()["transcendentals"]


def test_the_function_is_that_of_the_derivation_unless_it_is_given():
    @bp.derivation(r"\bar x", of=jnp.sin, cotangent="g")
    def of_sine(x: Float[Array, " n"], g: Float[Array, " n"]):
        yield bp.line("v", jnp.cos(x) * g, "slope of sin")

    x = jnp.float32([0.5, -1.0])
    assert bool(jnp.all(bp.custom_vjp_of(of_sine)(x) == jnp.sin(x)))
    with pytest.raises(bp.UsageError, match="the function must be given"):
        bp.custom_vjp_of(of_another)


def test_a_derivation_that_fails_or_is_of_another_function_makes_no_rule():
    with pytest.raises(bp.GradientError, match="FAILS at line 1"):
        bp.custom_vjp_of(wrong, of=jnp.sin)
    with pytest.raises(bp.GradientError, match="WRONG"):
        bp.custom_vjp_of(of_another, of=lambda x: jnp.cos(x))


def test_a_derivation_of_other_arguments_is_a_usage_error():
    with pytest.raises(bp.UsageError, match=r"in order, and last the cotangent, but found of_an"):
        bp.custom_vjp_of(of_another, of=product)
