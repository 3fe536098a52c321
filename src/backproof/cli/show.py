"""`backproof show`: derivations for reading, with the verdict on each line; with --watch on every save."""

import argparse
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from backproof.derivations import Derivation, DerivationReport, Verifications, find, verify_each
from backproof.derivations.markdown import markdown
from backproof.errors import UsageError
from backproof.reporting import show

Place = tuple[str, str]  # file and name
LOOKS_EVERY = 0.2  # seconds between two looks at the files


def run(arguments: argparse.Namespace) -> int:
    """Show the derivations in the named files; return 0 if all are good, else 1.

    Raises:
        UsageError: a file cannot be used.
    """
    console = Console()
    if arguments.watch:
        return _watch(arguments, console)
    reports = list(verify_each(find(arguments.paths), seed=arguments.seed))
    if arguments.markdown:
        print("\n".join(markdown(report) for report in reports))
    else:
        for report in reports:
            show(report, console)
    return 0 if all(report.ok for report in reports) else 1


def _watch(arguments: argparse.Namespace, console: Console) -> int:
    """Show what has changed each time that a file is saved, until Ctrl-C."""
    try:
        for reports in changed(arguments.paths, arguments.seed, saves(arguments.paths)):
            for report in reports if isinstance(reports, list) else ():
                show(report, console)
            if isinstance(reports, str):
                console.print(f"{reports}\n", style="red", markup=False, highlight=False)
            console.print(f"watching {', '.join(map(str, arguments.paths))}; Ctrl-C ends it", style="dim")
    except KeyboardInterrupt:
        return 0
    return 0


def saves(paths: Sequence[Path], wait: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Yield at once, and then each time that a file has been saved."""
    before = None
    while True:
        now = _stamps(paths)
        if now != before:
            yield
        before = now
        wait(LOOKS_EVERY)


def changed(paths: Sequence[Path], seed: int, at: Iterator[None]) -> Iterator[list[DerivationReport] | str]:
    """Yield, at each of some moments, the reports on the derivations that are new or changed since the last.

    An error of the file is yielded as text: the next save may mend it.

    Args:
        paths: the files.
        seed: the seed of every draw.
        at: the moments.
    """
    known: dict[Place, str] = {}
    for _ in at:
        try:
            found = find(paths, anew=True)
            code = _code(found)
            new = [one for one in found if known.get((one.path, one.name)) != code[one.path, one.name]]
            yield list(map(Verifications(seed=seed).report_on, new))
            known = code
        except UsageError as error:
            yield str(error)


def _code(found: Sequence[Derivation]) -> dict[Place, str]:
    """Return for each derivation its own code, and what stands in its file outside of all derivations."""
    around: dict[str, list[str]] = {}
    own: dict[Place, str] = {}
    for one in found:
        lines, first = inspect.getsourcelines(one.function)
        rest = around.setdefault(one.path, Path(one.path).read_text(encoding="utf-8").splitlines())
        rest[first - 1 : first - 1 + len(lines)] = [""] * len(lines)
        own[one.path, one.name] = "".join(lines)
    # a line that moves down is no change
    return {place: "\n".join([text, *filter(None, around[place[0]])]) for place, text in own.items()}


def _stamps(paths: Sequence[Path]) -> list[tuple[str, int]]:
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [(str(file), file.stat().st_mtime_ns) for file in files if file.exists()]
