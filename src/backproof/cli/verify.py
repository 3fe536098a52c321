"""`backproof verify`: the shipped catalogue against autodiff."""

import argparse

from rich.console import Console

from backproof.catalogue import SHIPPED
from backproof.reporting import print_reports, write_json
from backproof.verification import verify


def run(arguments: argparse.Namespace) -> int:
    """Verify every shipped rule and loss; return 0 if all are good, else 1."""
    settings = {"seed": arguments.seed}
    if arguments.examples is not None:
        settings["examples"] = arguments.examples
    console = Console()
    reports = print_reports((verify(one, **settings) for one in SHIPPED), console)
    good = sum(report.ok for report in reports)
    console.print(f"\n{good} of {len(reports)} good, in {sum(report.seconds for report in reports):.0f} s")
    if arguments.json:
        write_json(reports, arguments.json)
    return 0 if good == len(reports) else 1
