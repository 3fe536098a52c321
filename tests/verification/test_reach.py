"""A verdict says what it looked at; what is declared and no judged point shows makes it inconclusive."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.verification import Verdict

pytestmark = pytest.mark.as_user
QUICK = {"examples": 60, "dtypes": ("float32",), "second_order": False}


def picked(x, i):
    """Return −log of the chosen entries, 0 where the index is −1, and NaN where there is no such entry."""
    keep = i != -1
    outside = keep & ((i < 0) | (i >= x.shape[1]))
    found = -jnp.log(jnp.take_along_axis(x, jnp.where(keep, i, 0)[:, None], 1, mode="clip")[:, 0])
    return jnp.where(outside, jnp.nan, jnp.where(keep, found, 0.0)).sum()


def pulled_back(args, ct):
    x, i = args
    hit = (jnp.arange(x.shape[1])[None] == i[:, None]) & (i != -1)[:, None]
    return ct * jnp.where(hit, -1 / x, 0.0), None


ROWS = bp.array("b+1 v+1", low=0.1, high=2)


def test_a_side_that_was_drawn_but_never_judged_is_inconclusive():
    """Of the labels from −50 to v, nearly all make the function NaN; where they do not, none is left out."""
    report = bp.verify(of=picked, vjp=pulled_back, args=[ROWS, bp.integers("b+1", -50, "v")], **QUICK)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "that could be judged" in report.explanation
    assert "also=" in report.explanation
    said = [ROWS, bp.integers("b+1", 0, "v", also=(-1,))]
    assert bp.verify(of=picked, vjp=pulled_back, args=said, **QUICK).verdict is Verdict.AGREES


def test_the_reach_names_sizes_numbers_comparisons_and_runs():
    report = bp.verify(
        of=picked, vjp=pulled_back, args=[ROWS, bp.integers("b+1", 0, "v", also=(-1,))], **QUICK
    )
    reach, text = report.reach, str(report)
    assert {0, 1} <= set(reach.axes["v"])
    assert (reach.precisions, reach.runs, reach.device) == (("float32",), 8, "cpu")
    assert reach.integers["args[1]"][0] == -1
    for part in (
        "sizes: b ",
        "numbers: positive",
        "args[1] -1 to ",
        "comparisons: both answers of ",
        "8 runs",
    ):
        assert part in text
    assert any(one.reason == "the cotangent is zero" and one.count for one in reach.no_evidence)
    found = json.loads(report.to_json())["reach"]
    assert found["precisions"] == ["float64", "float32"]
    assert found["points"] == reach.points == report.examples - found["no_evidence"]["the cotangent is zero"]


def test_what_is_held_fixed_is_said():
    of = lambda x, i: x[i].sum()
    vjp = lambda args, ct: (jnp.zeros_like(args[0]).at[args[1]].add(ct), None)
    report = bp.verify(of=of, vjp=vjp, args=(np.ones(3, "f4"), np.array([2])), **QUICK)
    assert report.ok
    assert any("args[1]" in one for one in report.reach.held)
    assert "held fixed" in str(report)


def test_points_at_which_the_function_is_not_finite_are_counted_with_an_example():
    report = bp.verify(of=jnp.log, vjp=lambda args, ct: (ct / args[0],), args=[bp.array("n")], **QUICK)
    (beyond,) = [one for one in report.reach.no_evidence if one.reason == "the function is not finite"]
    assert beyond.count == report.skipped > 0
    assert np.any(beyond.example[0] <= 0)
