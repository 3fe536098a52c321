"""Derivations as Markdown, with their formulas in LaTeX and the verdict on each line."""

from typing import Any

from backproof.derivations.marks import Mark

GOOD = (Mark.STARTS, Mark.FOLLOWS, Mark.AT_KINKS, Mark.HOLDS)


def markdown(report: Any) -> str:
    """Return one derivation as a section of Markdown, with the smallest example if a line fails.

    Args:
        report: a `DerivationReport`.
    """
    items = f" ({', '.join(report.items)})" if report.items else ""
    parts = [f"## `{report.name}`{items}", f"${report.latex}$"]
    parts += [report.prose] if report.prose else []
    parts += [table(report)]
    at = "" if report.wrong is None else f" at line {report.wrong}"
    parts.append(f"**{report.verdict}**{at}" + (f": {report.explanation}" if report.explanation else ""))
    if report.refutes:
        parts.append(f"Refutes {report.refutes.erratum}: {report.refutes.because}")
    parts += [f"```text\n{report.blame.change}\n```"] if report.blame and report.blame.change else []
    parts += [f"- {note}" for note in (*([f"tried {report.reach}"] if report.reach else []), *report.notes)]
    parts += [f"```python\n{report.example.repro}\n```"] if report.example else []
    return "\n\n".join(parts) + "\n"


def table(report: Any) -> str:
    """Return the assumptions of one derivation, and its lines as a table of Markdown.

    Args:
        report: a `DerivationReport`.
    """
    rows = ["| | formula | reason | verdict |", "|---|---|---|---|"]
    for line in report.lines:
        sign = "= " if line.kind == "value" and line.mark is not Mark.STARTS else ""
        note = f" ({line.note})" if line.note else ""
        mark = str(line.mark) if line.mark in GOOD else f"**{line.mark}**"
        formula = f"${sign}{_cell(line.latex)}$" if line.latex else ""  # code that raises has no formula
        rows.append(f"| {line.number} | {formula} | {_cell(line.reason)}{note} | {mark} |")
    return "\n\n".join([*(f"Assumed: ${latex}$." for latex in report.assumptions), "\n".join(rows)])


def _cell(text: str) -> str:
    """Return `text` with every character replaced that would end a cell of a table."""
    if "\\" not in text:
        return text.replace("|", r"\|")
    return text.replace(r"\|", r"\Vert ").replace("|", r"\vert ").replace("\n", " ")
