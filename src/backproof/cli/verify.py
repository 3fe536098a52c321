"""`backproof verify`: the shipped catalogue, one target of the user's, or the verifier's own cases."""

import argparse
import time

from rich.console import Console

from backproof.arguments import parse_many
from backproof.catalogue import PRECISIONS, SHIPPED
from backproof.cli import derivations
from backproof.cli.options import Options
from backproof.cli.shipped import default_jobs, keep_compiled, reports
from backproof.cli.target import is_path, load_target
from backproof.errors import UsageError, message
from backproof.reporting import print_reports, write_json
from backproof.verification import Report, verify

# With --self-test --full every shipped rule is verified at this many seeds: more than 10,000 pairs.
SEEDS = 313
DERIVATIVES = ("vjp", "grad", "jvp")


def run(arguments: argparse.Namespace) -> int:
    """Verify the targets in `arguments`; return 0 if all are good, else 1.

    Raises:
        UsageError: a target cannot be found, or the options do not go together.
    """
    settings = Options(seed=arguments.seed)
    if arguments.examples is not None:
        settings["examples"] = arguments.examples
    if arguments.compilation_cache:
        keep_compiled(arguments.compilation_cache)
    console = Console()
    if arguments.self_test:
        # the cases import a good deal that no other command needs
        from backproof.cli.self_test import self_test

        seeds = (SEEDS if arguments.full else 0) if arguments.seeds is None else arguments.seeds
        jobs = arguments.jobs or default_jobs()
        return self_test(settings, console, seeds=seeds, every_mutant=arguments.full, jobs=jobs)
    if arguments.full or arguments.seeds is not None:
        raise UsageError(
            message(
                must="--full and --seeds go with --self-test",
                found="no --self-test",
                where="backproof verify",
                do="add --self-test, or drop them",
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
    if not arguments.targets and arguments.of is None:
        return _catalogue(settings, console, arguments)
    if any(is_path(target) for target in arguments.targets):
        return derivations.run(arguments, settings, console)
    report = _target(arguments, settings)
    console.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if arguments.json:
        write_json([report], arguments.json)
    return 0 if report.ok else 1


def _catalogue(settings: Options, console: Console, arguments: argparse.Namespace) -> int:
    began, jobs = time.perf_counter(), arguments.jobs or default_jobs()
    if jobs == 1:
        found = (verify(one, dtypes=PRECISIONS, **settings) for one in SHIPPED)
    else:
        found = reports(range(len(SHIPPED)), settings, jobs, arguments.compilation_cache)
    finished = print_reports(found, console)
    good = sum(report.ok for report in finished)
    console.print(f"\n{good} of {len(finished)} good, in {time.perf_counter() - began:.0f} s")
    if arguments.json:
        write_json(finished, arguments.json)
    return 0 if good == len(finished) else 1


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
    return verify(
        load_target(arguments.targets[0]) if arguments.targets else None,
        of=load_target(arguments.of) if arguments.of else None,
        args=parse_many(arguments.args) if arguments.args is not None else None,
        **loaded,
        **settings,
    )
