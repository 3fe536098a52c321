"""Reports in the terminal: one line each, then the details of those that need an explanation."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from backproof.verification import Report, Verdict

STYLES = {
    Verdict.AGREES: "green",
    Verdict.SUBGRADIENT: "green",
    Verdict.DECLARED: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.REFERENCE_SUSPECT: "yellow",
    Verdict.UNSTABLE: "red",
    Verdict.WRONG: "red",
}


def print_reports(reports: Iterable[Report], console: Console) -> list[Report]:
    """Print a table of the reports as they come in, then the details, and return them."""
    table = Table("rule", "verdict", box=None, pad_edge=False, header_style="bold")
    for heading in ("worst (noise units)", "examples", "seconds"):
        table.add_column(heading, justify="right")
    finished = []
    with console.status("verifying …") as status:
        for report in reports:
            finished.append(report)
            status.update(f"verifying … {report.name}: {report.verdict}")
            table.add_row(*_row(report))
    console.print(table)
    for report in finished:
        if report.verdict is Verdict.SUBGRADIENT:
            console.print(
                f"{report.name}: {report.explanation}",
                style="dim",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        elif not report.ok:
            console.print(f"\n{report}", markup=False, highlight=False, soft_wrap=True)
    return finished


def _row(report: Report) -> tuple[Text | str, ...]:
    verdict = Text(str(report.verdict), style=STYLES[report.verdict])
    return report.name, verdict, f"{report.worst:.2g}", f"{report.examples:,}", f"{report.seconds:.1f}"
