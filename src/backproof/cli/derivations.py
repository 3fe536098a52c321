"""`backproof verify PATH…`: the derivations in files and folders, several at a time."""

import argparse
import functools
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from backproof.derivations import Derivation, Report, find
from backproof.derivations.verify import verify_each
from backproof.errors import UsageError, message
from backproof.reporting import print_derivations, print_slips, write_json

# What one process has verified: a derivation on which several rest is checked once in each process.
_KNOWN: dict[Derivation, Report] = {}
# So many derivations are handed to a process at once; fewer are not worth starting one.
CHUNK = 6


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
    if arguments.slips:
        return print_slips(found, console, **settings)
    reports = print_derivations(_reports(found, settings), len(found), console)
    good = sum(report.ok for report in reports)
    console.print(f"\n{good} of {len(reports)} derivations good", highlight=False)
    if arguments.json:
        write_json(reports, arguments.json)
    return 0 if good == len(reports) else 1


def _reports(found: Sequence[Derivation], settings: dict[str, Any]) -> Iterator[Report]:
    """Yield the report on each derivation, in order; a long list is shared among processes."""
    workers = min(os.cpu_count() or 1, -(-len(found) // CHUNK))
    if workers < 2 or len(found) <= CHUNK:
        yield from verify_each(found, **settings)
        return
    chunks = [tuple((one.path, one.name) for one in chunk) for chunk in _chunks(found)]
    context = multiprocessing.get_context("spawn")  # what jax has started does not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for reports in pool.map(functools.partial(_verified, settings=settings), chunks):
            yield from reports


def _chunks(found: Sequence[Derivation]) -> Iterator[Sequence[Derivation]]:
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]


def _verified(places: Sequence[tuple[str, str]], settings: dict[str, Any]) -> list[Report]:
    """Return the reports on derivations named by file and name; runs in a process of its own."""
    chosen = [_named(path)[name] for path, name in places]
    return list(verify_each(chosen, **settings, known=_KNOWN))


@functools.cache
def _named(path: str) -> dict[str, Derivation]:
    return {one.name: one for one in find([Path(path)])}
