"""Mends of a wrong line: a mend is one small change of the line's expression that makes it follow.

A mend names a cause more reliably than any symptom, because with it the line follows at every drawn point.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from backproof.derivations.changes import (
    Change,
    Rule,
    add_transpose,
    changes,
    drop_transpose,
    flip_sign,
    other_index,
    renamed,
    swap_product,
    turn_column,
    unwrap,
)
from backproof.derivations.example import Look
from backproof.derivations.lines import LineError
from backproof.derivations.places import Args
from backproof.derivations.replay import Replayer
from backproof.derivations.source import Source, planted
from backproof.derivations.table import Table
from backproof.numerics.effort import EFFORT


class Mend(NamedTuple):
    """Holds a change that makes the line follow: the cause, and the changed part before and after."""

    cause: str
    before: str
    after: str


def find_mend(source: Source | None, table: Table, look: Look) -> Mend | None:
    """Return the first small change with which the line follows everywhere; None if none does."""
    if source is None or look.other is None:
        return None
    row = table.steps[table.lines[look.number]].row
    if len(table.at_row(source, row)) > 1:
        return None
    expression = source.expression_at(row) if row else None
    if expression is None:
        return None
    for number, change in enumerate(_candidates(source, expression)):
        if number >= EFFORT.mends:
            return None
        if _works(source, table, look, row, change.expression):
            return Mend(change.kind, change.before, change.after)
    return None


def _candidates(source: Source, expression: ast.expr) -> Iterator[Change]:
    """Yield the changes to try, the likeliest first."""
    inputs, names = _inputs_of_names(source), _names(source)
    rules: dict[str, list[Rule]] = {
        "transpose": [drop_transpose, turn_column, add_transpose],
        "order": [swap_product],
        "sign": [flip_sign],
        "slope-at-output": [unwrap, renamed(inputs)],
        "missing-factor": [_times(expression, _factors(source))],
        "index": [other_index],
        "wrong-name": [renamed(dict.fromkeys(names, names))],
    }
    for kind, several in rules.items():
        for rule in several:
            yield from changes(expression, {kind: rule})


def _factors(source: Source) -> list[ast.expr]:
    """Return the factors of the products in all lines, each once."""
    found: dict[str, ast.expr] = {}
    for node in (part for line in source.yields() for part in ast.walk(line)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            found |= {ast.unparse(side): side for side in (node.left, node.right)}
    return list(found.values())


def _times(whole: ast.expr, factors: list[ast.expr]) -> Rule:
    """Return the rule that multiplies the whole expression by one of the factors."""

    def rule(node: ast.AST) -> list[ast.expr]:
        return [ast.BinOp(whole, ast.Mult(), factor) for factor in factors] if node is whole else []

    return rule


def _names(source: Source) -> list[str]:
    """Return the names of the arguments of the derivation, and those assigned at its top level."""
    assigned = [t for node in source.tree.body if isinstance(node, ast.Assign) for t in node.targets]
    own = [target.id for target in assigned if isinstance(target, ast.Name)]
    return [*(arg.arg for arg in source.tree.args.args), *own]


def _inputs_of_names(source: Source) -> dict[str, list[str]]:
    """Return, for each local name that is assigned the result of a call, the names used in that call."""
    known = _names(source)
    found: dict[str, list[str]] = {}
    for node in source.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            inside = [n.id for n in ast.walk(node.value) if isinstance(n, ast.Name) and n.id in known]
            found |= {t.id: inside for t in node.targets if isinstance(t, ast.Name)}
    return found


def _works(source: Source, table: Table, look: Look, row: int, expression: ast.expr) -> bool:
    """Return whether the line follows with `expression` as its value: at one point, then at all points."""
    replayer = Replayer(planted(source, row, expression).function, None, look.number)
    largest = table.runs[-1]
    return all(
        _follows(replayer, look, points)
        for points in (largest.points[:1], *(run.points for run in table.runs[::-1]))
    )


def _follows(replayer: Replayer, look: Look, points: Sequence[Args]) -> bool:
    try:
        run = replayer.at(points)
    except LineError:
        return False
    if len(run.lines) <= look.number:
        return False
    seen = Table([run]).row(look.number, look.other)
    outside = not seen.judged and not seen.skipped  # no point that the assumptions admit
    return not (seen.fails or seen.broken) and (bool(seen.judged) or outside)
