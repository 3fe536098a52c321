"""`backproof verify --self-test`: the verifier on its cases, on mutants, on right rules at many seeds."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from backproof import selftest
from backproof.catalogue import SHIPPED
from backproof.cli.options import Draws
from backproof.cli.shipped import reports_by_seed
from backproof.cli.workers import in_background
from backproof.reporting import progress
from backproof.verification import Report


def self_test(
    settings: Draws,
    console: Console,
    *,
    seeds: int,
    every_mutant: bool,
    jobs: int = 1,
    cache: Path | None = None,
) -> int:
    """Run the self-test, print detection and false alarms, and return 0 if nothing is amiss, else 1.

    Args:
        settings: arguments of `verify`.
        console: where the rates are printed.
        seeds: at how many seeds each shipped rule is verified too; 0 for none.
        every_mutant: whether every slip is planted in every rule that it applies to, or in one or two.
        jobs: how many processes share the rules and seeds.
        cache: where compiled programs are kept.
    """
    outcomes = _cases(settings, console)
    tally = _mutants(settings, console, every=every_mutant)
    alarms = _alarms(settings, console, seeds, jobs, cache) if seeds else []
    missed = [one for one in outcomes if one.detected is False or one.accepted is False]
    return 1 if missed or tally.missed or tally.misnamed or alarms else 0


def _cases(settings: Draws, console: Console) -> list[selftest.Outcome]:
    def judged() -> Iterator[selftest.Outcome]:
        for case in (*selftest.CORPUS, *selftest.BLIND_SPOTS, *selftest.FALSE_ALARMS):
            yield from selftest.run([case], **settings)

    outcomes = []
    cases = (*selftest.CORPUS, *selftest.BLIND_SPOTS, *selftest.FALSE_ALARMS)
    with progress(console, len(cases), "cases") as done:
        for outcome in in_background(judged()):
            outcomes.append(outcome)
            done(outcome.case.name)
    table = Table("kind", box=None, pad_edge=False, header_style="bold")
    for heading in ("wrong detected", "right rejected"):
        table.add_column(heading, justify="right")
    for kind, rate in selftest.rates(outcomes).items():
        table.add_row(kind, f"{rate.detected} of {rate.wrong}", f"{rate.alarms} of {rate.right}")
    console.print(table)
    missed = [one for one in outcomes if one.detected is False or one.accepted is False]
    for one in missed:
        side = "the wrong side was not detected" if one.detected is False else "the right side was rejected"
        _print(console, f"{one.case.name}: {side}")
    seconds = sum(one.seconds for one in outcomes)
    _print(
        console,
        f"\n{len(outcomes) - len(missed)} of {len(outcomes)} cases judged rightly, in {seconds:.0f} s",
    )
    return outcomes


def _mutants(settings: Draws, console: Console, *, every: bool) -> selftest.Tally:
    tally = selftest.Tally()
    with console.status("mutants …") as status:
        chosen = selftest.mutants() if every else selftest.cross_section()
        for mutant, report in in_background((one, one.verified(**settings)) for one in chosen):
            status.update(f"mutants … {mutant.name}")
            tally = tally.with_report(mutant, report)
    share = tally.named / max(tally.mutants, 1)
    _print(
        console,
        f"{tally.detected} of {tally.mutants} mutants detected; {tally.named} ({share:.0%}) named rightly, "
        f"{len(tally.misnamed)} wrongly, the rest unknown",
    )
    for one in (*tally.missed, *tally.misnamed):
        _print(console, one)
    return tally


def _alarms(settings: Draws, console: Console, seeds: int, jobs: int, cache: Path | None) -> list[Report]:
    first = settings.get("seed", 0)
    chosen = range(first, first + seeds)
    found = reports_by_seed(range(len(SHIPPED)), chosen, settings, jobs, cache)
    alarms, pairs = [], 0
    with console.status("right rules …") as status:
        for report in found:
            status.update(f"right rules … {report.name}, seed {report.seed}")
            pairs += 1
            if not report.ok:
                alarms.append(report)
                _print(console, str(report))
    _print(console, f"{len(alarms)} alarms in {pairs} pairs of a right rule and a seed")
    return alarms


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
