"""`backproof audit`: a user's own gradient test, run against slips planted in the rule under test."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from backproof.auditing import audit
from backproof.reporting.to_json import write_text


def run(arguments: argparse.Namespace) -> int:
    """Audit the test in `arguments`; return 0 only if it sees every slip, else 1.

    Raises:
        UsageError: there is no such test or rule, or the test does not pass as it is.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:  # as `python -m pytest` has it
        sys.path.insert(0, folder)
    console = Console()
    with console.status("running the test …") as status:
        report = audit(
            arguments.test,
            rule=arguments.rule,
            cotangent=arguments.cotangent,
            slips=arguments.slips,
            tolerances=not arguments.no_tolerances,
            timeout=arguments.timeout,
            budget=arguments.budget,
            progress=lambda done, total, what: status.update(f"{done} of {total} slips … {what}"),
        )
    console.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if arguments.json:
        write_text(report.to_json(), arguments.json)
    return 0 if report.ok else 1
