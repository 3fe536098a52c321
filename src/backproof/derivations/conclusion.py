"""Makes the report from the judgement of every line; the first that does not follow gives the verdict."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from backproof.derivations.admitted import reach_in_words, unadmitted
from backproof.derivations.causes import cause_of_form, coarse_constant
from backproof.derivations.example import Look, failing_points, shown, shown_judgement, smallest
from backproof.derivations.judgement import State, assumptions
from backproof.derivations.latex import readable
from backproof.derivations.lemmas import Beyond, explained
from backproof.derivations.lines import Kind, Step
from backproof.derivations.link import Link, link
from backproof.derivations.replay import Replayer
from backproof.derivations.report import About, DerivationReport, DerivationVerdict, Line, Mark
from backproof.derivations.source import Source, anchor, shipped
from backproof.derivations.table import Row, Table
from backproof.numerics.leaves import is_inexact
from backproof.verification.points.draws import Points


def conclude(
    about: About,
    function: Callable[..., Any],
    source: Source | None,
    replayer: Replayer | None,
    points: Points | None,
    table: Table,
    beyond: Beyond | None = None,
    notes: Sequence[str] = (),
) -> DerivationReport:
    """Return the report on a derivation whose lines are well formed.

    Args:
        about: what is known before.
        function: the generator function.
        source: its source, where it is known.
        replayer: what replays it; None if it has no arguments.
        points: where it can be tried.
        table: its lines at the points at which it was.
        beyond: a line that takes the value of a lemma where the lemma shows nothing.
        notes: what else a reader should know.
    """
    facts: dict[str, Any] = {
        **about._asdict(),
        "assumptions": tuple(s.latex for s in table.steps if s.kind is Kind.ASSUMED),
        "points": table.points,
        "shapes": len(table.runs),
        "reach": reach_in_words(table, points),
    }
    if not table.points:
        text = "no drawn point satisfies its assumptions, so no line was judged"
        facts["notes"] = tuple(notes)
        return DerivationReport(**facts, verdict=DerivationVerdict.INCONCLUSIVE, explanation=text)
    rows = {number: table.row(number, table.before(number)) for number in range(len(table.lines))}
    wrong, linked, kinked = _first_wrong(about, function, source, points, table, rows)
    if beyond and (wrong is None or beyond.truth.line <= wrong):
        wrong = beyond.truth.line
    else:
        beyond = None
    lines = [_line(table, source, number, rows[number], wrong) for number in rows]
    lines = [replace(line, mark=Mark.AT_KINKS) if line.number in kinked else line for line in lines]
    facts |= {
        "lines": (*lines, *_last(table)),
        "notes": (*_notes(table, source, rows, wrong), *map(_of_kink, kinked), *notes),
    }
    if wrong is None:
        return _without_failure(facts, function, replayer, points, table, rows)
    report = DerivationReport(**facts, verdict=DerivationVerdict.FAILS, wrong=wrong)
    if beyond:
        cause, said, rest = explained(beyond, function, replayer, table)
    else:
        cause, said, rest = _explained(function, source, replayer, points, table, linked, wrong)
    text = f"line {wrong}: {said}{_carried(table, wrong)}"
    return _as_expected(replace(report, cause=cause, explanation=text, **rest))


def _first_wrong(
    about: About,
    function: Callable[..., Any],
    source: Source | None,
    points: Points | None,
    table: Table,
    rows: dict[int, Row],
) -> tuple[int | None, Link | None, list[int]]:
    """Return the first wrong line, how it is linked to the line before, and the lines that differ at kinks.

    Either of the first two may be None: nothing is wrong, or the two cannot be compared by their values.
    """
    # an erratum may be about the choice at a kink
    stated = about.refutes.line if about.refutes else None
    kinked: list[int] = []
    ended = table.ended.number if table.ended else None
    for number in (n for n, row in rows.items() if row.fails or row.broken):
        if ended is not None and ended < number:
            break
        if points is None or not _has_values(table, number, rows[number]):
            return number, None, kinked
        found = link(function, points, table, number, table.before(number) or 0)
        if number == stated or not (found.is_choice and _is_of_derivative(source, table, number)):
            return number, found.strictly(), kinked
        kinked.append(number)
    return ended, None, kinked


def _is_of_derivative(source: Source | None, table: Table, number: int) -> bool:
    """Return whether a line is a value of a derivative, of which there are several at a kink."""
    if source is None or table.start is None:
        return False
    is_anchored = bool(_anchor(table.steps[table.lines[table.start]], source))
    leaves = jax.tree.leaves(table.runs[-1].values[table.lines[number]].value)
    return is_anchored and all(map(is_inexact, leaves))


def _has_values(table: Table, number: int, row: Row) -> bool:
    """Return whether a line can be compared with the line before by its values."""
    return table.before(number) is not None and not (row.broken or row.never_finite)


def _of_kink(number: int) -> str:
    return (
        f"line {number} differs from the line before only at kinks, where it is another subgradient: it lies "
        "between the values on their sides"
    )


def _explained(
    function: Callable[..., Any],
    source: Source | None,
    replayer: Replayer | None,
    points: Points | None,
    table: Table,
    linked: Link | None,
    wrong: int,
) -> tuple[str, str, dict[str, Any]]:
    """Return cause, sentence and further fields for the first wrong line."""
    names = tuple(inspect.signature(function).parameters)
    look = Look(wrong, table.before(wrong))
    found = linked.diagnosis() if linked else None
    if found and found.named:
        example = shown_judgement(names, found, look)
        coarse = coarse_constant(function, found.small)
        if coarse:
            return coarse[0], coarse[1], {"example": example}
        return found.named[0], found.named[1], {"example": example, "blame": found.blame}
    example = None
    if wrong < len(table.lines) and wrong != table.start:
        failing = failing_points(table, look)
        small = smallest(replayer, points, failing, look) if replayer and points else None
        run = replayer.at([small]) if replayer and small else (table.runs[0] if failing else None)
        example = shown(table, run, names, look) if run else None
    named = cause_of_form(source, table, look) or ("unknown", "it differs from the line before")
    return named[0], named[1], {"example": example}


def _without_failure(
    facts: dict[str, Any],
    function: Callable[..., Any],
    replayer: Replayer | None,
    points: Points | None,
    table: Table,
    rows: dict[int, Row],
) -> DerivationReport:
    """Return the report if every line follows: it holds, unless a line was not judged or it should fail."""
    blind = [n for n, row in rows.items() if not row.judged]
    if blind:
        text = f"line {blind[0]} is not finite at any drawn point, so it was not judged"
        return DerivationReport(**facts, verdict=DerivationVerdict.INCONCLUSIVE, explanation=text)
    if facts["refutes"]:
        text = f"line {facts['refutes'].line} should not follow, but every line does"
        return DerivationReport(**facts, verdict=DerivationVerdict.NOT_REFUTED, explanation=text)
    missing = unadmitted(table, points)
    if missing:
        text = f"no verdict is possible: {missing}"
        return DerivationReport(**facts, verdict=DerivationVerdict.INCONCLUSIVE, explanation=text)
    report = DerivationReport(**facts, verdict=DerivationVerdict.HOLDS)
    somewhere = [n for n in rows if table.steps[table.lines[n]].kind is Kind.DIFFERS_SOMEWHERE]
    if not somewhere or replayer is None or points is None:
        return report
    look = Look(somewhere[-1], None, State.FOLLOWS)
    small = smallest(replayer, points, failing_points(table, look), look)
    names = tuple(inspect.signature(function).parameters)
    return replace(report, example=shown(table, replayer.at([small]), names, look)) if small else report


def _as_expected(report: DerivationReport) -> DerivationReport:
    """Return the report compared with the expectation: an erratum that fails as stated is good."""
    stated = report.refutes
    if not stated:
        return report
    if (report.wrong, report.cause) == (stated.line, stated.cause):
        return replace(report, verdict=DerivationVerdict.REFUTED)
    text = (
        f"line {stated.line} should fail first, with cause {stated.cause!r}, but line {report.wrong} does, "
        f"with cause {report.cause!r}: {report.explanation}"
    )
    return replace(report, verdict=DerivationVerdict.NOT_REFUTED, explanation=text)


def _carried(table: Table, wrong: int) -> str:
    """Return what the lines after a wrong one show: they may follow from it, and not from line 0."""
    start = table.start
    after = [n for n in range(wrong + 1, len(table.lines)) if table.is_value(n)]
    if start is None or wrong >= len(table.lines) or not table.is_value(wrong) or not after:
        return ""
    if wrong == start or table.row(wrong, table.before(wrong)).broken:
        return ""
    follow = [table.row(n, wrong) for n in after]
    if any(row.fails or row.broken or not row.judged for row in follow):
        return ""
    if wrong == min(n for n in range(len(table.lines)) if table.is_value(n) and n > start):
        return f"; lines {start} and {wrong} disagree, and every later line agrees with {wrong}: look at both"
    return "; the lines after it follow from it"


def _line(table: Table, source: Source | None, number: int, row: Row, wrong: int | None) -> Line:
    step = table.steps[table.lines[number]]
    return Line(
        number=number,
        kind=str(Kind.VALUE if step.kind is Kind.OPEN else step.kind),
        latex=step.latex,
        reason=step.reason,
        row=step.row,
        mark=_mark(table, number, row, wrong),
        note=_provenance(table, source, number),
        worst=row.worst,
        skipped=row.skipped,
    )


def _last(table: Table) -> list[Line]:
    """Return the line that was not reached because the code before its yield raises, if there is one."""
    ended = table.ended
    if ended is None or ended.number < len(table.lines):
        return []
    return [Line(ended.number, str(Kind.VALUE), "", f"raises {ended.text}", ended.row, Mark.FAILS)]


def _mark(table: Table, number: int, row: Row, wrong: int | None) -> Mark:
    """Return the mark of a line; the values after the first wrong line are compared with line 0."""
    if not table.is_value(number):
        return Mark.IS_FALSE if row.fails or row.broken or number == wrong else Mark.HOLDS
    if number == wrong:
        return Mark.FAILS
    if number == table.start:
        return Mark.STARTS
    if wrong is None or number < wrong:
        return Mark.FOLLOWS
    against = table.row(number, table.start)
    if not against.judged:
        return Mark.UNSEEN
    return Mark.WOULD_BE_WRONG if against.fails or against.broken else Mark.WOULD_BE_RIGHT


def _provenance(table: Table, source: Source | None, number: int) -> str:
    """Return what a line cites, what anchors the first value, which shipped code the last line runs."""
    if source is None:
        return ""
    step = table.steps[table.lines[number]]
    said = [f"by {', '.join(dict.fromkeys(one.name for one in step.cites))}"] if step.cites else []
    if number == table.start:
        found = _anchor(step, source)
        said.append(f"anchored in {found}" if found else "not anchored")
    elif number == len(table.lines) - 1:
        found = step.ships or shipped(source, step.row)
        said += [f"this is what runs: {found}"] if found else []
    return "; ".join(said)


def _anchor(step: Step, source: Source) -> str | None:
    """Return the autodiff that gives the value of a line, as it was told or as the source says."""
    return step.anchor or anchor(source, step.row)


def _notes(table: Table, source: Source | None, rows: dict[int, Row], wrong: int | None) -> list[str]:
    notes = []
    latex = [step.latex for step in table.steps if step.kind is Kind.ASSUMED]
    for i, text in enumerate(latex):
        if all(np.all(assumptions(run)[i]) for run in table.runs if len(assumptions(run)) > i):
            notes.append(f"vacuous: the assumption {readable(text)} was never false at a drawn point")
    for number, row in rows.items():
        if row.skipped and row.judged and (wrong is None or number <= wrong):
            notes.append(
                f"line {number} could not be judged at {row.skipped} points: something is not finite"
            )
    if source is None:
        notes.append("the source is not available, so anchor and shipped code were not looked for")
    return notes
