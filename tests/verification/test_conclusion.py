"""A report is a function of what was found out: the gravest finding gives the verdict, and nothing is run."""

import numpy as np

import backproof as bp
from backproof.numerics.comparison import Entry
from backproof.verification import Verdict
from backproof.verification.blindness import Unseen
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.conclusion import conclude, needs_diagnosis
from backproof.verification.diagnosis.diagnosis import Diagnosis
from backproof.verification.findings import Findings, Unlawful
from backproof.verification.judging.judge import Judgement, Outcome
from backproof.verification.points.draws import Drawn
from backproof.verification.running.looks import Refused
from backproof.verification.running.point import Point

POINT = Point((np.ones(2),), np.ones(2))


def never(*_):
    raise AssertionError("a conclusion evaluates nothing")


CLAIM = of_vjp(never, never, StaticArguments.among([bp.array("n")]), None)


def judged(outcome=Outcome.AGREES, distance=1.0):
    entry = Entry("[0]", (0,), 1.0, 1.0, 1e-16, distance)
    return Judgement(outcome, POINT, (np.ones(2),), (np.ones(2),), entry)


def concluded(diagnosis=None, **found):
    findings = Findings(**{"drawn": 1, "judged": (judged(),), "leaves": 1, **found})
    return conclude(CLAIM, findings, diagnosis, {}, seed=0, seconds=0.0)


def test_points_that_agree_give_agrees():
    report = concluded()
    assert (report.verdict, report.examples, report.worst) == (Verdict.AGREES, 1, 1.0)


def test_a_leaf_in_which_one_entry_zeroed_is_hidden_is_not_called_zero():
    """The name of the slip holds the word zero; the leaf does not hold zeros."""
    report = concluded(unseen=(Unseen("[0]", "zeroed in one entry"),))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "result[0], if zeroed in one entry, would have looked right" in report.explanation
    assert "is zero within noise" not in report.explanation
    assert not any("zero within noise" in note for note in report.notes)


def test_a_gradient_that_is_zero_everywhere_is_inconclusive_and_one_zero_leaf_is_a_note():
    zero = Unseen("[0]", None)
    assert "zero within noise at every point tried" in concluded(unseen=(zero,)).explanation
    report = concluded(unseen=(zero,), leaves=2)
    assert (report.verdict, report.notes) == (
        Verdict.AGREES,
        ("result[0] is zero within noise at every point",),
    )


def test_the_gravest_finding_gives_the_verdict():
    wrong = judged(Outcome.WRONG, 1e9)
    found = {"judged": (judged(), wrong), "unlawful": Unlawful("contract-impure", "it counts", POINT)}
    diagnosis = Diagnosis(wrong, ("sign", "the opposite sign"), 1.0, ("a note",))
    report = concluded(diagnosis, **found)
    assert (report.verdict, report.cause, report.notes) == (Verdict.WRONG, "sign", ("a note",))
    assert report.counterexample.difference == 1.0
    assert concluded(**{**found, "judged": (judged(),)}).cause == "contract-impure"
    assert concluded(diagnosis, **found, broken=("contract-tree", "no tree")).cause == "contract-tree"


def test_only_what_a_diagnosis_explains_asks_for_one():
    assert needs_diagnosis(Findings(judged=(judged(Outcome.WRONG),), doubt="differences disagree"))
    assert not needs_diagnosis(Findings(judged=(judged(),), doubt="differences disagree"))
    assert not needs_diagnosis(Findings(broken=("contract-tree", "no tree")))


def test_what_was_judged_nowhere_is_inconclusive():
    skipped = judged(Outcome.NO_EVIDENCE)
    report = concluded(judged=(skipped,))
    assert (report.verdict, report.examples, report.skipped) == (Verdict.INCONCLUSIVE, 0, 1)


def test_what_was_not_reached_is_inconclusive_unless_nothing_is_compared():
    said = ("the code was not judged in float32: it raises",)
    report = concluded(unreached=said)
    assert (report.verdict, said[0] in report.explanation) == (Verdict.INCONCLUSIVE, True)
    assert concluded(unreached=said, leaves=0).verdict is Verdict.AGREES


def test_a_refusal_of_an_empty_axis_is_one_finding_among_others():
    drawn = Drawn(lambda: (np.zeros((0, 2)),), "float64[0, 2]", 0, True, 0, dims=(("b", 0), ("n", 2)))
    refused = (Refused(drawn, ("contract-raises", "it raises")),)
    report = concluded(refused=refused)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "contract-raises")
    assert "where b = 0, it raises; the other point agrees; write `b>=1`" in report.explanation
    wrong = judged(Outcome.WRONG, 1e9)
    diagnosis = Diagnosis(wrong, ("sign", "the opposite sign"), 1.0, ())
    assert concluded(diagnosis, refused=refused, judged=(judged(), wrong)).cause == "sign"


def test_points_without_evidence_are_counted_and_decide_nothing():
    silent = judged(Outcome.NO_EVIDENCE)._replace(reason="no witness speaks")
    report = concluded(judged=(judged(), silent))
    assert (report.verdict, report.examples, report.skipped) == (Verdict.AGREES, 1, 1)
