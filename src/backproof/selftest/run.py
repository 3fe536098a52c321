"""Runs the verifier on its own cases, and counts what it detects and what it rejects wrongly."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backproof.selftest.case import Case
from backproof.verification import Report, verify
from backproof.verification.running.low_precision import DTYPES

Said = Report | Exception | None


@dataclass(frozen=True, eq=False)
class Outcome:
    """Holds the verifier's judgement of one case.

    Attributes:
        case: the case.
        detected: whether the wrong side got a verdict that the case expects; None if there is no such side.
        accepted: whether the right side was accepted; None if there is no such side.
        wrong_report: the report on the wrong side, or the exception raised instead; None if there is no
            such side.
        right_report: the same for the right side.
        seconds: the time that both sides took together.
    """

    case: Case
    detected: bool | None
    accepted: bool | None
    wrong_report: Said
    right_report: Said
    seconds: float


@dataclass(frozen=True)
class Rate:
    """Counts the cases of one kind: `detected` of `wrong` caught, `alarms` of `right` rejected."""

    detected: int
    wrong: int
    alarms: int
    right: int


def run(
    cases: Iterable[Case],
    *,
    examples: int = 200,
    seed: int = 0,
    dtypes: Sequence[str] = DTYPES,
    second_order: bool = True,
) -> list[Outcome]:
    """Return the outcome of each case; settings that a case states itself override these."""
    settings = {"examples": examples, "seed": seed, "dtypes": dtypes, "second_order": second_order}
    return [_outcome(case, settings) for case in cases]


def rates(outcomes: Sequence[Outcome]) -> dict[str, Rate]:
    """Return detection and false alarms by kind, in the order in which the kinds first appear."""
    kinds = dict.fromkeys(outcome.case.kind for outcome in outcomes)
    return {kind: _rate([outcome for outcome in outcomes if outcome.case.kind == kind]) for kind in kinds}


def _outcome(case: Case, settings: Mapping[str, Any]) -> Outcome:
    began = time.perf_counter()
    wrong, right = (_said(side, settings) for side in (case.wrong, case.right))
    return Outcome(
        case,
        detected=None if wrong is None else isinstance(wrong, Report) and wrong.verdict.value in case.expect,
        accepted=None if right is None else isinstance(right, Report) and right.ok,
        wrong_report=wrong,
        right_report=right,
        seconds=time.perf_counter() - began,
    )


def _said(side: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> Said:
    if side is None:
        return None
    try:
        return verify(**{**settings, **side})
    except Exception as error:  # the exception is the outcome of this case, and the others still run
        return error


def _rate(outcomes: Sequence[Outcome]) -> Rate:
    detected = [outcome.detected for outcome in outcomes if outcome.detected is not None]
    accepted = [outcome.accepted for outcome in outcomes if outcome.accepted is not None]
    return Rate(sum(detected), len(detected), len(accepted) - sum(accepted), len(accepted))
