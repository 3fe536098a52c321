"""From what was found out to a report: the gravest finding gives the verdict."""

from typing import Any

import numpy as np

from backproof.verification.accuracy import Row
from backproof.verification.campaign import Findings
from backproof.verification.causes import failure_at, name_cause
from backproof.verification.claim import Claim
from backproof.verification.judge import UNJUDGED, Judgement, Outcome
from backproof.verification.layers import first_wrong_layer
from backproof.verification.oracles import Point, Runner
from backproof.verification.shrink import plainer
from backproof.verification.verdict import Counterexample, Report, Verdict
from backproof.verification.vote import difference_at

VERDICTS = {
    Outcome.REFERENCE_SUSPECT: Verdict.REFERENCE_SUSPECT,
    Outcome.UNSTABLE: Verdict.UNSTABLE,
    Outcome.WRONG: Verdict.WRONG,
}
GRAVE = (Outcome.WRONG, Outcome.UNSTABLE, Outcome.REFERENCE_SUSPECT)


def conclude(claim: Claim, runner: Runner, found: Findings, declared: dict[str, str], *, seed: int) -> Report:
    """Return the report on `claim`; how long it took is for the caller to say."""
    skipped = sum(one.outcome in UNJUDGED for one in found.judged)
    agreeing = [one.distance for one in found.judged if one.outcome is Outcome.AGREES]
    finding = _finding(claim, runner, found, declared)
    facts: dict[str, Any] = {
        "examples": found.looked - skipped,
        "skipped": found.drawn - found.left_out - found.looked + skipped,
        "worst": max(agreeing, default=0.0),
        "shapes": tuple(found.shapes),
        "notes": tuple(_notes(found)),
        "seed": seed,
    }
    return Report(claim.name, **finding, **facts)


def _finding(claim: Claim, runner: Runner, found: Findings, declared: dict[str, str]) -> dict[str, Any]:
    """Return verdict, cause, explanation and counterexample."""
    if found.broken:
        return _verdict(Verdict.WRONG, *found.broken)
    if found.doubt and found.vindicated:
        text = f"{found.doubt}; the hand-written side agrees with the differences"
        return _verdict(Verdict.REFERENCE_SUSPECT, "reference", text)
    grave = _grave(claim, runner, found)
    if grave:
        return grave
    if found.unlawful:
        cause, sentence, point = found.unlawful
        return _verdict(Verdict.WRONG, cause, sentence, _place(point))
    if found.second:
        text = "the gradient is right, but differentiated again it gives a wrong second derivative"
        return _verdict(Verdict.WRONG, "second-order", text, _counterexample(None, found.second))
    if found.rows:
        return _inaccurate(claim, found.rows[0])
    if found.doubt:
        return _verdict(Verdict.REFERENCE_SUSPECT, "reference", found.doubt)
    blind = [f"result{leaf}: {what}" for leaf, what in found.blind.items() if what.startswith("blind")]
    blind += ["the gradient is zero within noise wherever it was tried"] if found.all_zero else []
    seen = any(one.says_something and one.outcome not in UNJUDGED for one in found.judged)
    everything_declared = bool(declared) and not found.leaves
    if not everything_declared and (blind or not seen):
        unseen = "; ".join(blind) or (
            "wherever it was tried, the function is not finite, does not exist, "
            "has no entry to differentiate, or has more sides of kinks than were seen"
        )
        return _verdict(Verdict.INCONCLUSIVE, None, f"nothing could have been seen: {unseen}")
    kinked = [one for one in found.judged if one.outcome is Outcome.SUBGRADIENT]
    if kinked:
        small = plainer(runner, kinked[0])
        return _verdict(Verdict.SUBGRADIENT, None, _convention(claim, small), _counterexample(None, small))
    if declared:
        said = ", ".join(f"{name} is {what}" for name, what in declared.items())
        return _verdict(
            Verdict.DECLARED, None, f"as declared, {said}, and not compared; everything else agrees"
        )
    return _verdict(Verdict.AGREES)


def _grave(claim: Claim, runner: Runner, found: Findings) -> dict[str, Any] | None:
    """Return verdict, cause, explanation and counterexample of the gravest point; None if none is grave."""
    for outcome in GRAVE:
        failing = [one for one in found.judged if one.outcome is outcome]
        if not failing:
            continue
        small = plainer(runner, failing[0])
        named = name_cause(runner, failing, small, found.judged)
        if outcome is Outcome.WRONG and claim.rule is not None:
            layer = first_wrong_layer(claim.rule, [one.point for one in (small, *failing)])
            found.notes += layer.notes() if layer else []
            if layer and layer.cause and named[0] == "unknown":
                named = layer.cause, f"in layer {layer.layer} of {layer.of}: {layer.slip}"
        found.notes += _other_leaves(runner, small, failing) if outcome is Outcome.WRONG else []
        return _verdict(VERDICTS[outcome], *named, _counterexample(runner, small))
    return None


def _verdict(
    verdict: Verdict, cause: str | None = None, explanation: str = "", example: Counterexample | None = None
) -> dict[str, Any]:
    return {"verdict": verdict, "cause": cause, "explanation": explanation, "counterexample": example}


def _inaccurate(claim: Claim, row: Row) -> dict[str, Any]:
    lost = (
        f"it gives {row.hand} where autodiff is finite"
        if not np.isfinite(row.hand)
        else f"a whole row is 0 where autodiff gives {row.truth:.3g}"
        if row.vanished
        else f"it errs {row.distance:.3g} times as much as autodiff does"
        if row.allowed
        else f"a long sum is {row.distance:.0%} off"
    )
    text = f"the formula is right in float64; computed in {row.dtype} like this, {lost}"
    found = Counterexample(
        row.point.args,
        row.point.direction,
        row.leaf,
        row.at,
        row.hand,
        row.truth,
        row.allowed,
        row.distance,
        call=claim.call,
    )
    return _verdict(Verdict.UNSTABLE, "accuracy", text, found)


def _convention(claim: Claim, found: Judgement) -> str:
    at = found.worst
    seen = (
        f"at a kink the result is {at.hand:g} by hand and {at.truth:g} by autodiff, both subgradients"
        if at
        else ""
    )
    return f"{claim.at_kinks}: {seen}" if claim.at_kinks else seen


def _other_leaves(runner: Runner, small: Judgement, failing: list[Judgement]) -> list[str]:
    """Return which other leaves are wrong too at the failing points: a slip mended in one stays in those."""
    failures = [one for one in (failure_at(runner, found) for found in (small, *failing)) if one]
    wrong = {leaf.path for one in failures for leaf in one.leaves if np.any(leaf.wrong)}
    named = small.worst.leaf if small.worst else ""
    others = [leaf.path for leaf in failures[0].leaves if leaf.path != named] if failures else []
    too = ", ".join(f"result{path}" for path in others if path in wrong)
    right = ", ".join(f"result{path}" for path in others if path not in wrong)
    said = [f"wrong too: {too}"] * bool(too) + [f"right at the same points: {right}"] * bool(right)
    return ["; ".join(said)] if too else []


def _counterexample(runner: Runner | None, found: Judgement) -> Counterexample | None:
    at = found.worst
    if at is None:
        return None
    slope = difference_at(runner, found.point, at.leaf, at.at) if runner else None
    call = runner.claim.call if runner else ""
    return Counterexample(found.point.args, found.point.direction, *at, difference=slope, call=call)


def _place(point: Point) -> Counterexample:
    return Counterexample(point.args, point.direction, "", (), None, None, 0.0, np.nan)


def _notes(found: Findings) -> list[str]:
    zero = [f"result{leaf} is identically zero here" for leaf, what in found.blind.items() if "zero" in what]
    large = [f"of arrays this large, {found.left_out} of {found.drawn} draws were left out"]
    open_ = sum(one.outcome is Outcome.UNDECIDED for one in found.judged)
    sides = [f"points not judged, at which more sides of kinks meet than were seen: {open_}"]
    return found.notes + zero + (large if found.left_out else []) + (sides if open_ else [])
