"""Derivations in the terminal: a progress bar and what failed, or every line as it is read."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from backproof.derivations import Derivation, Mark, Report, Verdict
from backproof.derivations.latex import readable
from backproof.derivations.verify import verify_each

STYLES = {
    Verdict.HOLDS: "green",
    Verdict.REFUTED: "green",
    Verdict.FAILS: "red",
    Verdict.NOT_REFUTED: "red",
    Verdict.BROKEN: "red",
    Verdict.INCONCLUSIVE: "yellow",
}
MARKS = {
    Mark.STARTS: "·",
    Mark.FOLLOWS: "✓",
    Mark.HOLDS: "✓",
    Mark.FAILS: "✗",
    Mark.IS_FALSE: "✗",
    Mark.WOULD_BE_RIGHT: "(✓)",
    Mark.WOULD_BE_WRONG: "(✗)",
    Mark.UNSEEN: "?",
}


def print_derivations(found: Sequence[Derivation], console: Console, **settings: Any) -> list[Report]:
    """Print a line for each derivation as it is verified, then what fails, and return the reports."""
    reports: list[Report] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("verifying", total=len(found))
        for report in verify_each(found, **settings):
            reports.append(report)
            progress.update(task, description=f"{report.file} {report.name}")
            progress.console.print(_row(report), highlight=False, soft_wrap=True)
            progress.advance(task)
    for report in reports:
        if not report.ok:
            console.print(f"\n{report}", markup=False, highlight=False, soft_wrap=True)
    return reports


def _row(report: Report) -> Text:
    row = Text(f"{report.verdict:<12}", style=STYLES[report.verdict])
    row.append(f" {report.file}:{report.row} {report.name}", style="default")
    if report.ok and report.refutes:
        row.append(f"  {report.refutes.erratum}, line {report.wrong}, {report.cause}", style="dim")
    return row


def show(report: Report, console: Console) -> None:
    """Print one derivation: prose, then each line's formula and reason with its verdict."""
    title = Text(f"{report.name}  ", style="bold").append(readable(report.latex), style="default")
    if report.items:
        title.append(f"  {', '.join(report.items)}", style="dim")
    console.print(title, highlight=False)
    if report.prose:
        console.print(Padding(Text(report.prose), (0, 2)), highlight=False)
    for latex in report.assumptions:
        console.print(Text(f"  where {readable(latex)}", style="italic"), highlight=False)
    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 1))
    for line in report.lines:
        sign = "=" if line.kind == "value" and line.mark is not Mark.STARTS else ""
        reason = Text(line.reason)
        if line.note:
            reason.append(f"  ({line.note})", style="dim")
        table.add_row(MARKS[line.mark], str(line.number), Text(f"{sign:<2}{readable(line.latex)}"), reason)
    console.print(table)
    verdict = Text(f"  {report.verdict}", style=STYLES[report.verdict])
    console.print(verdict, highlight=False)
    rest = report.details()
    console.print("\n".join(rest) + "\n" if rest else "", markup=False, highlight=False, soft_wrap=True)
