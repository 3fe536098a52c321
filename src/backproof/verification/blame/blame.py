"""The line of the hand-written code that is wrong, and what should stand there.

An expression is a suspect if it feeds every wrong entry of the result and if some value of it would make the
whole result right. Among its suspects the slips that people make are turned back, one at a time; what makes
the result right where it was looked for is then run, as the source would read, at every point looked at. Only
what is right at all of them is called a mend.
"""

import ast
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backproof.numerics.effort import EFFORT
from backproof.verification.blame.case import Case
from backproof.verification.blame.edits import plain_text
from backproof.verification.blame.failing import failing_points
from backproof.verification.blame.marking import Expression
from backproof.verification.blame.places import is_alias, is_known, numbers_of
from backproof.verification.blame.respelled import respelled, without_comment
from backproof.verification.blame.search import Suspect, can_be_right, suspects
from backproof.verification.blame.seen import Seen
from backproof.verification.blame.trial import points_mended
from backproof.verification.blame.tries import Tried, by_forward, plainly, with_sums
from backproof.verification.blame.watched import Watching
from backproof.verification.claims.claim import Claim
from backproof.verification.judging.judge import Judgement
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point


class Blame(NamedTuple):
    """Holds the line of the hand-written code that is wrong.

    Attributes:
        file: the file.
        line: the number of the line; None where several are in question.
        text: the line, or the lines in question.
        why: what shows it.
        lines: the numbers of all lines in question.
        mend: how the line should read; empty where that is not known.
        cause: the name of the slip; empty where there is no mend.
    """

    file: str
    line: int | None
    text: str
    why: str
    lines: tuple[int, ...] = ()
    mend: str = ""
    cause: str = ""

    @property
    def change(self) -> str | None:
        """The line before and after the mend; None where there is none."""
        return f"line {self.line}: {self.text}  →  {self.mend}" if self.mend else None

    def said(self) -> list[str]:
        """Return the lines of a report on it."""
        name = Path(self.file).name
        if self.line is None:
            texts = zip(self.lines, self.text.splitlines(), strict=True)
            return [f"{self.why}:", *(f"  {name}:{line}  {text}" for line, text in texts)]
        shown = f"{name}:{self.line}  {self.text}"
        return (
            [shown, f"should read  {self.mend}", f"({self.why})"] if self.mend else [shown, f"({self.why})"]
        )


def blame(
    evaluators: Evaluators, judged: Sequence[Judgement], looks: Sequence[Look], clock: Clock
) -> Blame | None:
    """Return the line that is wrong; None where the code cannot be read or traced, or nothing is known.

    Args:
        evaluators: the evaluators of the claim.
        judged: the judgements of points.
        looks: both sides at every point that was looked at.
        clock: the time that is left; once it is over, no further mend is looked for.
    """
    claim = evaluators.claim
    if claim.by_point:
        return None
    watching = Watching()
    points = failing_points(evaluators, watching, watching.rebuilt(claim.hand), judged)
    if not points or len(points[0].marks) * len(points[0].recording.steps) > EFFORT.blamed_work:
        return None
    every, theirs = suspects(watching, points), _used_by_primal(claim, points[0].point)
    places, bound = {one.place for one in theirs}, {(one.function, one.name) for one in theirs if one.name}
    by_hand = [one for one in every if _is_by_hand(watching.expressions[one.number], places, bound)]
    found = by_hand or every
    case = Case(evaluators, watching, points, looks, clock)
    for spared in sorted({one.spared for one in found})[: EFFORT.tiers]:
        mended = _mended(case, [one for one in found if one.spared == spared])
        if mended:
            return mended
    return _in_question(watching, points, found)


def _used_by_primal(claim: Claim, point: Point) -> list[Expression]:
    """Return the expressions with which the function itself computes.

    A backward pass with a cache runs the forward pass, a loss may come with its gradient, and the lines of a
    derivation share their code: what the function computes with is what it is.
    """
    primal = Watching()
    return primal.used_by(primal.rebuilt(claim.primal), point.args)


def _is_by_hand(one: Expression, places: Collection[Any], bound: Collection[Any]) -> bool:
    """Return whether an expression is no value with which the function itself computes, nor its name."""
    return one.place not in places and (one.function, getattr(one.node, "id", None)) not in bound


def _mended(case: Case, tier: Sequence[Suspect]) -> Blame | None:
    """Return the plainest mend of some suspects that is right at every point."""
    tried: set[tuple[int, str]] = set()
    for way in (plainly, with_sums, by_forward):
        edits = sorted(way(case, tier), key=lambda one: one.order)
        new = [one for one in edits if (one.number, plain_text(one.text)) not in tried][: EFFORT.trials]
        for one in new:
            if case.clock.is_over:
                return None
            tried.add((one.number, plain_text(one.text)))
            count = points_mended(case, one.number, one.text)
            if count:
                return _with_mend(one, count)
    return None


def _with_mend(tried: Tried, count: int) -> Blame:
    at = tried.at
    line = without_comment(at.source.line(at.line))
    why = f"written so, the result is right at all {count} points looked at"
    return Blame(at.source.file, at.line, line, why, (at.line,), respelled(at, tried.text), tried.cause)


def _in_question(watching: Watching, points: Sequence[Seen], found: Sequence[Suspect]) -> Blame | None:
    """Return the lines of the suspects that feed the fewest right entries, and of the numbers in them."""
    least = min((one.spared for one in found), default=0)
    places = [watching.expressions[one.number] for one in found if one.spared == least]
    places = [one for one in places if not is_alias(watching, one)]
    if not places:
        return None
    counts = [watching.expressions[number] for number in numbers_of(watching, points, places)]
    within = {one.function for one in places}
    counts = [one for one in counts if not isinstance(one.node, ast.Constant) and one.function in within]
    file, _ = Counter(one.source.file for one in places).most_common(1)[0]
    source = next(one.source for one in places if one.source.file == file)
    lines = tuple(sorted({one.line for one in (*places, *counts) if one.source.file == file}))
    texts = [without_comment(source.line(line)) for line in lines]
    if len(lines) == 1 and least == 0 and _is_the_only(watching, points, found):
        why = "only this line feeds every wrong entry and no right one"
        return Blame(file, lines[0], texts[0], why, lines)
    feed = "these lines feed" if len(lines) > 1 else "this line feeds"
    return Blame(file, None, "\n".join(texts), f"{feed} every wrong entry", lines)


def _is_the_only(watching: Watching, points: Sequence[Seen], found: Sequence[Suspect]) -> bool:
    """Return whether some value of a suspect makes the result right, and nothing that it reads is hidden."""
    least = [one for one in found if not one.spared]
    places = [watching.expressions[one.number] for one in least]
    return all(is_known(watching, points, place) for place in places) and any(
        can_be_right(points, one) for one in least
    )
