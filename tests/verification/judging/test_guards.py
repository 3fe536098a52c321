"""Where autodiff differentiates a guard it is not believed: the sides are, and finite differences."""

import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.judging.guards import may_be_guarded, without_guards
from backproof.verification.judging.judge import Outcome, judge_alone
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point

pytestmark = pytest.mark.as_user


def evaluators(of, vjp=lambda args, ct: (ct,)):
    return Evaluators(of_vjp(of, vjp, StaticArguments.among([bp.array("n")]), None))


def look(both, *x):
    point = Point((np.array(x),), np.ones(len(x)))
    return Look(point, both.hand(point).value, both.truth(point), tied=True)


def exponential_times(x):
    return jnp.where(x == 0, 0.0, x * jnp.exp(x))


def ratio(x):
    """Return (eˣ − 1)/x, whose limit next to 0 is all rounding."""
    return jnp.where(x == 0, 1.0, jnp.expm1(x) / jnp.where(x == 0, 1.0, x))


@pytest.mark.parametrize(("of", "slope"), [(exponential_times, 1.0), (ratio, 0.5)])
def test_the_derivative_at_a_guard_is_that_of_the_function(of, slope):
    both = evaluators(of)
    guarded = look(both, 0.0, 1.5)
    assert guarded.truth.value[0][0] == 0
    assert may_be_guarded(both, [guarded, look(both, 0.5, 1.5)]) == [True, False]
    corrected = without_guards(both, guarded).value[0]
    assert abs(corrected[0] - slope) < 1e-9
    assert corrected[1] == guarded.truth.value[0][1]


@pytest.mark.parametrize(
    "of", [jnp.abs, lambda x: jnp.maximum(x, 0), jnp.square], ids=["abs", "relu", "square"]
)
def test_where_autodiff_takes_a_side_nothing_is_corrected(of):
    both = evaluators(of)
    kinked = look(both, 0.0, 1.5)
    assert without_guards(both, kinked) is kinked.truth


def test_a_hole_in_the_value_is_no_guard():
    """The function jumps at 0, so that no difference converges and autodiff stands."""
    both = evaluators(lambda x: jnp.where(x == 0, 5.0, x))
    hole = look(both, 0.0)
    assert without_guards(both, hole) is hole.truth


def test_a_right_value_at_a_guard_is_confirmed_and_a_copied_one_is_wrong():
    right = evaluators(exponential_times, lambda args, ct: (ct * (1 + args[0]) * jnp.exp(args[0]),))
    copied = lambda args, ct: (jnp.where(args[0] == 0, 0.0, ct * (1 + args[0]) * jnp.exp(args[0])),)
    point = Point((np.array([0.0, 1.0]),), np.ones(2))
    assert judge_alone(right, point).outcome is Outcome.CONFIRMED
    found = judge_alone(evaluators(exponential_times, copied), point)
    assert (found.outcome, found.guarded, found.worst.at) == (Outcome.WRONG, True, (0,))
    report = bp.verify(of=exponential_times, vjp=copied, args=[bp.array("n")], dtypes=(), second_order=False)
    assert (report.verdict, report.cause) == ("WRONG", "copied-guard")
    assert "autodiff is not the derivative here" in report.explanation
