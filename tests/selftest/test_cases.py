"""The cases by which the verifier tests itself: complete, well-formed, and traceable on both sides."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from backproof.selftest import BLIND_SPOTS, CORPUS, FALSE_ALARMS, Case, rates, run
from backproof.verification import Verdict

pytestmark = pytest.mark.as_user
CASES = (*CORPUS, *BLIND_SPOTS, *FALSE_ALARMS)
# What is wrong with it is that it raises; every other wrong side runs, and is wrong by its numbers.
RAISES = {"M8 branch on a value"}


def test_the_corpus_has_41_cases_with_two_sides_and_a_citation():
    assert len(CORPUS) == 41
    for case in CORPUS:
        assert case.wrong
        assert case.right
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", case.source)
    assert len({case.source for case in CORPUS}) == 41


def test_the_corpus_has_every_kind():
    assert {case.kind for case in CORPUS} == {
        "missing-factor", "transpose", "broadcast", "kink", "edge-value", "shape-edge", "dtype", "nan",
        "cotangent", "structure", "transform", "numerics", "state",
    }  # fmt: skip


def test_every_blind_spot_and_every_false_alarm_is_there():
    assert {case.kind for case in BLIND_SPOTS} == {f"M{i}" for i in range(1, 18)}
    assert {case.kind for case in FALSE_ALARMS} == {f"F{i}" for i in range(1, 8)}
    assert all(case.wrong and case.right for case in BLIND_SPOTS)
    assert all(case.wrong is None and case.right for case in FALSE_ALARMS)
    for case in (*BLIND_SPOTS, *FALSE_ALARMS):
        assert case.name.split()[0] == case.kind
        assert case.source


def test_names_are_unique_and_verdicts_exist():
    assert len({case.name for case in CASES}) == len(CASES)
    verdicts = {verdict.value for verdict in Verdict}
    assert all(case.expect and case.expect <= verdicts for case in CASES)
    assert not any(Verdict(verdict).ok for case in CASES for verdict in case.expect)


def square_with(factor):
    return {"of": jnp.square, "vjp": lambda args, ct: (factor * args[0] * ct,), "args": [np.ones(2, "f4")]}


@pytest.mark.smoke
def test_run_says_what_was_detected_and_what_was_accepted():
    raising = {**square_with(2), "args": "not arguments"}
    cases = (
        Case("both", "good", "here", square_with(3), square_with(2)),
        Case("exchanged", "bad", "here", square_with(2), square_with(3)),
        Case("raises", "bad", "here", raising, None),
        Case("one side", "good", "here", None, square_with(2)),
    )
    outcomes = run(cases, examples=5)
    assert [(o.detected, o.accepted) for o in outcomes] == [
        (True, True), (False, False), (False, None), (None, True),
    ]  # fmt: skip
    assert isinstance(outcomes[2].wrong_report, Exception)
    assert all(outcome.seconds > 0 for outcome in outcomes)
    good, bad = rates(outcomes).values()
    assert (good.detected, good.wrong, good.alarms, good.right) == (1, 1, 0, 2)
    assert (bad.detected, bad.wrong, bad.alarms, bad.right) == (0, 2, 1, 1)


def test_what_a_case_says_of_itself_stands_over_the_settings():
    case = Case("few", "good", "here", None, {**square_with(2), "examples": 3})
    (outcome,) = run([case], examples=50)
    assert outcome.right_report.examples <= 3


FORMULA_ALONE = {"dtypes": (), "second_order": False}


def about_arithmetic(case):
    """Return whether a case needs low precision or the second derivative, on its wrong side or its right one.

    The right sides of the others are judged in every precision by `backproof verify --self-test`.
    """
    kinds = {"numerics", "dtype", "nan", "edge-value", "transform", "M5", "M7", "M10", "M11", "M16"}
    return case.expect != frozenset({"WRONG"}) or case.kind in kinds or case.kind.startswith("F")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verifier_judges_the_case_rightly(case):
    """A right side that broke the contract would not be accepted; its trees, shapes and dtypes fit."""
    (outcome,) = run([case], examples=20, **({} if about_arithmetic(case) else FORMULA_ALONE))
    assert outcome.detected is not False, outcome.wrong_report
    assert outcome.accepted is not False, outcome.right_report
    assert case.wrong is None or (outcome.wrong_report.cause == "contract-raises") == (case.name in RAISES)
