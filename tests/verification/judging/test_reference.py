"""Hand, autodiff and finite differences vote: a reference that is wrong itself is not believed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import backproof as bp
from backproof.numerics.noise import Measured
from backproof.verification import Verdict
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.judging.reference import Vote, vote, vote_along
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user
N = [bp.array("n", low=-3, high=3)]
FIRST_ORDER = {"examples": 60, "dtypes": (), "second_order": False}


@jax.custom_jvp
def sine(x):
    return jnp.sin(x)


sine.defjvp(lambda p, t: (jnp.sin(p[0]), 1.01 * jnp.cos(p[0]) * t[0]))


def of(x):
    """A reference built on a tangent that is 1 % off."""
    return sine(x) + x


def evaluators_of(of, vjp):
    return Evaluators(of_vjp(of, vjp, StaticArguments.among(N), None))


def verdict(of, vjp, args=N):
    return bp.verify(of=of, vjp=vjp, args=args, examples=60, dtypes=()).verdict


def test_a_wrong_reference_that_the_hand_side_repeats_is_suspect():
    as_autodiff_says = lambda a, ct: (ct * (1.01 * jnp.cos(a[0]) + 1),)
    report = bp.verify(of=of, vjp=as_autodiff_says, args=N, **FIRST_ORDER)
    assert (report.verdict, report.cause) == (Verdict.REFERENCE_SUSPECT, "reference")
    assert "finite differences" in report.explanation


def test_a_right_reference_is_not_suspected():
    assert verdict(lambda x: jnp.sin(x) + x, lambda a, ct: (ct * (jnp.cos(a[0]) + 1),)) is Verdict.AGREES


def root(x):
    return jnp.where(x > 0, jnp.sqrt(x), 0)


def root_pullback(factor):
    def vjp(args, ct):
        (x,) = args
        return (ct * jnp.where(x > 0, factor / jnp.sqrt(jnp.where(x > 0, x, 1)), 0),)

    return vjp


# at 0 itself the root has no slope, only an infinite one from the right
AWAY = [bp.array("n", low=-3, high=3, where=lambda x: not (abs(x) < 2**-8).any())]


def test_where_autodiff_is_nan_finite_differences_confirm_a_right_value():
    report = bp.verify(of=root, vjp=root_pullback(0.5), args=AWAY, examples=60, dtypes=())
    assert report.verdict is Verdict.AGREES
    assert any("autodiff is not the derivative at" in note for note in report.notes)


def test_autodiff_that_is_nan_excuses_no_wrong_hand_value():
    assert verdict(root, root_pullback(0.25), AWAY) is Verdict.WRONG
    wrong_where_autodiff_is_nan = lambda a, ct: (root_pullback(0.5)(a, ct)[0] + ct * (a[0] < 0),)
    assert verdict(root, wrong_where_autodiff_is_nan, AWAY) is Verdict.WRONG


def test_only_the_reference_that_is_safe_too_agrees():
    safe = lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)
    assert verdict(safe, root_pullback(0.5), AWAY) is Verdict.AGREES


def test_a_stop_gradient_in_the_primal_is_noted_and_its_convention_accepted():
    held = lambda x: x * lax.stop_gradient(jnp.sin(x))
    report = bp.verify(of=held, vjp=lambda a, ct: (ct * jnp.sin(a[0]),), args=N, **FIRST_ORDER)
    assert report.verdict is Verdict.AGREES
    assert any("stop_gradient" in note for note in report.notes)
    full = lambda a, ct: (ct * (jnp.sin(a[0]) + a[0] * jnp.cos(a[0])),)
    assert verdict(held, full) is Verdict.WRONG


def test_a_stop_gradient_inside_a_loop_is_found_too():
    def looped(x):
        return lax.scan(lambda c, _: (c * lax.stop_gradient(jnp.cos(c)), None), x, None, length=1)[0]

    report = bp.verify(of=looped, vjp=lambda a, ct: (ct * jnp.cos(a[0]),), args=N, **FIRST_ORDER)
    assert report.ok
    assert any("stop_gradient" in note for note in report.notes)


def test_differences_vote_on_complex_functions_too():
    def through_real(z):
        return jnp.sum(z * z)

    @jax.custom_jvp
    def suspect(z):
        return through_real(z)

    suspect.defjvp(lambda primals, tangents: (suspect(*primals), 3 * jnp.sum(primals[0] * tangents[0])))
    arguments = [bp.array("n", dtype="complex64")]
    by_hand = {"vjp": lambda args, ct: (2 * args[0] * ct,), "args": arguments, "second_order": False}
    assert bp.verify(of=through_real, **by_hand).ok
    assert bp.verify(of=suspect, **by_hand).verdict == "REFERENCE_SUSPECT"


def test_a_none_inside_an_argument_is_passed_over():
    def scaled(params):
        return 2 * params["w"]

    example = ({"b": None, "w": jnp.ones(3)},)
    right = bp.verify(
        of=scaled, vjp=lambda args, ct: ({"b": None, "w": 2 * ct},), args=example, **FIRST_ORDER
    )
    wrong = bp.verify(
        of=scaled, vjp=lambda args, ct: ({"b": None, "w": -2 * ct},), args=example, **FIRST_ORDER
    )
    assert (right.verdict, wrong.verdict, wrong.cause) == ("AGREES", "WRONG", "sign")


def test_a_stop_gradient_that_changes_nothing_is_not_mentioned():
    """JAX's softmax subtracts a maximum that it does not differentiate; its derivative is that of softmax."""
    softmax = jax.nn.softmax
    pullback = lambda a, ct: ((lambda p: p * (ct - (p * ct).sum(-1, keepdims=True)))(softmax(a[0])),)
    report = bp.verify(of=softmax, vjp=pullback, args=[bp.array("n")], examples=40, dtypes=())
    assert report.verdict is Verdict.AGREES
    assert not any("stop_gradient" in note for note in report.notes)


def test_a_second_derivative_that_the_primal_cuts_is_not_demanded():
    """x² written as 2x·sg(x) − sg(x)²: the first derivative is right, autodiff's second is zero."""
    cut = lambda x: 2 * x * lax.stop_gradient(x) - lax.stop_gradient(x) ** 2
    report = bp.verify(of=cut, vjp=lambda a, ct: (2 * a[0] * ct,), args=[bp.array("n")], dtypes=())
    assert report.verdict is Verdict.AGREES
    assert "the second derivative was not judged: a stop_gradient in the primal changes it" in report.notes


@jax.custom_jvp
def square(x):
    return x * x


@square.defjvp
def _(primals, tangents):
    return square(primals[0]), 3 * primals[0] * tangents[0]


def test_a_stop_gradient_elsewhere_does_not_excuse_a_wrong_reference():
    """The reference's own rule for x² is wrong; that softmax holds a stop_gradient explains nothing."""
    both = lambda x: square(x) + jax.nn.softmax(x)

    def pulled(times):
        def vjp(args, ct):
            p = jax.nn.softmax(args[0])
            return (times * args[0] * ct + p * (ct - (p * ct).sum(-1, keepdims=True)),)

        return vjp

    assert verdict(both, pulled(3)) is Verdict.REFERENCE_SUSPECT
    assert verdict(both, pulled(2)) is Verdict.REFERENCE_SUSPECT


def test_a_second_derivative_is_demanded_where_a_stop_gradient_changes_nothing():
    def frozen(args, ct):
        p = lax.stop_gradient(jax.nn.softmax(args[0]))
        return (p * (ct - (p * ct).sum(-1, keepdims=True)),)

    report = bp.verify(of=jax.nn.softmax, vjp=frozen, args=N, examples=40, dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "second-order")


def test_differences_refute_nan_by_hand_where_they_converge():
    both = evaluators_of(jnp.square, lambda args, ct: (2 * args[0] * ct,))
    point = Point((np.array([0.5, 1.5]),), np.ones(2))
    truth = Measured((np.array([np.nan, 3.0]),), (np.full(2, 1e-15),))
    assert vote(both, point, (np.array([1.0, 3.0]),), truth) is Vote.CONFIRMS
    assert vote(both, point, (np.array([np.nan, 3.0]),), truth) is Vote.REFUTES


def test_a_direction_in_which_differences_do_not_converge_says_nothing():
    """Rounded to float32 inside, the function is a staircase: that it looks flat there is no confirmation."""
    steps = evaluators_of(
        lambda x: (1 + x.astype(jnp.float32) * 0).astype(x.dtype) + x * 0, lambda args, ct: (ct,)
    )
    flat = evaluators_of(jnp.floor, lambda args, ct: (ct,))
    point = Point((np.array([0.5, 1.25]),), np.ones(2))
    nothing, noise = (np.zeros(2),), (np.zeros(2),)
    assert vote_along(flat.primal, point, nothing, noise) == (Vote.CONFIRMS, "")
    assert vote_along(steps.primal, point, nothing, noise) == (Vote.SILENT, "")
    assert vote_along(flat.primal, point, (np.ones(2),), noise)[0] is Vote.REFUTES
