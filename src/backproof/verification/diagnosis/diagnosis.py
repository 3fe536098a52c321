"""The diagnosis of the gravest finding: its smallest example, its cause, and the other wrong leaves."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backproof.verification.blame.blame import Blame, blame
from backproof.verification.blame.edits import SLIPS
from backproof.verification.diagnosis.causes import Named, name_cause
from backproof.verification.diagnosis.compared import compared_at
from backproof.verification.diagnosis.layers import WrongLayer, first_wrong_layer
from backproof.verification.diagnosis.smallest import plainer
from backproof.verification.judging.judge import GRAVE, Judgement, Outcome
from backproof.verification.running.clock import Clock
from backproof.verification.running.differences import difference_at
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look


class Diagnosis(NamedTuple):
    """Holds what is known about the gravest outcome.

    Attributes:
        small: the judgement with this outcome at the smallest point.
        named: the cause and its sentence; None at a kink, where nothing is wrong.
        difference: the finite difference for the entry shown, where there is one.
        notes: the first wrong layer, and the other leaves that are wrong.
        blame: the line of the code by hand that is wrong, where it is known.
        differs: which entries of the leaf shown differ; None where it has none.
    """

    small: Judgement
    named: Named | None = None
    difference: float | None = None
    notes: tuple[str, ...] = ()
    blame: Blame | None = None
    differs: np.ndarray | None = None


def diagnose(
    evaluators: Evaluators, judged: Sequence[Judgement], looks: Sequence[Look], clock: Clock
) -> Diagnosis | None:
    """Return the diagnosis of the gravest outcome among some points, else of a kink; None if all agree.

    Args:
        evaluators: the evaluators of the claim.
        judged: the judgements of points.
        looks: both sides at every point that was looked at.
        clock: the time that is left to look for the line that is wrong.
    """
    for outcome in GRAVE:
        failing = [one for one in judged if one.outcome is outcome]
        if failing:
            return _of_failing(evaluators, failing, judged, looks, clock)
    kinked = [one for one in judged if one.outcome is Outcome.SUBGRADIENT]
    if not kinked:
        return None
    small = plainer(evaluators, kinked[0])
    return Diagnosis(small, differs=_differing(evaluators, small))


def _of_failing(
    evaluators: Evaluators,
    failing: Sequence[Judgement],
    judged: Sequence[Judgement],
    looks: Sequence[Look],
    clock: Clock,
) -> Diagnosis:
    small = plainer(evaluators, failing[0])
    notes: list[str] = []
    found, layer = None, None
    if small.outcome is Outcome.WRONG:
        found = _blamed(evaluators, judged, looks, clock, notes)
        rule = evaluators.claim.rule
        layer = rule and first_wrong_layer(rule, [one.point for one in (small, *failing)])
        notes[:0] = [*(layer.notes() if layer else ()), *_other_leaves(evaluators, small, failing)]
    known = _slip_of(found, layer)
    named = name_cause(evaluators, failing, small, judged, looks, known)
    differs = _differing(evaluators, small)
    return Diagnosis(small, named, _difference(evaluators, small), tuple(notes), found, differs)


def _differing(evaluators: Evaluators, small: Judgement) -> np.ndarray | None:
    """Return which entries of the worst leaf differ beyond the noise of both sides."""
    found = compared_at(evaluators, small)
    return np.asarray(found.leaf.wrong) if found else None


def _blamed(
    evaluators: Evaluators,
    judged: Sequence[Judgement],
    looks: Sequence[Look],
    clock: Clock,
    notes: list[str],
) -> Blame | None:
    """Return the line that is wrong; where it could not be looked for, `notes` says why."""
    try:
        found = None if clock.is_over else blame(evaluators, judged, looks, clock)
    except Exception as error:
        # The verdict stands, whatever the user's code does where it is taken apart to be explained.
        said = f"the wrong line was not looked for: {type(error).__name__}: {error}"
        notes.append(said.splitlines()[0])
        return None
    if clock.is_over and not (found and found.mend):
        notes.append("there was no time left to look for the line that is wrong")
    return found


def _slip_of(found: Blame | None, layer: WrongLayer | None) -> Named | None:
    """Return the slip that a mend turns back, or that explains a layer, as a cause and its sentence."""
    if found and found.mend:
        return found.cause, f"{SLIPS[found.cause]} in line {found.line} of {Path(found.file).name}"
    if layer and layer.cause:
        return layer.cause, f"layer {layer.layer} of {layer.of} has this slip: {layer.slip}"
    return None


def _difference(evaluators: Evaluators, small: Judgement) -> float | None:
    """Return the finite difference for the worst entry; None for a tangent."""
    at = small.worst
    if at is None or evaluators.claim.forward:
        return None
    truth = evaluators.truth(small.point).value
    return difference_at(evaluators.primal, small.point, truth, at.leaf, at.at)


def _other_leaves(evaluators: Evaluators, small: Judgement, failing: Sequence[Judgement]) -> list[str]:
    """Return a note on the other leaves that are wrong at the failing points; it is empty if none is."""
    failures = [one for one in (compared_at(evaluators, found) for found in (small, *failing)) if one]
    wrong = {leaf.path for one in failures for leaf in one.leaves if np.any(leaf.wrong)}
    named = small.worst.leaf if small.worst else ""
    others = [leaf.path for leaf in failures[0].leaves if leaf.path != named] if failures else []
    result = evaluators.claim.result
    too = ", ".join(f"{result}{path}" for path in others if path in wrong)
    right = ", ".join(f"{result}{path}" for path in others if path not in wrong)
    said = [f"other wrong leaves: {too}", *([f"right leaves at the same points: {right}"] if right else [])]
    return ["; ".join(said)] if too else []
