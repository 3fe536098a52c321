"""The gradient may be right and its own derivative wrong; one probe shows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import backproof as bp
from backproof.verification import Verdict

pytestmark = pytest.mark.as_user
N = [bp.array("n")]


def frozen(args, ct):
    """A right pullback of sin that differentiates to 0 in x."""
    return (lax.stop_gradient(jnp.cos(args[0])) * ct,)


def verified(vjp, **how):
    return bp.verify(of=jnp.sin, vjp=vjp, args=N, examples=30, dtypes=(), **how)


@pytest.mark.smoke
def test_a_stop_gradient_in_the_backward_is_wrong_at_second_order():
    report = verified(frozen)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "second-order")
    assert "second derivative" in report.explanation
    assert report.counterexample.hand != report.counterexample.oracle


def test_a_right_pullback_differentiates_to_the_right_hessian():
    report = verified(lambda a, ct: (jnp.cos(a[0]) * ct,))
    assert report.verdict is Verdict.AGREES
    assert not report.notes


def test_it_is_not_looked_at_where_second_order_is_false():
    assert verified(frozen, second_order=False).verdict is Verdict.AGREES


def test_a_rule_that_freezes_its_residuals_is_caught_and_the_shipped_one_is_not():
    tanh = bp.rules.tanh._replace(domain=bp.array("n"))
    cut = tanh._replace(backward=lambda p, kept, d: tanh.backward(p, lax.stop_gradient(kept), d))
    report = bp.verify(cut, examples=30, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "second-order")
    assert bp.verify(tanh, examples=30, dtypes=()).verdict is Verdict.AGREES


def test_one_frozen_factor_among_right_ones_is_seen():
    """∂(x·y) is right in x and y; only y inside ∂x is frozen."""
    product = lambda x, y: x * y
    vjp = lambda a, ct: (ct * lax.stop_gradient(a[1]), ct * a[0])
    report = bp.verify(of=product, vjp=vjp, args=[bp.array("n"), bp.array("n")], examples=30, dtypes=())
    assert report.cause == "second-order"


def test_a_derivative_that_cannot_be_differentiated_again_is_noted_and_accepted():
    def opaque(args, ct):
        like = jax.ShapeDtypeStruct(args[0].shape, args[0].dtype)
        return (jax.pure_callback(np.cos, like, args[0], vmap_method="expand_dims") * ct,)

    report = verified(opaque)
    assert report.verdict is Verdict.AGREES
    assert any(note.startswith("the second derivative was not judged") for note in report.notes)
