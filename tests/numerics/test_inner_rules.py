"""Functions with a rule of their own give way to their bodies wherever they are called; JAX's own do not."""

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from backproof.numerics.inner_rules import _plain, rules_in, without_rules


@jax.custom_vjp
def cube(x):
    return x * x * x


cube.defvjp(lambda x: (cube(x), x), lambda x, ct: (ct,))  # a slope that no code has by accident


@jax.custom_vjp
def twice(x):
    return cube(x) + cube(cube(x))


twice.defvjp(lambda x: (twice(x), x), lambda x, ct: (ct,))


@jax.custom_jvp
def sine(x):
    return jnp.sin(x)


sine.defjvp(lambda primals, tangents: (sine(*primals), tangents[0]))

PLAIN = {
    "alone": (cube, lambda x: x**3),
    "called twice": (lambda x: cube(cube(x)) * cube(x) + cube(x), lambda x: x**12 + x**3),
    "inside another": (lambda x: twice(twice(x)), lambda x: (x**3 + x**9) ** 3 + (x**3 + x**9) ** 9),
    "a custom_jvp": (lambda x: sine(x) * x, lambda x: jnp.sin(x) * x),
    "in jit and checkpoint": (lambda x: jax.checkpoint(jax.jit(cube))(x), lambda x: x**3),
    "in a loop": (
        lambda x: jax.lax.scan(lambda c, _: (cube(c), None), x, None, length=2)[0],
        lambda x: x**9,
    ),
    "in a branch": (lambda x: jax.lax.cond(x > 0, cube, jnp.sin, x), lambda x: x**3),
    "mapped": (lambda x: jax.vmap(cube)(jnp.stack([x, x])).sum(), lambda x: 2 * x**3),
}


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_autodiff_goes_through_the_body(name):
    ruled, plain = PLAIN[name]
    x = jnp.float32(0.8)
    assert rules_in(ruled, x)
    assert abs(jax.grad(ruled)(x) - jax.grad(plain)(x)) > 0.01
    for form in (without_rules(ruled), jax.jit(without_rules(ruled))):
        assert abs(form(x) - plain(x)) < 1e-5
        assert abs(jax.grad(form)(x) - jax.grad(plain)(x)) < 1e-4


def test_a_rule_of_ones_own_for_a_function_of_jax_is_ones_own():
    squared = jax.custom_vjp(jnp.square)
    squared.defvjp(lambda x: (x * x, x), lambda x, ct: (ct,))
    tangent = jax.custom_jvp(jnp.sin)
    tangent.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), tangents[0]))
    given = jax.custom_gradient(lambda x: (jnp.sin(x), lambda ct: (ct,)))
    for rule, slope in ((squared, 1.6), (tangent, jnp.cos(0.8)), (given, jnp.cos(0.8))):
        x = jnp.float32(0.8)
        assert len(rules_in(lambda x, rule=rule: rule(x) * 1, x)) == 1
        assert abs(jax.grad(without_rules(rule))(x) - slope) < 1e-5


def test_the_rules_of_jax_stay():
    assert rules_in(lambda x: jax.nn.relu(jax.nn.silu(x)), jnp.ones(2)) == []
    assert rules_in(lambda x: jax.nn.relu(cube(x)), jnp.ones(2)) == ["cube"]
    # the slope of relu at 0 is 0 by JAX's rule, and ½ by its body
    assert jax.grad(without_rules(lambda x: jax.nn.relu(cube(x))))(jnp.float32(0)) == 0


def test_a_body_that_is_called_twice_keeps_its_results_apart():
    closed = jax.make_jaxpr(cube)(jnp.float32(0.8))
    (call,) = closed.jaxpr.eqns
    (first,) = call.outvars
    second = type(first)(first.aval)
    again = call.replace(invars=[first], outvars=[second])
    both = closed.jaxpr.replace(eqns=[call, again], outvars=[first, second])
    found = jaxpr_as_fun(ClosedJaxpr(_plain(both), closed.consts))(jnp.float32(0.8))
    assert [round(float(value), 4) for value in found] == [0.512, 0.1342]


def test_a_body_keeps_the_arrays_that_it_holds():
    held = jnp.float32([0.5, 2.0])
    x = jnp.float32([1.0, 3.0])
    closed = jax.make_jaxpr(cube)(x)
    (call,) = closed.jaxpr.eqns
    body = jax.make_jaxpr(lambda x: x * held)(x)
    assert body.consts
    other = closed.jaxpr.replace(eqns=[call.replace(params={**call.params, "call_jaxpr": body})])
    (found,) = jaxpr_as_fun(ClosedJaxpr(_plain(other), closed.consts))(x)
    assert found.tolist() == [0.5, 6.0]
