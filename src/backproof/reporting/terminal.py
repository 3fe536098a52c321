"""Reports in the terminal: one line each, then the details of those that need an explanation."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from backproof.reporting.wrapping import say
from backproof.verification import Report, Verdict

# The columns that a terminal must have for the whole table.
WIDE = 80
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
    name = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    columns = (BarColumn(bar_width=10), MofNCompleteColumn(), TimeRemainingColumn(), name)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def _print_table(finished: Sequence[Report], console: Console) -> None:
    table = Table("rule", box=None, pad_edge=False, header_style="bold")
    table.add_column("verdict", no_wrap=True)
    # a narrow terminal has room for the verdicts alone
    numbers = ("worst (noise units)", "examples", "seconds") if console.width >= WIDE else ()
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for report in finished:
        table.add_row(*_row(report)[: 2 + len(numbers)])
    console.print(table)
    for report in finished:
        if report.verdict is Verdict.SUBGRADIENT:
            say(console, f"{report.name}: {report.explanation}", "dim")
        elif not report.ok:
            say(console, f"\n{report}")


def _row(report: Report) -> tuple[Text | str, ...]:
    verdict = Text(str(report.verdict), style=STYLES[report.verdict])
    return report.name, verdict, f"{report.worst:.2g}", f"{report.examples:,}", f"{report.seconds:.1f}"
