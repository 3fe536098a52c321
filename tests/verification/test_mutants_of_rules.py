"""Shipped rules with one labelled slip are WRONG; the cause is that label or `unknown`."""

import os

import pytest

from backproof import rules
from backproof.selftest.mutants import CROSS_SECTION, EVERY, SQUARE, cross_section, mutants
from backproof.selftest.mutants import SLIPS as PLANTED
from backproof.verification import Verdict, verify
from backproof.verification.blame.edits import SLIPS as TURNED_BACK
from backproof.verification.diagnosis.layers import CAUSES
from backproof.verification.diagnosis.masks import MASKS
from backproof.verification.diagnosis.program_slips import SLIPS
from backproof.verification.diagnosis.whole import WHOLE

LAWS = {"missing-sum", "cotangent-ignored", "cotangent-nonlinear"}
pytestmark = pytest.mark.as_user
WIDE = os.environ.get("BACKPROOF_PROFILE") == "wide"
# One of each kind; the second ones of the cross-section are the same slips in other rules.
FIRST = list({mutant.slip.name: mutant for mutant in reversed(cross_section())}.values())[::-1]
SHOWN = list(mutants()) if WIDE else FIRST


@pytest.mark.parametrize("mutant", SHOWN, ids=lambda mutant: mutant.name)
def test_a_mutant_is_wrong_and_named_rightly(mutant):
    report = mutant.verified(examples=30)
    assert report.verdict is Verdict.WRONG
    assert report.cause in mutant.slip.labels | ({"unknown"} if WIDE else set())


@pytest.mark.parametrize("rule", SQUARE, ids=lambda rule: rule.name)
def test_the_rules_made_square_are_right_themselves(rule):
    assert verify(rule, examples=60, dtypes=(), second_order=False).ok


def test_every_kind_of_mutant_is_in_the_cross_section_and_every_rule_has_one():
    assert set(CROSS_SECTION) == {slip.name for slip in PLANTED}
    named = {rule.name for rule in EVERY}
    assert {rule.name for rule in rules.CATALOGUE} - named == {"relu_with(0.5)"}
    for mutant in cross_section():
        assert mutant.of.name in {rule.name for rule in mutant.slip.of}


def test_labels_of_mutants_are_names_of_causes():
    causes = {slip.cause for several in SLIPS.values() for slip in several}
    for slip in PLANTED:
        assert slip.labels <= {
            *WHOLE,
            *MASKS,
            *causes,
            *CAUSES.values(),
            *TURNED_BACK,
            "missing-sum",
            "cotangent-nonlinear",
        }
