"""Verifies one derivation: draws points, replays the lines there, compares them, and reports."""

import inspect
from collections.abc import Callable
from typing import Any

from backproof.derivations import broken, conclusion
from backproof.derivations.lemmas import first_beyond, lemmas_of
from backproof.derivations.lines import LineError, UnyieldedError
from backproof.derivations.places import drawn_points, places, points_beside
from backproof.derivations.projection import projected
from backproof.derivations.replay import Replayer, replay_as_it_stands, retraced
from backproof.derivations.report import About, DerivationReport, DerivationVerdict
from backproof.derivations.search import searched
from backproof.derivations.source import Source, source_of
from backproof.derivations.table import Table
from backproof.derivations.watching import Lemma
from backproof.errors import UsageError
from backproof.verification.aiming.constants import constants_in

UNYIELDED = "not-yielded"


def report_on(
    function: Callable[..., Any], args: Any, about: About, *, examples: int, seed: int, shapes: int | None
) -> tuple[DerivationReport, list[Lemma]]:
    """Return the report on the lines that a function yields, and the derivations whose values they take.

    Args:
        function: the generator function.
        args: the specifications of its arguments, or None to read its annotations.
        about: the part of the report that is known before anything is run.
        examples: how many points are drawn at each shape, next to one with plain numbers.
        seed: the seed of every draw.
        shapes: how many shapes of the menu are tried, the largest ones, and nothing else; None for all.
    """
    facts, notes = about._asdict(), []
    try:
        source, state = source_of(function), broken.generators()
        if not takes_arguments(function):
            table, replayer, points = _of_one_point(function, source), None, None
        else:
            points = places(function, args)
            replayer = Replayer(function, source)
            groups = drawn_points(about.name, points, examples, seed)
            runs = [replayer.at(group) for group in groups[-(shapes or len(groups)) :]]
            programs = [run.program.jaxpr for run in runs[-1:] if run.program]
            beside = points_beside(constants_in(programs), points, seed) if shapes is None else []
            moved, notes = projected(function, points, Table(runs)) if shapes is None else ([], [])
            table = Table([*runs, *map(replayer.at, [*beside, *moved])])
            pushed, more = searched(function, points, table) if shapes is None else ([], [])
            table, notes = Table([*table.runs, *map(replayer.at, pushed)]), [*notes, *more]
        problem = broken.malformed(table) or broken.unrepeatable(
            replayer, function, table, state != broken.generators()
        )
        if problem:
            return DerivationReport(**facts, verdict=DerivationVerdict.BROKEN, explanation=problem), []
        lemmas = lemmas_of(source, table)
        beyond = first_beyond(function, table) if lemmas else None
        told = conclusion.conclude(about, function, source, replayer, points, table, beyond, notes)
        return told, lemmas
    except LineError as error:
        row = error.row or about.row
        text = f"line {error.number} ({about.file}:{row}): {error}"
        facts["row"] = row
        cause = UNYIELDED if isinstance(error, UnyieldedError) else None
        broken_at = DerivationReport(
            **facts, verdict=DerivationVerdict.BROKEN, wrong=error.number, cause=cause, explanation=text
        )
        return broken_at, []
    except UsageError as error:
        return DerivationReport(**facts, verdict=DerivationVerdict.BROKEN, explanation=str(error)), []


def _of_one_point(function: Any, source: Source | None) -> Table:
    """Return the lines of a function without arguments; if one fails, their noise is measured."""
    eager = replay_as_it_stands(function, source)
    table = Table([eager])
    doubtful = any(table.row(n, table.before(n)).fails for n in range(len(table.lines)))
    return Table([retraced(function, eager)]) if doubtful and not (eager.raised or eager.ended) else table


def takes_arguments(function: Any) -> bool:
    """Return whether a derivation has arguments; one without arguments is run once, without tracing."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is None or bool(code.co_argcount or code.co_flags & 0x0C)
