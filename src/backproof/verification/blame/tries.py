"""The edits that make the result right at the failing points, found in three ways.

Most have a value that is known before they run. Where a plain number, an axis or the shape of a value
changes, the code has to run. Last comes what the function itself computes.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.verification.blame.case import Case
from backproof.verification.blame.edits import ALIAS, Making, Scope, long_edits, short_edits
from backproof.verification.blame.forward import forward_terms
from backproof.verification.blame.marking import Expression
from backproof.verification.blame.places import feeds, is_alias, is_bare
from backproof.verification.blame.rewrites import Rewrite, rewrites_of
from backproof.verification.blame.search import Suspect, edits_that_mend
from backproof.verification.blame.seen import Seen, recorded
from backproof.verification.blame.vocabulary import conditions_at, known_at, modules_of, scalars_at, terms_at
from backproof.verification.blame.watched import Watching


class Tried(NamedTuple):
    """Holds one edit of one expression, with what decides which is tried first."""

    number: int
    at: Expression
    cause: str
    text: str
    rank: float

    @property
    def order(self) -> tuple[float, int, int, str]:
        """The plainest first; among equals the line that comes last, where a formula is put together."""
        return round(self.rank, 1), -self.at.line, -len(self.at.text), self.text


def plainly(case: Case, tier: Sequence[Suspect]) -> Iterator[Tried]:
    """Yield the short edits with what the code by hand holds, and those that have to run."""
    yield from _by_values(case, tier, short_edits)
    yield from _by_running(case, tier)


def with_sums(case: Case, tier: Sequence[Suspect]) -> Iterator[Tried]:
    """Yield the edits with a product or a sum of what the code by hand holds."""
    yield from _by_values(case, tier, long_edits)


def _by_values(case: Case, tier: Sequence[Suspect], making: Making) -> Iterator[Tried]:
    """Yield the edits whose value is known before they run."""
    watching, points = case.watching, case.points
    for one in tier:
        if one.is_narrow:
            continue
        at = watching.expressions[one.number]
        held = (known(watching, at, points) for known in (terms_at, scalars_at, conditions_at))
        scope = Scope(modules_of(at.source.names), *held)
        is_only_use = is_alias(watching, at)
        is_returned = is_bare(at) and isinstance(at.statement, ast.Return)
        # hardly anyone binds a second name to a value
        is_all = isinstance(at.node, ast.Name) and is_bare(at) and not is_returned
        for edit in edits_that_mend(watching, points, one, scope, making):
            if is_only_use and not is_all and (is_returned or edit.text.count(at.text) < 2):
                continue  # it would be written where the name is bound
            yield Tried(one.number, at, edit.cause, edit.text, edit.rank - ALIAS * is_all)


def _by_running(case: Case, tier: Sequence[Suspect]) -> Iterator[Tried]:
    """Yield the rewrites of what the suspects hold that make the result right at the points."""
    watching, points = case.watching, case.points
    places = [watching.expressions[one.number] for one in tier]
    every: list[Tried] = []
    for number, one in list(watching.expressions.items()):
        is_static = all(number in seen.statics for seen in points)
        if one.name or not any(feeds(one, place, is_static=is_static) for place in places):
            continue
        rewrites = _rewrites(case, number, one, is_static=is_static)
        every += [Tried(number, one, edit.cause, edit.text, edit.rank) for edit in rewrites]
    affordable = min(EFFORT.rewrites, EFFORT.rewritten // len(points[0].recording.steps))
    for one in sorted(every, key=lambda one: one.order)[:affordable]:
        if not case.clock.is_over and _runs_right(case, one):
            yield one


def _runs_right(case: Case, tried: Tried) -> bool:
    edit = tried.number, ast.parse(tried.text, mode="eval").body
    try:
        hand = case.watching.rebuilt(case.evaluators.claim.hand, edit)
        return all(_is_right_at(case, hand, seen) for seen in case.points)
    except Exception:
        # Written in another way the code may not run: then that is no mend.
        return False


def _is_right_at(case: Case, hand: Callable[..., Any], seen: Seen) -> bool:
    again = recorded(case.watching, hand, seen)
    if again.hand.shape != seen.right.shape:
        return False
    return bool(np.all(np.abs(again.hand - seen.right) <= seen.scale))


def _rewrites(case: Case, number: int, one: Expression, *, is_static: bool) -> Iterator[Rewrite]:
    """Yield the rewrites of an expression; where it is smaller than other values, those times it as well."""
    watching, points = case.watching, case.points
    scalars = scalars_at(watching, one, points) if is_static else ()
    yield from rewrites_of(one, scalars, is_static=is_static)
    if is_static and isinstance(one.node, ast.Constant):
        for term in terms_at(watching, one, points):
            if term.text.isidentifier():
                yield Rewrite("dropped-term", f"{one.text} - {term.text}", 2.3)
                yield Rewrite("dropped-term", f"{one.text} - {term.text} ** 2", 2.3)
    values = [seen.values_of(number) for seen in points]
    if is_static or not all(len(several) == 1 for several in values):
        return
    for term in terms_at(watching, one, points):
        if term.text.isidentifier() and np.size(term.values[0]) > np.size(values[0][0]) > 0:
            yield Rewrite("dropped-factor", f"{term.text} * ({one.text})", 2.0)
            yield Rewrite("dropped-term", f"{term.text} - ({one.text})", 2.1)
            yield Rewrite("dropped-term", f"{term.text} + ({one.text})", 2.1)


def by_forward(case: Case, tier: Sequence[Suspect]) -> Iterator[Tried]:
    """Yield the edits with what the function itself computes; in a derivation that is the line before."""
    if not case.evaluators.claim.is_directed:
        return
    watching, points, primal = case.watching, case.points, Watching()
    rebuilt = primal.rebuilt(case.evaluators.claim.primal)
    try:
        forward = [recorded(primal, lambda args, _: rebuilt(*args), seen) for seen in points]
    except Exception:
        # Code that inspects itself, or its arguments' types, may not run with marks in it.
        return
    for one in tier:
        at = watching.expressions[one.number]
        if one.is_narrow or is_alias(watching, at):
            continue
        terms = forward_terms(primal, forward, known_at(watching, at, points), at.source.names)
        scope = Scope(modules_of(at.source.names), terms)
        for edit in edits_that_mend(watching, points, one, scope, short_edits):
            yield Tried(one.number, at, edit.cause, edit.text, edit.rank)
