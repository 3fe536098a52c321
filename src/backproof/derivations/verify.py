"""The road from a derivation to its report: draw, replay, compare, and say what was found."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backproof.derivations import broken, conclusion
from backproof.derivations.lines import LineError
from backproof.derivations.places import drawn_points, places
from backproof.derivations.replay import Replayer, replay_as_it_stands, retraced
from backproof.derivations.report import Report, Verdict
from backproof.derivations.source import Source, source_of
from backproof.derivations.table import Table
from backproof.errors import UsageError

if TYPE_CHECKING:
    from backproof.derivations.form import Derivation

# Points drawn at each shape, beside one of plain numbers.
EXAMPLES = 10


def verify(derivation: "Derivation", **settings: Any) -> Report:
    """Return the report on one derivation; those it rests on are checked first.

    Args:
        derivation: what is verified.
        **settings: as `verify_each` takes them.
    """
    return next(iter(verify_each([derivation], **settings)))


def verify_each(
    derivations: "Iterable[Derivation]",
    *,
    examples: int = EXAMPLES,
    seed: int = 0,
    shapes: int | None = None,
    known: "dict[Derivation, Report] | None" = None,
) -> Iterator[Report]:
    """Yield the report on each derivation; one that others rest on is checked once.

    Args:
        derivations: what is verified, in turn.
        examples: the points drawn at each shape, beside one of plain numbers.
        seed: the seed of every draw.
        shapes: how many shapes are tried, the largest of the menu; None for all.
        known: what was verified before; it grows.
    """
    known = {} if known is None else known

    def report_on(one: "Derivation") -> Report:
        if one not in known:
            lemmas = [report_on(lemma) for lemma in one.uses]
            began = time.perf_counter()
            report = _with_lemmas(_verify(one, examples, seed, shapes), lemmas)
            known[one] = replace(report, seconds=time.perf_counter() - began)
        return known[one]

    yield from map(report_on, derivations)


def _with_lemmas(report: Report, lemmas: list[Report]) -> Report:
    """Return the report, INCONCLUSIVE if what it rests on does not hold."""
    fallen = next((one for one in lemmas if not one.ok), None)
    if fallen is None or not report.ok:
        return report
    text = f"it rests on {fallen.name}, which is {fallen.verdict}: {fallen.explanation}"
    return replace(report, verdict=Verdict.INCONCLUSIVE, explanation=text)


def _verify(derivation: "Derivation", examples: int, seed: int, shapes: int | None) -> Report:
    about = _about(derivation)
    try:
        function, source = derivation.function, source_of(derivation.function)
        state = broken.generators()
        if not takes_arguments(function):
            table, replayer, points = _of_one_point(function, source), None, None
        else:
            points = places(function, derivation.args)
            replayer = Replayer(function, source)
            groups = drawn_points(derivation.name, points, examples, seed)
            table = Table([replayer.at(group) for group in groups[-(shapes or len(groups)) :]])
        problem = broken.malformed(table) or broken.unrepeatable(
            replayer, function, table, state != broken.generators()
        )
        if problem:
            return Report(**about, verdict=Verdict.BROKEN, explanation=problem)
        return conclusion.conclude(about, derivation, source, replayer, points, table)
    except LineError as error:
        row = error.row or derivation.row
        text = f"line {error.number} ({derivation.file}:{row}): {error}"
        return Report(**{**about, "row": row}, verdict=Verdict.BROKEN, wrong=error.number, explanation=text)
    except UsageError as error:
        return Report(**about, verdict=Verdict.BROKEN, explanation=str(error))


def _of_one_point(function: Any, source: Source | None) -> Table:
    """Return the lines of a function without arguments; where one fails, with their noise measured."""
    eager = replay_as_it_stands(function, source)
    table = Table([eager])
    doubtful = any(table.row(n, table.before(n)).fails for n in range(len(table.lines)))
    return Table([retraced(function, eager)]) if doubtful and not (eager.raised or eager.ended) else table


def takes_arguments(function: Any) -> bool:
    """Return whether a derivation has arguments; one that has none is run once, as it stands."""
    code = getattr(function, "__code__", None)
    return code is None or bool(code.co_argcount or code.co_flags & 0x0C)


def _about(derivation: "Derivation") -> dict[str, Any]:
    """Return what a report says of a derivation before anything is run."""
    return {
        "name": derivation.name,
        "latex": derivation.latex,
        "file": derivation.file,
        "row": derivation.row,
        "prose": derivation.prose,
        "items": derivation.items,
        "uses": tuple(one.name for one in derivation.uses),
        "refutes": derivation.refutes,
    }
