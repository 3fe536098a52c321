"""`backproof verify`: the shipped catalogue, one target of the user's, or the verifier's own cases."""

import argparse
import functools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from backproof.catalogue import SHIPPED
from backproof.cli import derivations
from backproof.cli.arguments import arguments_in
from backproof.cli.options import Options, draws_of
from backproof.cli.outcome import outcome
from backproof.cli.shipped import default_cache, default_jobs, keep_compiled, reports
from backproof.cli.target import is_path, load_target
from backproof.cli.workers import in_background
from backproof.errors import UsageError, message
from backproof.page.extra import require_packages
from backproof.reporting import print_reports
from backproof.reporting.formulas import SHIPPED_FORMULAS
from backproof.reporting.wrapping import say
from backproof.verification import Report, verify
from backproof.verification.running.clock import watching

# With --self-test --full every shipped rule is verified at this many seeds: more than 10,000 pairs.
SEEDS = 313
DERIVATIVES = ("vjp", "grad", "jvp")


def run(arguments: argparse.Namespace) -> int:
    """Verify the targets in `arguments`; return 0 if all are good, else 1.

    Raises:
        UsageError: a target cannot be found, or the options do not go together.
    """
    settings = Options(seed=arguments.seed, budget=arguments.budget)
    if arguments.examples is not None:
        settings["examples"] = arguments.examples
    _require_together(arguments)
    cache = None if arguments.no_compilation_cache else arguments.compilation_cache or default_cache()
    keep_compiled(cache)
    console = Console()
    if arguments.html:
        require_packages("--html")
    if arguments.self_test:
        # the cases import a good deal that no other command needs
        from backproof.cli.self_test import self_test

        seeds = (SEEDS if arguments.full else 0) if arguments.seeds is None else arguments.seeds
        jobs = arguments.jobs or default_jobs()
        return self_test(
            draws_of(settings), console, seeds=seeds, every_mutant=arguments.full, jobs=jobs, cache=cache
        )
    if not arguments.targets and arguments.of is None:
        return _catalogue(settings, console, arguments, cache)
    if any(is_path(target) for target in arguments.targets):
        return derivations.run(arguments, draws_of(settings), console)
    only = in_background(_target(arguments, settings) for _ in range(1))
    return outcome(arguments, only, lambda reports: _shown(reports, console))


def _shown(reports: Iterable[Report], console: Console) -> list[Report]:
    """Print reports in full, and return them; meanwhile a line says what is at work."""
    with console.status("verifying …") as status, watching(lambda said: status.update(f"verifying … {said}")):
        finished = list(reports)
    for report in finished:
        say(console, str(report))
    return finished


def _require_together(arguments: argparse.Namespace) -> None:
    """Require what some options go with.

    Raises:
        UsageError: an option stands alone.
    """
    if (arguments.full or arguments.seeds is not None) and not arguments.self_test:
        raise UsageError(
            message(
                must="--full and --seeds go with --self-test",
                found="no --self-test",
                where="backproof verify",
                do="add --self-test, or drop them",
            )
        )
    if arguments.jsonl and (arguments.self_test or arguments.slips):
        raise UsageError(
            message(
                must="--jsonl prints reports, and --self-test and --slips make none",
                found="both",
                where="backproof verify",
                do="drop one of them",
            )
        )
    if arguments.slips and not any(is_path(target) for target in arguments.targets):
        raise UsageError(
            message(
                must="--slips goes with files of derivations",
                found=" ".join(arguments.targets) or "no file",
                where="backproof verify",
                do="name a .py file or a folder, or drop it",
            )
        )


def _catalogue(settings: Options, console: Console, arguments: argparse.Namespace, cache: Path | None) -> int:
    began, jobs = time.perf_counter(), arguments.jobs or default_jobs()

    def shown(found: Iterable[Report]) -> list[Report]:
        finished = print_reports(found, console, [one.name for one in SHIPPED])
        good, seconds = sum(report.ok for report in finished), time.perf_counter() - began
        say(console, f"\n{good} of {len(finished)} good, in {seconds:.0f} s")
        if cache is not None and not arguments.compilation_cache:
            said = f"Compiled programs are kept in {cache}; --no-compilation-cache keeps none."
            say(console, said, "dim")
        return finished

    found = reports(range(len(SHIPPED)), settings, jobs, cache)
    return outcome(arguments, found, shown, formulas=SHIPPED_FORMULAS)


def _target(arguments: argparse.Namespace, settings: Options) -> Report:
    """Return the report on `module:function`, verified with the given options."""
    given = {way: getattr(arguments, way) for way in DERIVATIVES if getattr(arguments, way)}
    if len(arguments.targets) + len(given) != 1:
        raise UsageError(
            message(
                must="exactly one derivative must be named: TARGET, or --vjp, --grad or --jvp with --of",
                found=", ".join(["TARGET"] * len(arguments.targets) + [f"--{way}" for way in given])
                or "none",
                where="backproof verify",
                do="write e.g. backproof verify my_kernels:layernorm --args 'f32[b,n] f32[n]'",
            )
        )
    loaded = {way: load_target(text) for way, text in given.items()}
    args, named = (None, {}) if arguments.args is None else arguments_in(arguments.args)

    def bound(target: str) -> Any:
        function = load_target(target)
        return functools.partial(function, **named) if named else function

    return verify(
        bound(arguments.targets[0]) if arguments.targets else None,
        of=bound(arguments.of) if arguments.of else None,
        args=args,
        **loaded,
        **settings,
    )
