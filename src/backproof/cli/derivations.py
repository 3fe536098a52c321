"""`backproof verify PATH…`: the derivations in files and folders, several at a time."""

import argparse
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from backproof.cli.options import Draws
from backproof.cli.outcome import outcome
from backproof.cli.workers import in_processes
from backproof.derivations import Derivation, DerivationReport, Verifications, find
from backproof.derivations.slips import Slip, campaign
from backproof.errors import UsageError, message
from backproof.reporting import print_derivations, print_slips
from backproof.reporting.wrapping import say

Places = Sequence[tuple[str, str]]
Work = Callable[[Places, Draws], list[Any]]

# The derivations in the files that this process has imported, by file and name.
_NAMED: dict[tuple[str, str], Derivation] = {}
# How many derivations a process is given at once; for fewer, no process is worth starting.
CHUNK = 6


def run(arguments: argparse.Namespace, settings: Draws, console: Console) -> int:
    """Verify the derivations in the named files; return 0 if all are good, else 1.

    Raises:
        UsageError: a file cannot be used, or an option applies to gradients only.
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
    if arguments.slips and (arguments.json or arguments.html):
        raise UsageError(
            message(
                must="--json and --html write reports, and --slips makes none",
                found="both",
                where="backproof verify",
                do="drop one of them",
            )
        )
    if arguments.slips:
        right = [one for one in found if not one.refutes]
        return 0 if print_slips(_shared(_planted, right, settings), len(right), console) else 1

    def shown(reports: Iterable[DerivationReport]) -> list[DerivationReport]:
        finished = print_derivations(reports, len(found), console)
        good = sum(report.ok for report in finished)
        say(console, f"\n{good} of {len(finished)} derivations good")
        return finished

    return outcome(arguments, _shared(_verified, found, settings), shown, seed=arguments.seed)


def _shared(work: Work, found: Sequence[Derivation], settings: Draws) -> Iterator[Any]:
    """Yield the result of `work` for each derivation, in order; a long list is shared among processes."""
    workers = min(os.cpu_count() or 1, -(-len(found) // CHUNK))
    chunks = [tuple((one.path, one.name) for one in chunk) for chunk in _chunks(found)]
    if workers < 2:
        _NAMED.update({(one.path, one.name): one for one in found})
        yield from (result for chunk in chunks for result in work(chunk, settings))
        return
    for results in in_processes(work, chunks, itertools.repeat(settings), jobs=workers):
        yield from results


def _chunks(found: Sequence[Derivation]) -> Iterator[Sequence[Derivation]]:
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]


def _verified(places: Places, settings: Draws) -> list[DerivationReport]:
    """Return the reports on derivations named by file and name."""
    return [_verifications(**settings).report_on(_named(place)) for place in places]


@functools.cache
def _verifications(**settings: int) -> Verifications:
    """Return this process's `Verifications`, which verifies a derivation that others rest on only once."""
    return Verifications(**settings)


def _planted(places: Places, settings: Draws) -> list[list[Slip]]:
    """Return the slips planted in each derivation, with their outcomes."""
    return [list(campaign(_named(place), **settings)) for place in places]


def _named(place: tuple[str, str]) -> Derivation:
    """Return a derivation by file and name; a process imports each file once."""
    if place not in _NAMED:
        _NAMED.update({(one.path, one.name): one for one in find([Path(place[0])])})
    return _NAMED[place]
