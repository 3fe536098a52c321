"""Derivations in the terminal: a progress bar and the failures, or every line for reading."""

import re
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from backproof.derivations import DerivationReport, DerivationVerdict, Mark
from backproof.derivations.latex import readable
from backproof.derivations.slips import Outcome, Slip
from backproof.reporting.terminal import progress
from backproof.reporting.wrapping import say

STYLES = {
    DerivationVerdict.HOLDS: "green",
    DerivationVerdict.REFUTED: "green",
    DerivationVerdict.FAILS: "red",
    DerivationVerdict.NOT_REFUTED: "red",
    DerivationVerdict.BROKEN: "red",
    DerivationVerdict.INCONCLUSIVE: "yellow",
}
MARKS = {
    Mark.STARTS: "·",
    Mark.FOLLOWS: "✓",
    Mark.AT_KINKS: "✓",
    Mark.HOLDS: "✓",
    Mark.FAILS: "✗",
    Mark.IS_FALSE: "✗",
    Mark.WOULD_BE_RIGHT: "(✓)",
    Mark.WOULD_BE_WRONG: "(✗)",
    Mark.UNSEEN: "?",
}


def print_derivations(
    reports: Iterable[DerivationReport], total: int, console: Console
) -> list[DerivationReport]:
    """Print a line for each report as it comes, then the reports that are not good, and return them all."""
    finished: list[DerivationReport] = []
    with progress(console, total, "") as done:
        for report in reports:
            finished.append(report)
            done(f"{report.file} {report.name}")
            console.print(_row(report), highlight=False, soft_wrap=not console.is_terminal)
    for report in finished:
        if not report.ok:
            say(console, f"\n{report}")
    return finished


def print_slips(slips: Iterable[Sequence[Slip]], total: int, console: Console) -> bool:
    """Print the outcomes of planted slips; return whether none is missed and none is a false alarm."""
    planted: list[Slip] = []
    with progress(console, total, "") as done:
        for found in slips:
            planted += found
            done(found[0].derivation if found else "")
    table = Table("slip", box=None, pad_edge=False, header_style="bold")
    for outcome in Outcome:
        table.add_column(str(outcome), justify="right")
    for kind in dict.fromkeys(slip.kind for slip in planted):
        counts = [sum(s.kind == kind and s.outcome is outcome for s in planted) for outcome in Outcome]
        table.add_row(kind, *map(str, counts))
    bad = [slip for slip in planted if slip.outcome in (Outcome.MISSED, Outcome.FALSE_ALARM)]
    for slip in planted:
        if slip.outcome is not Outcome.FOUND:
            place = f"{slip.file}:{slip.row} {slip.derivation}, line {slip.line}"
            style = "red" if slip in bad else "dim"
            say(console, f"{slip.outcome}: {place}: {slip.before} → {slip.after}", style)
    console.print(table)
    named = sum(slip.outcome is Outcome.FOUND for slip in planted)
    console.print(f"\n{named} of {named + len(bad)} slips that change a line are named at that line")
    return not bad


def _sign(mark: Mark, console: Console) -> str:
    """Return the sign of a mark, in letters where the terminal has no other."""
    try:
        MARKS[mark].encode(console.encoding)
    except UnicodeEncodeError:
        return "ok" if MARKS[mark] == "✓" else str(mark)
    return MARKS[mark]


def _row(report: DerivationReport) -> Text:
    row = Text(f"{report.verdict:<12}", style=STYLES[report.verdict])
    row.append(f" {report.file}:{report.row} {report.name}", style="default")
    if report.ok and report.refutes:
        row.append(f"  {report.refutes.erratum}, line {report.wrong}, {report.cause}", style="dim")
    return row


def show(report: DerivationReport, console: Console) -> None:
    """Print one derivation: prose, then each line's formula and reason with its verdict."""
    title = Text(f"{report.name}  ", style="bold").append(readable(report.latex), style="default")
    if report.items:
        title.append(f"  {', '.join(report.items)}", style="dim")
    console.print(title, highlight=False)
    if report.prose:
        console.print(Padding(Text(_flowing(report.prose)), (0, 2)), highlight=False)
    for latex in report.assumptions:
        console.print(Text(f"  where {readable(latex)}", style="italic"), highlight=False)
    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 1))
    for line in report.lines:
        sign = "=" if line.kind == "value" and line.mark is not Mark.STARTS else ""
        reason = Text(line.reason)
        if line.note:
            reason.append(f"  ({line.note})", style="dim")
        table.add_row(
            _sign(line.mark, console), str(line.number), Text(f"{sign:<2}{readable(line.latex)}"), reason
        )
    console.print(table)
    verdict = Text(f"  {report.verdict}", style=STYLES[report.verdict])
    console.print(verdict, highlight=False)
    say(console, "\n".join([*report.details(), ""]))


def _flowing(prose: str) -> str:
    """Return prose with the lines of each paragraph joined, but for those that are indented."""
    paragraphs = prose.split("\n\n")
    return "\n\n".join(re.sub(r"\n(?! )", " ", one) if "\n " not in one else one for one in paragraphs)
