"""Plants slips in every line of a derivation, and checks that the verifier names the line with the slip.

A slip in an assignment belongs to the first line that it changes. If it changes the definition too, it makes
another derivation, of which nothing is known.

A slip is a change of the syntax tree of one line or assignment: a transpose dropped, a sign turned, a ½ or a
slope forgotten, the factors of a product exchanged, another index. Whether it changes any value is decided
without the verdict: the line with the slip is compared with the line as written, to half the digits.
"""

import ast
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.changes import SLIPS, Change, changes, negated
from backproof.derivations.form import Derivation
from backproof.derivations.judgement import admitted, misfit
from backproof.derivations.lines import Kind, LineError
from backproof.derivations.places import drawn_points, places
from backproof.derivations.replay import Replay, Replayer, replay_as_it_stands
from backproof.derivations.source import Source, exchanged, planted, source_of
from backproof.derivations.table import Table
from backproof.derivations.verify import takes_arguments
from backproof.numerics.effort import EFFORT
from backproof.numerics.tolerance import HALF_THE_DIGITS, SHRINKS_TO


class Outcome(StrEnum):
    """Names the outcomes of a planted slip."""

    FOUND = "found"
    MISSED = "missed"
    UNCHANGED = "changes nothing"
    STILL_TRUE = "still true"
    FALSE_ALARM = "named without a change"


class Slip(NamedTuple):
    """Holds one planted slip and its outcome.

    Attributes:
        derivation: the name of the derivation.
        file: the file that defines it.
        row: the row of the file.
        line: the index of the line with the slip.
        kind: the kind of slip.
        before, after: the changed part of the expression.
        outcome: whether the line was named.
    """

    derivation: str
    file: str
    row: int
    line: int
    kind: str
    before: str
    after: str
    outcome: Outcome


def changes_of_each_kind(expression: ast.expr) -> Iterator[Change]:
    """Yield the slips inside an expression: a few of each kind."""
    seen: dict[str, int] = {}
    for change in changes(expression, SLIPS):
        seen[change.kind] = seen.get(change.kind, 0) + 1
        if seen[change.kind] <= EFFORT.slips_of_a_kind:
            yield change


def slips_of(expression: ast.expr) -> Iterator[Change]:
    """Yield the slips that apply to one line: a few of each kind, and the whole negated."""
    yield from changes_of_each_kind(expression)
    sides = expression.args if isinstance(expression, ast.Call) else []
    name = getattr(getattr(expression, "func", None), "attr", "")
    if name in ("at_most", "at_least", "less", "equal", "differ", "holds"):
        whole = ast.Call(expression.func, [negated(sides[0]), *sides[1:]], expression.keywords)  # pyright: ignore[reportAttributeAccessIssue]
        yield Change("sign", ast.unparse(sides[0]), f"-({ast.unparse(sides[0])})", whole)
    else:
        yield Change("sign", ast.unparse(expression), f"-({ast.unparse(expression)})", negated(expression))


def campaign(
    derivation: Derivation, examples: int = EFFORT.points_at_each_shape, seed: int = 0
) -> Iterator[Slip]:
    """Yield the outcome of every slip planted after the first line, in lines and in assignments.

    The derivation must hold.
    """
    source = source_of(derivation.function)
    if source is None:
        return
    table = _table(derivation, source, examples, seed)
    place = (derivation.name, derivation.file)
    for assigned in _assignments(source):
        for change in changes_of_each_kind(assigned):
            number, outcome = _outcome_below(exchanged(source, assigned, change.expression), table)
            yield Slip(*place, assigned.lineno, number, change.kind, change.before, change.after, outcome)
    for number, here in enumerate(table.lines):
        step = table.steps[here]
        first = table.at_row(source, step.row)[0]
        if first < number or number == table.start:  # in a loop a slip is planted in all lines at once
            continue
        expression = source.expression_at(step.row)
        for change in slips_of(expression) if expression is not None else ():
            outcome = _outcome(source, table, number, step.row, change)
            yield Slip(*place, step.row, number, change.kind, change.before, change.after, outcome)


def _table(derivation: Derivation, source: Source, examples: int, seed: int) -> Table:
    function = derivation.function
    if not takes_arguments(function):
        return Table([replay_as_it_stands(function, source)])
    points = drawn_points(derivation.name, places(function, derivation.args), examples, seed)
    replayer = Replayer(function, source)
    return Table([replayer.at(group) for group in points])


def _assignments(source: Source) -> list[ast.expr]:
    """Return the values of the assignments of a derivation."""
    found = [node for node in ast.walk(source.tree) if isinstance(node, ast.Assign | ast.AnnAssign)]
    return [node.value for node in found if node.value is not None]


def _outcome_below(changed: Source, table: Table) -> tuple[int, Outcome]:
    """Return the first line that a slip in an assignment changes, and the outcome."""
    replayer = Replayer(changed.function, changed)
    first, could_tell = len(table.lines), False
    for run in table.runs[::-1]:
        try:
            again = _again(changed, replayer, run)
        except LineError:
            return first, Outcome.FOUND  # the sides of a claim no longer fit
        moved = [number for number in range(len(table.lines)) if _moves(run, again, number)]
        named = _first_wrong(again)
        if named is not None and named not in moved:
            return named, Outcome.FALSE_ALARM
        first = min([first, *moved])
        telling = [number for number in moved if _must_fail(table, number)]
        if named is not None and (first == table.start or all(named <= number for number in telling)):
            return first, Outcome.FOUND
        could_tell |= bool(telling) and first != table.start
    if first == len(table.lines):
        return first, Outcome.UNCHANGED
    return first, Outcome.MISSED if could_tell else Outcome.STILL_TRUE


def _must_fail(table: Table, number: int) -> bool:
    """Return whether a line is false once it is changed, unlike a bound, which may hold of another value."""
    return table.steps[table.lines[number]].kind in (Kind.VALUE, Kind.EQUAL)


def _again(changed: Source, replayer: Replayer, run: Replay) -> Replay:
    """Return the changed derivation at the points of a replay."""
    if run.program is None:
        return replay_as_it_stands(changed.function, changed)
    return replayer.at(run.points)


def _outcome(source: Source, table: Table, number: int, row: int, change: Change) -> Outcome:
    """Return the outcome of one slip; shapes are tried, the largest first, until one shows the slip."""
    changed = planted(source, row, change.expression)
    replayer = Replayer(changed.function, changed, number)
    moved = False
    for run in table.runs[::-1]:
        try:
            again = _again(changed, replayer, run)
        except LineError:
            return Outcome.FOUND  # the sides of a claim no longer fit
        moved |= _moves(run, again, number)
        if _first_wrong(again) == number:
            return Outcome.FOUND if moved else Outcome.FALSE_ALARM
    if not moved:
        return Outcome.UNCHANGED
    return Outcome.MISSED if _must_fail(table, number) else Outcome.STILL_TRUE


def _first_wrong(run: Replay) -> int | None:
    """Return the first line that does not follow at one shape."""
    table = Table([run])
    for number in range(len(table.lines)):
        row = table.row(number, table.before(number))
        if row.fails or row.broken:
            return number
    return table.ended.number if table.ended else None


def _moves(run: Replay, again: Replay, number: int) -> bool:
    """Return whether a slip changes the line: its form, or an entry by more than rounding can."""
    here = run.lines[number]
    if number >= len(again.lines) or again.steps[here].kind is Kind.OPEN:
        return True
    if misfit(again.values[here].value, run.values[here].value):
        return True
    values = [jax.tree.leaves(one[here].value) for one in (run.values, again.values)]
    wide = [jax.tree.leaves(one[here].value) for one in (run.wide(), again.wide())]
    return any(_apart(admitted(run), *leaves) for leaves in zip(*values, *wide, strict=True))


def _apart(kept: np.ndarray, before: Any, after: Any, before_wide: Any, after_wide: Any) -> bool:
    """Return whether an entry differs by half its digits, and not less in long double, as by rounding."""
    a, b, c, d = (
        np.asarray(leaf, np.longdouble).reshape(len(leaf), -1)[kept]
        for leaf in (before, after, before_wide, after_wide)
    )
    with np.errstate(all="ignore"):
        gap = np.abs(a - b)
        stays = np.abs(c - d) > SHRINKS_TO * gap
        differs = (gap > HALF_THE_DIGITS * np.maximum(np.abs(a), np.abs(b))) & stays
    return bool(np.any((differs | ~np.isfinite(b)) & np.isfinite(a)))
