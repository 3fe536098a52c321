"""A budget: what is told most cheaply is told first, and what was left out is said."""

import json

import jax.numpy as jnp
import pytest

import backproof as bp
from backproof.errors import UsageError
from backproof.verification import engine
from backproof.verification.running.clock import Clock

pytestmark = pytest.mark.as_user
N = [bp.array("b n")]
AT_ONCE = 1e-9
RIGHT = lambda args, ct: (2 * args[0] * ct,)
WRONG = lambda args, ct: (-2 * args[0] * ct,)


def test_a_clock_notes_what_is_left_out_once_the_budget_is_used_up():
    clock = Clock(AT_ONCE)
    assert clock.over("this")
    assert clock.left_out == ["this"]
    assert not Clock(1e9).over("that")
    assert not Clock().over("that")


def test_without_time_the_smallest_shape_is_judged_and_the_rest_is_said_to_be_left_out():
    report = bp.verify(of=jnp.square, vjp=RIGHT, args=N, budget=AT_ONCE, dtypes=())
    assert report.verdict == "INCONCLUSIVE"
    assert "there was no time left for" in report.explanation
    assert "the laws of conduct" in report.explanation
    assert len(report.reach.axes["n"]) == len(report.shapes) == 1
    assert report.reach.left_out[0].endswith("shapes")
    assert "the second derivative" in report.reach.left_out
    assert "left out after 1e-09 s: " in str(report)
    assert json.loads(report.to_json())["reach"]["left_out"] == list(report.reach.left_out)


def test_a_slip_at_sizes_for_which_no_time_was_left_is_not_passed():
    """The first size is 1, at which a gradient that is doubled for two rows and more looks right."""
    doubled = lambda args, ct: (2 * args[0] * ct * (2 if args[0].shape[0] > 1 else 1),)
    report = bp.verify(of=jnp.square, vjp=doubled, args=N, budget=AT_ONCE, dtypes=())
    assert report.verdict == "INCONCLUSIVE"


def test_a_declared_precision_for_which_no_time_was_left_is_inconclusive():
    report = bp.verify(of=jnp.square, vjp=RIGHT, args=N, budget=AT_ONCE)
    assert report.verdict == "INCONCLUSIVE"
    assert "no time left for" in report.explanation
    assert report.reach.precisions == report.reach.advised == ()


class LateForFloat32(Clock):
    """A clock that runs out for one precision only."""

    late = False

    @property
    def is_over(self):
        return self.late

    def over(self, what, *, required=False):
        self.late = what == "float32"
        is_over = super().over(what, required=required)
        self.late = False
        return is_over


def test_a_declared_precision_that_alone_is_missing_is_inconclusive(monkeypatch):
    monkeypatch.setattr(engine, "Clock", LateForFloat32)
    report = bp.verify(of=jnp.square, vjp=RIGHT, args=N)
    assert report.verdict == "INCONCLUSIVE"
    assert report.explanation.endswith("there was no time left for float32")


def test_a_fault_at_the_smallest_shape_is_found_without_time():
    assert bp.verify(of=jnp.square, vjp=WRONG, args=N, budget=AT_ONCE, dtypes=()).verdict == "WRONG"


def test_what_differs_and_was_not_judged_in_time_is_not_passed():
    """A subgradient at 0 needs a second look, which takes time: only the first of those points gets one."""
    half = lambda args, ct: (ct * jnp.where(args[0] == 0, 0.5, args[0] > 0),)
    args = [bp.array("4", where=lambda x: (x == 0).any())]
    report = bp.verify(of=lambda x: jnp.where(x > 0, x, 0), vjp=half, args=args, budget=AT_ONCE, dtypes=())
    assert report.verdict == "INCONCLUSIVE"
    assert "no time to ask more" in report.explanation


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_a_budget_is_a_number_above_0(budget):
    with pytest.raises(UsageError, match="budget must be a number of seconds above 0"):
        bp.verify(of=jnp.square, vjp=RIGHT, args=N, budget=budget)
