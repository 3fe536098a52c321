"""Turns findings into a report: the first finding, in a fixed order, decides. Nothing is evaluated here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from backproof.numerics.comparison import Entry
from backproof.numerics.leaves import leaves_with_paths
from backproof.verification.claims.calls import call_of_second
from backproof.verification.claims.claim import Claim
from backproof.verification.diagnosis.diagnosis import Diagnosis
from backproof.verification.findings import Findings
from backproof.verification.judging.accuracy import Row, lost
from backproof.verification.judging.judge import NO_DIRECTION, Judgement, Outcome
from backproof.verification.report import Counterexample, Report, Sides, Verdict
from backproof.verification.running.point import Point

VERDICTS = {
    Outcome.UNSTABLE: Verdict.UNSTABLE,
    Outcome.WRONG: Verdict.WRONG,
}


class Finding(NamedTuple):
    """Holds the finding that decides the verdict, with its cause, a sentence and an example if it has any."""

    verdict: Verdict
    cause: str | None = None
    explanation: str = ""
    counterexample: Counterexample | None = None


def needs_diagnosis(found: Findings) -> bool:
    """Return whether the verdict rests on the judgement of single points, which a diagnosis explains."""
    if found.broken or (found.doubt and found.vindicated):
        return False
    grave = any(one.outcome in VERDICTS for one in found.judged)
    return grave or not (found.unlawful or found.second or found.rows or found.doubt)


def conclude(
    claim: Claim,
    found: Findings,
    diagnosis: Diagnosis | None,
    declared: Mapping[str, str],
    *,
    seed: int,
    seconds: float,
) -> Report:
    """Return the report on `claim`.

    Args:
        claim: what was verified.
        found: the findings.
        diagnosis: the diagnosis of the gravest judgement, where `needs_diagnosis` requires one.
        declared: the arguments that are not compared, and what their derivative is instead.
        seed: the seed of every draw.
        seconds: how long the verification took.
    """
    silent = sum(one.outcome is Outcome.NO_EVIDENCE and one.reason != NO_DIRECTION for one in found.judged)
    agreeing = [one.distance for one in found.judged if one.outcome is Outcome.AGREES]
    finding = _finding(claim, found, diagnosis, declared)
    return Report(
        claim.name,
        *finding,
        examples=len(found.judged) - silent,
        skipped=sum(one.count for one in found.unjudged) + silent,
        worst=max(agreeing, default=0.0),
        seed=seed,
        seconds=seconds,
        shapes=found.shapes,
        notes=_notes(found, diagnosis),
        reach=found.reach,
        blame=diagnosis.blame if diagnosis and finding.verdict is Verdict.WRONG else None,
    )


def _finding(
    claim: Claim, found: Findings, diagnosis: Diagnosis | None, declared: Mapping[str, str]
) -> Finding:
    """Return the gravest finding."""
    if found.broken:
        return Finding(Verdict.WRONG, *found.broken)
    if found.doubt and found.vindicated:
        text = f"{found.doubt}; the hand-written side agrees with the finite differences"
        return Finding(Verdict.REFERENCE_SUSPECT, "reference", text)
    if diagnosis and diagnosis.named:
        verdict = VERDICTS[diagnosis.small.outcome]
        example = _counterexample(claim, diagnosis.small, diagnosis.difference, claim.call, diagnosis.differs)
        return Finding(verdict, *diagnosis.named, example)
    if found.unlawful:
        place = _place(found.unlawful.point)
        return Finding(Verdict.WRONG, found.unlawful.cause, found.unlawful.sentence, place)
    if found.second:
        return _second_order(claim, found.second)
    if found.rows:
        return _inaccurate(claim, found.rows[0])
    if found.doubt:
        return Finding(Verdict.REFERENCE_SUSPECT, "reference", found.doubt)
    if found.refused:
        return _refuses(claim, found)
    nothing = _nothing_seen(found, declared)
    if nothing:
        return Finding(Verdict.INCONCLUSIVE, None, f"no verdict is possible: {nothing}")
    if found.unreached and found.leaves:  # where everything is declared, nothing need be reached
        return Finding(Verdict.INCONCLUSIVE, None, f"no verdict is possible: {'; '.join(found.unreached)}")
    if diagnosis:
        small = diagnosis.small
        example = _counterexample(claim, small, differs=diagnosis.differs)
        return Finding(Verdict.SUBGRADIENT, None, _convention(claim, small), example)
    if declared:
        said = ", ".join(f"{name} is {what}" for name, what in declared.items())
        text = f"as declared, {said}; what is declared was not compared, and everything else agrees"
        return Finding(Verdict.DECLARED, None, text)
    return Finding(Verdict.AGREES)


def _second_order(claim: Claim, found: Judgement) -> Finding:
    text = "the gradient is right, but differentiating it again gives a wrong second derivative"
    example = _counterexample(claim, found, call=call_of_second(claim.call))
    return Finding(Verdict.WRONG, "second-order", text, example)


def _nothing_seen(found: Findings, declared: Mapping[str, str]) -> str:
    """Return why a right verdict would say nothing; empty where a slip would have been seen."""
    if declared and not found.leaves:
        return ""  # everything is declared
    hidden = [one for one in found.unseen if not one.is_zero]
    blind = [f"result{one.leaf}, if {one.slip}, would have looked right at every point" for one in hidden]
    blind += ["the gradient is zero within noise at every point tried"] if found.all_zero else []
    seen = any(one.says_something and one.outcome is not Outcome.NO_EVIDENCE for one in found.judged)
    if not blind and not seen:
        return (
            "at every point tried, the function is not finite, does not exist or has no entry to "
            "differentiate, or so many kinks meet that not every side could be tried"
        )
    return "; ".join(blind)


def _refuses(claim: Claim, found: Findings) -> Finding:
    """Return the finding that the hand-written side fails on an empty axis, where the function does not."""
    one = found.refused[0]
    axes = [name for name, size in one.drawn.dims if size in (0, (0,))]
    where = " and ".join(f"{name} = 0" for name in axes) or f"an axis is empty ({one.drawn.shapes})"
    cause, said = one.broken
    agreeing = sum(one.outcome is not Outcome.NO_EVIDENCE for one in found.judged)
    written = [claim.points.not_empty(name) for name in axes if name.isidentifier()]
    least = "; ".join(f"write `{axis}` if it need not hold there" for axis in written)
    others = "the other point agrees" if agreeing == 1 else f"the other {agreeing} points agree"
    rest = f"where {where}, {said}; {others}"
    return Finding(
        Verdict.WRONG,
        cause,
        f"{rest}; {least}" if least else rest,
        Counterexample(one.drawn.build(), None, "", (), None, None, 0.0, np.nan),
    )


def _inaccurate(claim: Claim, row: Row) -> Finding:
    text = f"the formula is right in float64; when this code runs in {row.dtype}, {lost(row)}"
    place, values = row.point, (row.hand, row.truth, row.allowed, row.distance)
    at = (place.args, place.direction, row.leaf, row.at)
    return Finding(
        Verdict.UNSTABLE, "accuracy", text, Counterexample(*at, *values, call=claim.call, unit=row.unit)
    )


def _convention(claim: Claim, found: Judgement) -> str:
    at = found.worst
    if at and claim.differences:
        return f"at a kink the result is {at.hand:g} by hand, between the slopes on its two sides"
    seen = (
        f"at a kink the result is {at.hand:g} by hand and {at.truth:g} by autodiff"
        f"{'; both are subgradients' if np.isfinite(at.truth) else ', where the first is a subgradient'}"
        if at
        else ""
    )
    return f"{claim.at_kinks}: {seen}" if claim.at_kinks else seen


def _counterexample(
    claim: Claim,
    found: Judgement,
    difference: float | None = None,
    call: str = "",
    differs: np.ndarray | None = None,
) -> Counterexample | None:
    if found.worst is None:
        return None
    point, sides = found.point, _sides(found, found.worst, differs)
    source = "its sides" if found.guarded and np.all(np.isfinite(found.worst.truth)) else "autodiff"
    source = "differences" if claim.differences else source
    example = Counterexample(
        point.args, point.direction, *found.worst, difference=difference, call=call, sides=sides
    )
    return replace(example, source=source, direction="tangents" if claim.forward else "cotangent")


def _sides(found: Judgement, at: Entry, differs: np.ndarray | None) -> Sides | None:
    """Return the leaf of the worst entry in full; where no mask is known, that entry alone is marked."""
    hand, truth = (dict(leaves_with_paths(side)).get(at.leaf) for side in (found.hand, found.truth))
    if hand is None or truth is None or np.shape(hand) != np.shape(truth):
        return None
    if differs is None:
        differs = np.zeros(np.shape(truth), bool)
        differs[at.at] = not at.agrees
    return Sides(np.asarray(hand), np.asarray(truth), differs)


def _place(point: Point) -> Counterexample:
    return Counterexample(point.args, point.direction, "", (), None, None, 0.0, np.nan)


def _notes(found: Findings, diagnosis: Diagnosis | None) -> tuple[str, ...]:
    zero = [_is_zero(one.leaf, known=one.leaf in found.symbolic) for one in found.unseen if one.is_zero]
    large = [f"the arrays are so large that {found.left_out} of {found.drawn} draws were left out"]
    guarded = sum(one.guarded for one in found.judged)
    where = "1 point" if guarded == 1 else f"{guarded} points"
    guards = [f"autodiff is not the derivative at {where}, as one-sided differences show{_guard(found)}"]
    diagnosed = diagnosis.notes if diagnosis else ()
    return (*found.notes, *diagnosed, *zero, *large[: bool(found.left_out)], *guards[: bool(guarded)])


def _guard(found: Findings) -> str:
    """Return what the hand-written side gives where autodiff is not the derivative."""
    right = [one.outcome is not Outcome.WRONG for one in found.judged if one.guarded]
    return "; the value by hand agrees with them" if all(right) else "; neither is the value by hand"


def _is_zero(leaf: str, *, known: bool) -> str:
    if known:
        return f"result{leaf} is zero whatever the cotangent: nothing differentiable leads from that argument"
    return f"result{leaf} is zero within noise at every point"
