"""`backproof verify`: the shipped catalogue, one target of the user's, or the verifier's own cases."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from backproof.arguments import parse_many
from backproof.catalogue import SHIPPED
from backproof.cli import derivations
from backproof.cli.target import is_path, load_target
from backproof.errors import UsageError, message
from backproof.reporting import print_reports, write_json
from backproof.verification import Report, verify

DERIVATIVES = ("vjp", "grad", "jvp")


def run(arguments: argparse.Namespace) -> int:
    """Verify what `arguments` name; return 0 if all is good, else 1.

    Raises:
        UsageError: a target cannot be found, or the options do not go together.
    """
    settings: dict[str, Any] = {"seed": arguments.seed}
    if arguments.examples is not None:
        settings["examples"] = arguments.examples
    if arguments.compilation_cache:
        _keep_compiled(arguments.compilation_cache)
    console = Console()
    if arguments.self_test:
        return _self_test(settings, console)
    if not arguments.targets and arguments.of is None:
        return _catalogue(settings, console, arguments)
    if any(is_path(target) for target in arguments.targets):
        return derivations.run(arguments, settings, console)
    report = _target(arguments, settings)
    console.print(str(report), markup=False, highlight=False, soft_wrap=True)
    if arguments.json:
        write_json([report], arguments.json)
    return 0 if report.ok else 1


def _keep_compiled(folder: Path) -> None:
    """Switch on JAX's persistent compilation cache, for small programs too; this process is ours."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def _catalogue(settings: dict[str, Any], console: Console, arguments: argparse.Namespace) -> int:
    reports = print_reports((verify(one, **settings) for one in SHIPPED), console)
    good = sum(report.ok for report in reports)
    console.print(f"\n{good} of {len(reports)} good, in {sum(report.seconds for report in reports):.0f} s")
    if arguments.json:
        write_json(reports, arguments.json)
    return 0 if good == len(reports) else 1


def _target(arguments: argparse.Namespace, settings: dict[str, Any]) -> Report:
    """Return the report on `module:function`, with what the options say of it."""
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


def _self_test(settings: dict[str, Any], console: Console) -> int:
    """Run the verifier on its own cases, print the rates by kind, and return 0 if none is missed."""
    from backproof import selftest  # the cases import a good deal that no other command needs

    def judged() -> Iterator[selftest.Outcome]:
        for case in (*selftest.CORPUS, *selftest.BLIND_SPOTS, *selftest.FALSE_ALARMS):
            yield from selftest.run([case], **settings)

    outcomes = []
    with console.status("self-test …") as status:
        for outcome in judged():
            outcomes.append(outcome)
            status.update(f"self-test … {outcome.case.name}")
    table = Table("kind", box=None, pad_edge=False, header_style="bold")
    for heading in ("wrong detected", "right rejected"):
        table.add_column(heading, justify="right")
    for kind, rate in selftest.rates(outcomes).items():
        table.add_row(kind, f"{rate.detected} of {rate.wrong}", f"{rate.alarms} of {rate.right}")
    console.print(table)
    missed = [one for one in outcomes if one.detected is False or one.accepted is False]
    for one in missed:
        side = "the wrong side was not detected" if one.detected is False else "the right side was rejected"
        console.print(f"{one.case.name}: {side}", markup=False, highlight=False, soft_wrap=True)
    seconds = sum(one.seconds for one in outcomes)
    console.print(
        f"\n{len(outcomes) - len(missed)} of {len(outcomes)} cases judged rightly, in {seconds:.0f} s"
    )
    return 1 if missed else 0
