"""From what was seen of every line to a report: the first that does not follow gives the verdict."""

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from backproof.derivations import causes
from backproof.derivations.example import Look, failing_points, shown, smallest
from backproof.derivations.judgement import admitted, assumptions
from backproof.derivations.lines import Kind
from backproof.derivations.replay import Replayer
from backproof.derivations.report import Example, Line, Mark, Report, Verdict
from backproof.derivations.source import Source, anchor, shipped
from backproof.derivations.table import Row, Table
from backproof.verification.points import Points

if TYPE_CHECKING:
    from backproof.derivations.form import Derivation


def conclude(
    about: dict[str, Any],
    derivation: "Derivation",
    source: Source | None,
    replayer: Replayer | None,
    points: Points | None,
    table: Table,
) -> Report:
    """Return the report on a derivation whose lines are well formed."""
    kept = sum(int(np.sum(admitted(run))) for run in table.runs)
    facts: dict[str, Any] = {
        **about,
        "assumptions": tuple(s.latex for s in table.steps if s.kind is Kind.ASSUMED),
        "points": kept,
        "shapes": len(table.runs),
    }
    if not kept:
        text = "no drawn point satisfies its assumptions, so nothing was seen"
        return Report(**facts, verdict=Verdict.INCONCLUSIVE, explanation=text)
    rows = {number: table.row(number, table.before(number)) for number in range(len(table.lines))}
    raised = min((run.raised for run in table.runs if run.raised), default=None, key=lambda one: one.number)
    failing = [n for n, row in rows.items() if not table.is_start(n) and (row.fails or row.broken)]
    stops: list[int] = [*failing, *([raised.number] if raised else [])]
    wrong = min(stops) if stops else None
    lines = tuple(_line(table, source, number, rows[number], wrong) for number in rows)
    facts |= {"lines": lines, "notes": tuple(_notes(table, source, rows))}
    if wrong is None:
        return _without_failure(facts, derivation, table, rows)
    finding = _finding(derivation, replayer, points, table, wrong, rows.get(wrong), raised)
    return _expected(Report(**facts, verdict=Verdict.FAILS, wrong=wrong, **finding))


def _without_failure(facts: dict[str, Any], derivation: Any, table: Table, rows: dict[int, Row]) -> Report:
    """Return the report where every line follows: it holds, unless nothing was seen or it should fail."""
    blind = [n for n, row in rows.items() if not row.judged and not table.is_start(n)]
    if blind:
        text = f"line {blind[0]} is not finite at any drawn point, so nothing was seen of it"
        return Report(**facts, verdict=Verdict.INCONCLUSIVE, explanation=text)
    if derivation.refutes:
        text = f"line {derivation.refutes.line} should not follow, but every line does"
        return Report(**facts, verdict=Verdict.NOT_REFUTED, explanation=text)
    return Report(**facts, verdict=Verdict.HOLDS)


def _expected(report: Report) -> Report:
    """Return the report as it reads beside what was expected: an erratum that fails as stated is good."""
    stated = report.refutes
    if not stated:
        return report
    fields = {**vars(report)}
    if (report.wrong, report.cause) == (stated.line, stated.cause):
        return Report(**{**fields, "verdict": Verdict.REFUTED})
    text = (
        f"line {stated.line} should be the first that fails, by {stated.cause!r}; it is line {report.wrong}, "
        f"by {report.cause!r}: {report.explanation}"
    )
    return Report(**{**fields, "verdict": Verdict.NOT_REFUTED, "explanation": text})


def _line(table: Table, source: Source | None, number: int, row: Row, wrong: int | None) -> Line:
    step = table.steps[table.lines[number]]
    note = _provenance(table, source, number)
    return Line(
        number, str(step.kind), step.latex, step.reason, step.row,
        _mark(table, number, row, wrong), note, row.worst, row.skipped,
    )  # fmt: skip


def _mark(table: Table, number: int, row: Row, wrong: int | None) -> Mark:
    """Return what is said of a line: from the first wrong one on, values are held against line 0."""
    is_claim = table.steps[table.lines[number]].kind is not Kind.VALUE
    if is_claim:
        return Mark.IS_FALSE if row.fails else Mark.HOLDS
    if table.is_start(number):
        return Mark.STARTS
    if number == wrong:
        return Mark.FAILS
    if wrong is None or number < wrong:
        return Mark.FOLLOWS
    start = next(n for n in range(number) if table.is_start(n))
    against = table.row(number, start)
    return Mark.WOULD_BE_WRONG if against.fails or against.broken else Mark.WOULD_BE_RIGHT


def _provenance(table: Table, source: Source | None, number: int) -> str:
    """Return what anchors the first line, and what of this library the last one runs."""
    if source is None:
        return ""
    row = table.steps[table.lines[number]].row
    if table.is_start(number):
        found = anchor(source, row)
        return f"anchored in {found}" if found else "not anchored"
    found = shipped(source, row) if number == len(table.lines) - 1 else None
    return f"this is what runs ({found})" if found else ""


def _notes(table: Table, source: Source | None, rows: dict[int, Row]) -> list[str]:
    notes = []
    latex = [step.latex for step in table.steps if step.kind is Kind.ASSUMED]
    for i, text in enumerate(latex):
        if all(np.all(assumptions(run)[i]) for run in table.runs if len(assumptions(run)) > i):
            notes.append(f"the assumption {text} was never false at a drawn point: is it needed?")
    for number, row in rows.items():
        if row.skipped and row.judged:
            notes.append(f"line {number} is not finite at {row.skipped} points, and was not judged there")
    if source is None:
        notes.append("the source is not at hand: anchor and shipped code were not looked for")
    return notes


def _finding(
    derivation: "Derivation",
    replayer: Replayer | None,
    points: Points | None,
    table: Table,
    wrong: int,
    row: Row | None,
    raised: Any,
) -> dict[str, Any]:
    """Return cause, explanation and example of the first line that does not follow."""
    if row is None or (raised and raised.number == wrong and not row.fails):
        return {"cause": "contract-raises", "explanation": f"line {wrong} raises {raised.text}"}
    look = Look(wrong, table.before(wrong))
    found = failing_points(table, look)
    if not found or replayer is None or points is None:
        cause = ("claim" if look.other is None else "unknown") if not row.broken else "contract-shape"
        example = _only_example(table, look, ()) if not row.broken else None
        return {"cause": cause, "explanation": row.broken or "the claim is false", "example": example}
    small = smallest(replayer, points, found, look)
    names = tuple(inspect.signature(derivation.function).parameters)
    cause, explanation = causes.name_cause(replayer, table, look, small)
    example = shown(table, replayer.at([small]), names, look)
    return {"cause": cause, "explanation": f"line {wrong}: {explanation}", "example": example}


def _only_example(table: Table, look: Look, names: tuple[str, ...]) -> Example:
    return shown(table, table.runs[0], names, look)
