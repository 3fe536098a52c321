"""The audit of one rule: what the test does with each slip in it, and how loose the test is in each leaf."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from backproof.auditing.call import FUNCTION, JVP
from backproof.auditing.ended import RAISED, TIMED_OUT
from backproof.auditing.hiding import changes_at, is_slip, replayable
from backproof.auditing.looseness import tolerance_of
from backproof.auditing.report import Outcome, PlantedSlip, RuleAudit, Tolerance
from backproof.auditing.session import Session
from backproof.auditing.slips import RARE, RARELY, Slip, slips_of
from backproof.auditing.watching import POINTS, Seen

Progress = Callable[[int, int, str], None]
# Said of a slip that was to be planted, and was not.
DID_NOT_RUN = "the backward pass did not run this time"


class Clock:
    """Counts what is done, and says when the budget is spent."""

    def __init__(self, until: float, total: int, progress: Progress | None) -> None:
        """Make a clock.

        Args:
            until: when the budget is spent, by `time.perf_counter`.
            total: how many slips are to be planted.
            progress: is told how many are done, of how many, and the next one.
        """
        self._until, self._total, self._done, self._progress = until, total, 0, progress

    @property
    def is_late(self) -> bool:
        """Whether nothing more should be begun."""
        return time.perf_counter() > self._until

    def begin(self, what: str, step: int = 1) -> None:
        """Note that something is begun; a slip counts as one step."""
        if self._progress is not None:
            self._progress(self._done, self._total, what)
        self._done += step


def slips_in(seen: Seen) -> list[Slip]:
    """Return the slips that can be planted in a rule."""
    if seen.kind == FUNCTION:
        cotangent = any(point.cotangent is not None for point in seen.points)
    else:
        cotangent = seen.kind != JVP and all(point.cotangent is not None for point in seen.points)
    return slips_of(seen.shapes or seen.inputs, drops=seen.kind == FUNCTION, cotangent=cotangent)


def rule_audit(
    session: Session,
    seen: Seen,
    slips: Sequence[Slip],
    clock: Clock,
    calls: Sequence[str],
    tolerances: bool,
) -> RuleAudit:
    """Return the audit of one rule.

    Args:
        session: runs the test.
        seen: the rule, as the watched run saw it.
        slips: what is planted in it.
        clock: says when to stop.
        calls: who calls the rule where it cannot be replaced.
        tolerances: whether the tolerance is looked at.
    """
    points, raised = replayable(seen.points)
    seen = replace(seen, points=points)
    outcomes = []
    for slip in slips:
        clock.begin(f"{slip.leaf} {slip.kind}".strip())
        late = _found(slip, Outcome.LEFT_OUT, "the budget is spent")
        outcomes.append(late if clock.is_late else _planted(session, seen, slip))
    loose = list(_tolerances(session, seen, outcomes, clock)) if tolerances and seen.executed else []
    notes = list(_notes(seen, calls))
    if raised:
        notes.append(f"its backward pass cannot be run again outside the test ({raised})")
    if tolerances and clock.is_late:
        notes.append("the budget is spent, so not every tolerance was looked at")
    return RuleAudit(seen.name, seen.kind, seen.executed, seen.traced, outcomes, loose, notes)


def _found(slip: Slip, outcome: Outcome, detail: str = "") -> PlantedSlip:
    return PlantedSlip(slip.kind, slip.leaf, outcome, detail, slip.other)


def _planted(session: Session, seen: Seen, slip: Slip) -> PlantedSlip:
    """Return what the test does with a slip."""
    if not seen.executed:
        return _found(slip, Outcome.NEVER_RAN)
    if slip.kind == RARE:
        if seen.executed < RARELY:
            said = f"it runs {seen.executed} of the {RARELY} times that it takes"
            return _found(slip, Outcome.TOO_FEW, said)
        control, _ = session.planted(seen, slip)
        if not control.passed:
            return _found(slip, Outcome.LEFT_OUT, f"it cannot be planted: {control.detail}")
        slip = slip._replace(factor=2.0)
    ended, times = session.planted(seen, slip)
    if ended.how == RAISED:
        return _found(slip, Outcome.RAISED, f"raised {ended.detail}")
    if not ended.passed:
        return _found(slip, Outcome.TIMED_OUT if ended.how == TIMED_OUT else Outcome.CAUGHT, ended.detail)
    if not times:
        return _found(slip, Outcome.PASSED, DID_NOT_RUN)
    if not seen.points or any(changes_at(point, slip) for point in seen.points):
        return _found(slip, Outcome.PASSED)
    if not is_slip(seen.points, slip):
        return _found(slip, Outcome.NO_SLIP)
    more = f"at the first {POINTS} of its {seen.executed} points" if seen.executed > POINTS else ""
    return _found(slip, Outcome.HIDDEN, more)


def _tolerances(
    session: Session, seen: Seen, outcomes: Sequence[PlantedSlip], clock: Clock
) -> Iterator[Tolerance]:
    """Yield how loose the test is in each leaf that is not zero at the test's points."""
    for leaf in seen.shapes:
        if clock.is_late:
            return
        clock.begin(f"{leaf} tolerance", step=0)
        planted = {
            one.kind: one.outcome for one in outcomes if one.leaf == leaf and one.detail != DID_NOT_RUN
        }
        found = tolerance_of(seen.points, leaf, planted, lambda slip: session.planted(seen, slip)[0].passed)
        if found is not None:
            yield found


def _notes(seen: Seen, calls: Sequence[str]) -> Iterator[str]:
    if not seen.executed and seen.traced:
        yield "its backward pass is traced, and what was traced is never executed"
    elif not seen.executed:
        forward = f"; the function itself is called {seen.forward} times" if seen.forward else ""
        yield f"the test says nothing about this gradient{forward}"
    elif seen.kind == FUNCTION and not any(one.cotangent is not None for one in seen.points):
        yield "which argument is the cotangent is not known, so it is never ignored; cotangent= names it"
    if calls and seen.kind == FUNCTION:
        yield f"{len(calls)} more calls, by {calls[0]}, go past its name: there nothing could be planted"
