"""What `backproof verify` leaves: what is printed, the files that were asked for, the exit status."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from backproof.cli.options import command_of
from backproof.derivations import DerivationReport
from backproof.reporting import print_jsonl, write_html, write_json
from backproof.verification import Report

One = TypeVar("One", Report, DerivationReport)


def outcome(
    arguments: argparse.Namespace,
    reports: Iterable[One],
    shown: Callable[[Iterable[One]], list[One]],
    *,
    formulas: Mapping[str, tuple[str, str]] | None = None,
    seed: int | None = None,
) -> int:
    """Print reports as they come, write the files that were asked for, and return 0 if all are good, else 1.

    Args:
        arguments: says whether lines of JSON are printed, and which files are written.
        reports: the reports.
        shown: prints them for a person, and returns them all.
        formulas: the formulas of functions and backward passes that a page shows, by name.
        seed: the seed of the draws, for reports that do not say it.
    """
    finished = print_jsonl(reports) if arguments.jsonl else shown(reports)
    if arguments.json:
        write_json(finished, arguments.json)
    if arguments.html:
        write_html(finished, arguments.html, formulas=formulas, command=command_of(arguments), seed=seed)
    return 0 if all(report.ok for report in finished) else 1
