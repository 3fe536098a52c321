"""`backproof verify PATH…`: the derivations in files and folders."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from backproof.derivations import find
from backproof.errors import UsageError, message
from backproof.reporting import print_derivations, write_json


def run(arguments: argparse.Namespace, settings: dict[str, Any], console: Console) -> int:
    """Verify the derivations in the files that are named; return 0 if all are good, else 1.

    Raises:
        UsageError: a file cannot be used, or an option belongs to gradients alone.
    """
    options = ("of", "vjp", "grad", "jvp", "args")
    given = [f"--{name}" for name in options if getattr(arguments, name) is not None]
    if given:
        raise UsageError(
            message(
                must="files with derivations take no option that names a gradient",
                found=", ".join(given),
                where="backproof verify",
                do="leave it out",
            )
        )
    found = find(Path(target) for target in arguments.targets)
    reports = print_derivations(found, console, **settings)
    good = sum(report.ok for report in reports)
    seconds = sum(report.seconds for report in reports)
    console.print(f"\n{good} of {len(reports)} derivations good, in {seconds:.0f} s", highlight=False)
    if arguments.json:
        write_json(reports, arguments.json)
    return 0 if good == len(reports) else 1
