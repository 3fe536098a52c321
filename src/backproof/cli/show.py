"""`backproof show`: derivations for reading, with the verdict on each line."""

import argparse

from rich.console import Console

from backproof.derivations import find, verify_each
from backproof.reporting import markdown, show


def run(arguments: argparse.Namespace) -> int:
    """Show the derivations in the named files; return 0 if all are good, else 1.

    Raises:
        UsageError: a file cannot be used.
    """
    reports = list(verify_each(find(arguments.paths), seed=arguments.seed))
    if arguments.markdown:
        print("\n".join(markdown(report) for report in reports))
    else:
        console = Console()
        for report in reports:
            show(report, console)
    return 0 if all(report.ok for report in reports) else 1
