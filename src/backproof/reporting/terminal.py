"""Reports in the terminal: one line each, then the details of those that need an explanation."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
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


def print_reports(reports: Iterable[Report], console: Console, names: Sequence[str]) -> list[Report]:
    """Print a table of the reports and the details, and return them; a bar shows how many there are so far.

    If it is interrupted, what is known by then is printed.

    Args:
        reports: the reports, in order.
        console: where they are printed.
        names: what is verified, in the same order.
    """
    finished: list[Report] = []
    try:
        with progress(console, len(names), names[0]) as done:
            for report in reports:
                finished.append(report)
                done(names[len(finished)] if len(finished) < len(names) else "")
    finally:
        _print_table(finished, console)
        if len(finished) < len(names):
            console.print(f"\n{len(finished)} of {len(names)} verified", highlight=False)
    return finished


@contextlib.contextmanager
def progress(console: Console, total: int, first: str) -> Iterator[Callable[[str], None]]:
    """Show a bar with the number that is done, what is at work and the time left.

    Yields:
        a function to call when one is done, with the name of the next.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def _print_table(finished: Sequence[Report], console: Console) -> None:
    table = Table("rule", "verdict", box=None, pad_edge=False, header_style="bold")
    for heading in ("worst (noise units)", "examples", "seconds"):
        table.add_column(heading, justify="right")
    for report in finished:
        table.add_row(*_row(report))
    console.print(table)
    for report in finished:
        if report.verdict is Verdict.SUBGRADIENT:
            said = f"{report.name}: {report.explanation}"
            console.print(said, style="dim", markup=False, highlight=False, soft_wrap=True)
        elif not report.ok:
            console.print(f"\n{report}", markup=False, highlight=False, soft_wrap=True)


def _row(report: Report) -> tuple[Text | str, ...]:
    verdict = Text(str(report.verdict), style=STYLES[report.verdict])
    return report.name, verdict, f"{report.worst:.2g}", f"{report.examples:,}", f"{report.seconds:.1f}"
