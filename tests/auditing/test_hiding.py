"""What a slip changes is counted in measured rounding, at the test's points and at fresh ones."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backproof.auditing.call import FUNCTION, JVP, VJP, Call, gradient_form
from backproof.auditing.hiding import changes_at, is_slip, replayable
from backproof.auditing.rounding import differ, gradient_at, relative, rounding_at
from backproof.auditing.slips import Slip

pytestmark = pytest.mark.as_user

P = np.asarray(jax.nn.softmax(jnp.arange(12.0).reshape(3, 4) / 7), np.float32)
CT = np.arange(12, dtype=np.float32).reshape(3, 4)


def softmax_backward(p, ct):
    return (p * (ct - (p * ct).sum(-1, keepdims=True)),)


def call(backward, *args, kind=VJP):
    return Call("a rule", kind, backward, args, {}, len(args) - 1, ("x",))


@pytest.mark.parametrize("array", [jnp.asarray, np.asarray])
def test_a_gradient_that_is_zero_but_for_rounding_is_changed_by_no_slip(array):
    """The entries are of order 1e-9: not zero, so that a comparison of bits would see them doubled."""
    logits = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    point = call(softmax_backward, array(p), array(np.ones_like(p)))
    slip = Slip("twice", "x")
    assert np.any(gradient_at(point)["x"] != 0)
    assert not changes_at(point, slip)
    assert is_slip([point], slip)
    assert changes_at(call(softmax_backward, array(P), array(CT)), slip)
    assert relative(point, "x") is None


def test_a_slip_that_changes_nothing_at_any_numbers_is_none():
    equal_rows = call(lambda x, ct: (0 * x + ct.sum(),), P, CT)
    assert not is_slip([equal_rows], Slip("rows reversed", "x"))
    assert is_slip([equal_rows], Slip("row zeroed", "x"))


def test_fresh_numbers_that_the_code_refuses_are_passed_over():
    def backward(x, ct):
        if np.any(x < 0):
            raise ValueError("negative")
        return (x * ct,)

    assert is_slip([call(backward, P, 0 * CT)], Slip("twice", "x"))


@pytest.mark.parametrize(
    "backward", [lambda x, ct: (jnp.cumsum(x * ct),), lambda x, ct: (np.cumsum(x * ct),)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rounding_that_is_measured_covers_that_of_the_dtype(backward, dtype):
    """The same sums in long double differ by less than 8 units, and by more than a thousandth of one."""
    rng = np.random.default_rng(0)
    x, ct = rng.normal(size=(2, 200)).astype(dtype)
    point = call(backward, x, ct)
    exact = np.cumsum(x.astype(np.longdouble) * ct.astype(np.longdouble))
    apart = np.abs(gradient_at(point)["x"] - exact) / rounding_at(point)["x"]
    assert 1e-3 < apart.max() < 8


def test_precision_that_the_code_gives_away_is_not_counted_twice():
    def backward(x, ct):
        return ((x * ct).astype(jnp.bfloat16).astype(x.dtype),)

    part = relative(call(backward, jnp.asarray(P), jnp.asarray(CT)), "x")
    assert 2.0**-12 < part < 2.0**-5


def test_results_of_another_form_differ():
    value = {"x": P}
    assert not differ(value, {"x": P}, {})
    assert differ(value, {}, {})
    assert differ(value, {"x": P[:2]}, {})
    assert differ(value, {"x": P * np.nan}, {})
    assert differ(value, {"x": P + 1}, {"x": 0 * P})


def test_a_rule_for_tangents_is_seen_as_the_gradient_that_it_gives():
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return x * y, dx * y + x * dy

    point = Call("a rule", JVP, rule, ((P, CT), (0 * P, 0 * CT)), {}, 1, ("x", "y"))
    gradient = gradient_form(point)
    ct = gradient.towards
    found = gradient_at(gradient)
    np.testing.assert_array_equal(found["x"], CT * ct)
    np.testing.assert_array_equal(found["y"], P * ct)
    assert changes_at(point, Slip("twice", "y"))


def test_what_cannot_be_run_again_is_dropped_with_its_reason():
    def backward(x, ct):
        return (jax.lax.psum(x * ct, "an axis"),)

    good = call(softmax_backward, P, CT)
    found, said = replayable([good, call(backward, P, CT)])
    assert found == [good]
    assert "an axis" in said


def test_leaves_that_are_python_numbers_are_leaves_too():
    point = replace(call(lambda x, dout: x * dout, 3.0, 2.0, kind=FUNCTION), leaf_names=())
    assert gradient_at(point) == {"result": 6.0}
    assert changes_at(point, Slip("twice", "result"))
    assert is_slip([point], Slip("negated", "result"))
