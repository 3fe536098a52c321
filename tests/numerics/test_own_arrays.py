"""NumPy arrays that a function holds are float64 in float64, whatever was traced before."""

import functools

import jax
import jax.numpy as jnp
import kept_arrays
import numpy as np
import pytest

import backproof as bp
from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.tracing import trace

pytestmark = pytest.mark.as_user
THIRDS = np.arange(3.0) + 1 / 3
WEIGHTS = np.random.default_rng(0).standard_normal((3, 2))
SINGLE = np.float32([1, 2, 3])


def scaled(x):
    return x * THIRDS


def inside(x, by):
    return jnp.tanh(by(x) @ WEIGHTS)


def closed(held=THIRDS):
    return lambda x: x * held


def powered(x, times=2):
    return x if times == 0 else powered(x, times - 1) * THIRDS


class Method:
    def __call__(self, x):
        return x * THIRDS


class Layer:
    def __init__(self):
        self.w = WEIGHTS.copy()

    def __call__(self, x):
        return x @ self.w


ruled = jax.custom_vjp(scaled)
ruled.defvjp(lambda x: (scaled(x), None), lambda _, ct: (ct * THIRDS,))
HOLDING = {
    "a global": scaled,
    "a closure": closed(),
    "a default": lambda x, held=THIRDS: x * held,
    "a helper": functools.partial(inside, by=scaled),
    "an object": Layer(),
    "a method of one": Layer().__call__,
    "a class that names it": Method(),
    "a function that calls itself": powered,
    "a module": lambda x: kept_arrays.scaled(x) + kept_arrays.THIRDS,
    "a rule": ruled,
    "jit": jax.jit(scaled),
    "vmap": jax.vmap(scaled),
}
X = np.ones((4, 3))


@pytest.mark.parametrize("name", HOLDING)
def test_an_array_keeps_its_digits_in_float64_after_a_trace_in_float32(name):
    function = HOLDING[name]
    jax.make_jaxpr(lambda x: jax.vjp(function, x)[0])(jnp.float32(X))
    consts = trace(lambda x: jax.vjp(function, x)[0], X).jaxpr.consts
    arrays = [const for const in consts if np.shape(const)]
    assert arrays
    assert {const.dtype for const in arrays} == {np.dtype(np.float64)}


def test_a_change_of_the_array_is_seen_by_the_next_trace():
    held = np.ones(3)
    function = lambda x: x * held
    first = with_own_arrays(function)(np.ones(3))
    held[0] = 5.0
    assert (first[0], with_own_arrays(function)(np.ones(3))[0]) == (1.0, 5.0)


def test_what_holds_no_such_array_is_itself():
    plain = lambda x: jnp.sin(x) * SINGLE
    for function in (plain, jnp.sin, functools.partial(plain), jax.jit(plain)):
        assert with_own_arrays(function) is function


def test_the_arrays_of_the_caller_are_not_the_copies():
    made = with_own_arrays(closed())
    (cell,) = made.__closure__
    assert cell.cell_contents is not THIRDS
    assert np.array_equal(cell.cell_contents, THIRDS)


def without_square(args, ct):
    value = jnp.tanh(args[0] @ WEIGHTS)
    slope = 1 - value
    return ((ct * slope) @ WEIGHTS.T,)


def test_functions_with_arrays_in_numpy_are_judged_rightly():
    dense = lambda x: jnp.tanh(x @ WEIGHTS)
    back = lambda a, ct: ((ct * (1 - jnp.tanh(a[0] @ WEIGHTS) ** 2)) @ WEIGHTS.T,)
    rows = [bp.array("b 3")]
    assert bp.verify(of=dense, vjp=back, args=rows, examples=30).verdict == "AGREES"
    slip = lambda a, ct: ((ct * (1 - jnp.tanh(a[0] @ WEIGHTS) ** 2)) @ (WEIGHTS.T * (1 + 1e-9)),)
    assert bp.verify(of=dense, vjp=slip, args=rows, examples=30).verdict == "WRONG"
    report = bp.verify(of=dense, vjp=without_square, args=rows, examples=30)
    assert "** 2" in report.mend
    for rule in (ruled, jax.jit(ruled), lambda x: ruled(x) * THIRDS):
        assert bp.verify(rule, args=[bp.array("3")], examples=30).verdict == "AGREES"
