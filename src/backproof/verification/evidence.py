"""What the findings of one verification rest on: evidence and its absence, and what was never reached."""

from collections.abc import Sequence

import jax
import numpy as np

from backproof.numerics.leaves import is_inexact, is_key
from backproof.numerics.meshes import axes_of_one
from backproof.numerics.rounding import epsilon
from backproof.numerics.tracing import Program
from backproof.verification.claims.claim import Claim
from backproof.verification.findings import Findings
from backproof.verification.judging.judge import NO_TIME, NO_VALUE, Judgement, Outcome
from backproof.verification.precisions import Precisions
from backproof.verification.reach import (
    NoEvidence,
    Reach,
    integers_met,
    kinds_met,
    missed_answers,
    missed_landmarks,
    sizes_met,
)
from backproof.verification.running.clock import Clock
from backproof.verification.running.looks import Looks
from backproof.verification.running.point import Point

UNRELATED = "it differs from autodiff, but integers of several examples are not as given there"


def reach_of(
    claim: Claim, found: Findings, looked: Looks, runs: int, precisions: Precisions, clock: Clock
) -> Reach:
    """Return the record of what was looked at.

    Args:
        claim: what was verified.
        found: the findings about its points.
        looked: both sides at them.
        runs: how often the compiled code ran on one input.
        precisions: those in which it ran.
        clock: knows what was left out.
    """
    points = [one.point for one in found.judged if one.outcome is not Outcome.NO_EVIDENCE]
    silent = [one.point for one in found.judged if one.outcome is Outcome.NO_EVIDENCE]
    # where a cotangent is zero, a value says nothing about its entry
    telling = [point for point in points if point.has_full_direction]
    return Reach(
        points=len(points),
        no_evidence=no_evidence(found),
        axes=sizes_met(points, claim.points.sizes_at),
        values=kinds_met(points),
        integers=integers_met(points),
        held=claim.points.held,
        comparisons=looked.answers,
        missed=missed_answers(looked.answers, looked.elsewhere),
        landmarks=missed_landmarks(telling, [*looked.infinite, *silent, *points], claim.points.landmarks),
        precisions=tuple(one for one in precisions.judged if one not in clock.left_out),
        advised=tuple(one for one in precisions.advised or () if one not in clock.left_out),
        device=jax.default_backend(),
        runs=runs,
        budget=clock.budget,
        left_out=tuple(clock.left_out),
    )


def unjudged(looked: Looks) -> tuple[NoEvidence, ...]:
    """Return the drawn points that could not be judged, by reason."""
    infinite = len(looked.infinite)
    found = [NoEvidence(NO_VALUE, infinite, looked.infinite[0].args)] if infinite else []
    absent = [NoEvidence("the function does not exist at that size", looked.absent)] if looked.absent else []
    return (*found, *absent)


def no_evidence(found: Findings) -> tuple[NoEvidence, ...]:
    """Return every point that gave no evidence, by reason."""
    silent = [one for one in found.judged if one.outcome is Outcome.NO_EVIDENCE]
    reasons = dict.fromkeys(one.reason for one in silent)
    groups = [[one for one in silent if one.reason == reason] for reason in reasons]
    return (*found.unjudged, *(NoEvidence(g[0].reason, len(g), g[0].point.args) for g in groups))


def without_varied(judged: Sequence[Judgement], varied: Sequence[Point]) -> tuple[Judgement, ...]:
    """Return the judgements with no evidence where only points of varied integers are wrong.

    Args:
        judged: the judgements.
        varied: the points at which integers of examples are not as given.
    """
    which = {id(point) for point in varied}
    if any(one.outcome >= Outcome.UNSTABLE and id(one.point) not in which for one in judged):
        return tuple(judged)
    return tuple(
        one._replace(outcome=Outcome.NO_EVIDENCE, reason=UNRELATED)
        if one.outcome >= Outcome.UNSTABLE
        else one
        for one in judged
    )


def unrelated(judged: Sequence[Judgement]) -> list[str]:
    """Return a sentence if the hand-written side is wrong where integers of several examples vary."""
    found = next((one for one in judged if one.reason == UNRELATED), None)
    if found is None:
        return []
    leaves = jax.tree.leaves(found.point.args)
    integers = ", ".join(str(leaf.tolist()) for leaf in leaves if not (is_key(leaf) or is_inexact(leaf)))
    return [
        f"it agrees at the integers of the examples, but not where they are {integers}; if they belong "
        "together, as a permutation and its inverse do, draw them together by a Hypothesis strategy; else it "
        "is wrong there"
    ]


def unasked(judged: Sequence[Judgement]) -> list[str]:
    """Return a sentence on the points that differ and were not judged, because there was no time."""
    count = sum(one.reason == NO_TIME for one in judged)
    return [f"at {count} points the sides differ at first sight, and there was no time to ask more"] * (
        count > 0
    )


def unreached(reach: Reach) -> list[str]:
    """Return sentences on what the caller declared and no judged point shows."""
    said = [
        f"the comparison at {one} was {str(answer).lower()} at drawn points, but at none that could be judged"
        for one, answer in reach.missed
    ]
    said += [
        f"the value {name} was drawn, but at no point that could be judged"
        for name, drawn in (reach.landmarks or {}).items()
        if drawn
    ]
    do = "narrow the arguments to where the function is finite, or name values with another meaning in also="
    return [*said[:-1], f"{said[-1]}; {do}"] if said else []


def coarse(paths: Sequence[str], units: Sequence[float]) -> list[str]:
    """Return a note on each leaf of the result whose formula was judged to fewer digits than float64 has."""
    coarse = [(path, unit) for path, unit in zip(paths, units, strict=True) if unit > 1]
    return [
        f"result{path} is computed in {-np.log10(unit * epsilon(np.float64)):.0f} digits inside, and its "
        "formula was judged to those"
        for path, unit in coarse
    ]


def on_one_device(program: Program) -> list[str]:
    """Return a note on the axes of meshes along which the hand-written side ran on one device only."""
    axes = ", ".join(axes_of_one(program))
    said = f"the mesh has one device along {axes}, where a forgotten sum over devices changes nothing"
    do = "set XLA_FLAGS=--xla_force_host_platform_device_count=2 to judge it over two"
    return [f"{said}; {do}"] if axes else []
