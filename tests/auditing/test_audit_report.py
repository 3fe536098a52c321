"""The report says what passes, in text and as JSON."""

import json
import math
import pathlib

import pytest

from backproof.auditing.report import SAID, AuditReport, Outcome, PlantedSlip, RuleAudit, Tolerance, percent
from backproof.auditing.slips import KINDS

pytestmark = pytest.mark.smoke

SLIPS = (
    PlantedSlip("zero", "x", Outcome.CAUGHT, "AssertionError: off"),
    PlantedSlip("twice", "x", Outcome.PASSED),
    PlantedSlip("half", "x", Outcome.PASSED),
    PlantedSlip("negated", "b", Outcome.RAISED, "raised ValueError: no"),
    PlantedSlip("exchanged", "x", Outcome.HIDDEN, other="b"),
    PlantedSlip("rows reversed", "b", Outcome.NO_SLIP),
    PlantedSlip("wrong in 1 of 20 runs", "", Outcome.TOO_FEW, "it runs 3 of the 20 times that it takes"),
)
LOOSE = (Tolerance("x", 0.25, 0.5, 2.0**-23), Tolerance("b", 2.0**20, math.inf, 2.0**-23))
RULE = RuleAudit("m:f", "custom_vjp", 3, 1, SLIPS, LOOSE, ("a note",))
TEXT = """\
test_it: MISSES SLIPS
  m:f (custom_vjp): 2 of 6 slips killed (33 %); its backward pass ran 3 times
    passes, although the gradient is wrong at the points of the test
      x: twice, half
    passes, because the points of the test hide it
      x and b exchanged
    passes, because the backward pass runs too rarely
      wrong in 1 of 20 runs  (it runs 3 of the 20 times that it takes)
    caught
      x: zero
    caught by another exception
      b: negated  (raised ValueError: no)
    not planted: no slip here, the result stays right
      b: rows reversed
    the tolerance
      x: first caught when it is off by 50 %; rounding asks for 9.5e-05 %: 520,000 times too loose
      b: no factor up to 1e+06 is caught: it is not compared, or with a tolerance that cannot fail
    note: a note"""


def test_the_text_lists_what_passes_before_what_is_caught():
    assert str(AuditReport("test_it", (RULE,), 9, 1.0)) == TEXT
    assert "<pre>" in AuditReport("test_<it>", (RULE,), 9, 1.0)._repr_html_()


def test_the_json_holds_all_of_it():
    found = json.loads(AuditReport("test_it", (RULE,), 9, 1.0).to_json())
    (rule,) = found.pop("rules")
    assert found == {
        "schema": "backproof-audit/1",
        "test": "test_it",
        "verdict": "MISSES SLIPS",
        "ok": False,
        "kill_rate": 2 / 6,
        "runs": 9,
        "seconds": 1.0,
    }
    assert (rule["killed"], rule["planted"], rule["executed"], rule["ran"]) == (2, 6, 3, True)
    assert [one["killed"] for one in rule["slips"]] == [True, False, False, True, False, False, False]
    assert rule["slips"][4]["name"] == "x and b exchanged"
    assert [one["caught"] for one in rule["tolerances"]] == [0.5, "inf"]


@pytest.mark.parametrize(
    ("slips", "executed", "verdict"),
    [
        (SLIPS[:1], 1, "CATCHES ALL"),
        ((SLIPS[0], SLIPS[5]), 1, "CATCHES ALL"),
        (SLIPS[:2], 1, "MISSES SLIPS"),
        ((SLIPS[0], PlantedSlip("twice", "x", Outcome.LEFT_OUT)), 1, "MISSES SLIPS"),
        (SLIPS[5:6], 1, "MISSES SLIPS"),  # nothing was planted
        ((PlantedSlip("zero", "x", Outcome.NEVER_RAN),), 0, "NEVER RAN"),
        ((), 0, "NEVER RAN"),
    ],
)
def test_only_a_test_that_sees_every_slip_is_good(slips, executed, verdict):
    report = AuditReport("t", (RuleAudit("f", "function", executed, 0, slips),), 1, 0.0)
    assert (report.verdict, report.ok) == (verdict, verdict == "CATCHES ALL")


def test_every_outcome_is_for_one_side_or_for_none_and_has_its_words():
    assert [one for one in Outcome if one.killed and one.survived] == []
    neither = [one for one in Outcome if not one.killed and not one.survived]
    assert neither == [Outcome.NO_SLIP, Outcome.LEFT_OUT]
    assert set(SAID) == set(Outcome)


def test_parts_are_read_as_per_cent_or_as_factors():
    assert [percent(part) for part in (0.5, 1e-6, 20.0)] == ["50 %", "0.0001 %", "a factor of 20"]


def test_the_page_on_the_audit_says_what_each_slip_and_each_outcome_is():
    page = (pathlib.Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    table = page[page.index("| slip |") : page.index("`--slips")]
    assert [kind for kind in KINDS if f"`{kind}`" not in table] == []
    listed = page[page.index("## What the report says") :]
    passes = [SAID[one] for one in Outcome if one.survived]
    assert [words for words in passes if words not in listed] == []
