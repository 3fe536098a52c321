"""Runs the verifier on its own cases, and counts what it detects and what it rejects without cause."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backproof.selftest.case import Case
from backproof.verification import Report, verify

Said = Report | Exception | None


@dataclass(frozen=True, eq=False)
class Outcome:
    """Holds what the verifier said of one case.

    Attributes:
        case: the case.
        detected: whether the wrong side got a verdict that the case expects; None without that side.
        accepted: whether the right side was accepted; None without that side.
        wrong_report: the report on the wrong side, or what was raised in place of one.
        right_report: the same for the right side.
        seconds: how long both sides took.
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


def run(cases: Iterable[Case], *, examples: int = 200, seed: int = 0) -> list[Outcome]:
    """Return the outcome of each case; the settings that a case states itself win over these."""
    return [_outcome(case, {"examples": examples, "seed": seed}) for case in cases]


def rates(outcomes: Sequence[Outcome]) -> dict[str, Rate]:
    """Return detection and false alarms by kind, in the order in which the kinds first come."""
    kinds = dict.fromkeys(outcome.case.kind for outcome in outcomes)
    return {kind: _rate([outcome for outcome in outcomes if outcome.case.kind == kind]) for kind in kinds}


def _outcome(case: Case, settings: dict[str, int]) -> Outcome:
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


def _said(side: Mapping[str, Any] | None, settings: dict[str, int]) -> Said:
    if side is None:
        return None
    try:
        return verify(**{**settings, **side})
    except Exception as error:  # a verifier that raises on one case is judged on it, and on all the others
        return error


def _rate(outcomes: Sequence[Outcome]) -> Rate:
    detected = [outcome.detected for outcome in outcomes if outcome.detected is not None]
    accepted = [outcome.accepted for outcome in outcomes if outcome.accepted is not None]
    return Rate(sum(detected), len(detected), len(accepted) - sum(accepted), len(accepted))
