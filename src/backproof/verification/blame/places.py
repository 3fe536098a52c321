"""How expressions stand to one another: one in the other, as its only use, or as a number that it names."""

import ast
import builtins
import inspect
import types
from collections.abc import Iterator, Sequence
from typing import Any

from backproof.numerics.leaves import is_inexact
from backproof.numerics.rebuilding import is_library
from backproof.verification.blame.marking import Expression
from backproof.verification.blame.seen import Seen
from backproof.verification.blame.watched import Watching


def is_alias(watching: Watching, one: Expression) -> bool:
    """Return whether an expression is the only use of a name, so that its value is written elsewhere."""
    if not isinstance(one.node, ast.Name):
        return False
    others = [other for other in watching.expressions.values() if other.function == one.function]
    bound = [other.statement for other in others if other.name == one.node.id]
    targets = [made.targets[0] for made in bound if isinstance(made, ast.Assign)]
    plainly = [target for target in targets if isinstance(target, ast.Name)]
    uses = [other.node for other in others if not other.name and isinstance(other.node, ast.Name)]
    return bool(plainly) and sum(node.id == one.node.id for node in uses) == 1


def is_bare(one: Expression) -> bool:
    """Return whether an expression is all that a statement returns or binds, or one of several such."""
    place = one.node.lineno, one.node.col_offset, one.node.end_col_offset
    held = _elements(getattr(one.statement, "value", None))
    return place in [(part.lineno, part.col_offset, part.end_col_offset) for part in held]


def _elements(node: Any) -> Iterator[ast.expr]:
    if isinstance(node, ast.Tuple | ast.List):
        for part in node.elts:
            yield from _elements(part)
    elif node is not None:
        yield node


def numbers_of(watching: Watching, points: Sequence[Seen], places: Sequence[Expression]) -> set[int]:
    """Return the plain numbers that stand in some expressions, or whose names do, through any other names."""
    statics = {
        number: one
        for number, one in watching.expressions.items()
        if all(number in seen.statics for seen in points)
    }
    found: set[int] = set()
    reached = list(places)
    while reached:
        place = reached.pop()
        new = {n for n, one in statics.items() if n not in found and feeds(one, place, is_static=True)}
        found |= new
        reached += [statics[number] for number in new]
    return found


def feeds(one: Expression, place: Expression, *, is_static: bool) -> bool:
    """Return whether an expression stands in another, or is a number whose name does."""
    if _within(one, place):
        return True
    bound = {node.id for node in _targets(one.statement)} if is_static else set()
    used = {node.id for node in ast.walk(place.node) if isinstance(node, ast.Name)}
    return not bound.isdisjoint(used) and one.function == place.function


def is_known(watching: Watching, points: Sequence[Seen], place: Expression) -> bool:
    """Return whether all that an expression reads is marked, or comes from libraries.

    Conditions, and functions that are found in other ways than by their name, are not.
    """
    if any(isinstance(node, ast.Lambda) for node in ast.walk(place.node)):
        return False
    own = {n: one for n, one in watching.expressions.items() if one.function == place.function}
    marked = [one for number, one in own.items() if _is_marked(points, number)]
    known = {one.name or getattr(one.node, "id", "") for one in marked}
    # of what holds arrays, each that is read has a mark of its own
    known |= {getattr(getattr(one.node, "value", None), "id", "") for one in marked}
    bound = {one.name for one in own.values()}
    used = {node.id for node in ast.walk(place.node) if isinstance(node, ast.Name)}
    return all(
        name in known or (name not in bound and _is_library(watching, points, place, name)) for name in used
    )


def _is_marked(points: Sequence[Seen], number: int) -> bool:
    """Return whether an expression is a plain number or floating, so that it would be a suspect itself."""
    values = [value for seen in points for value in seen.values_of(number)]
    return bool(values and all(map(is_inexact, values))) or all(number in seen.statics for seen in points)


def _is_library(watching: Watching, points: Sequence[Seen], place: Expression, name: str) -> bool:
    """Return whether a global name is of a library, or a function of the user's whose values are marked."""
    if name not in place.source.names:
        return hasattr(builtins, name)
    value = place.source.names[name]
    if isinstance(value, types.ModuleType):
        file = getattr(value, "__file__", None)
        return file is None or is_library(file)
    if isinstance(value, int | float):
        return True
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
    if code is None or is_library(code.co_filename):
        return callable(value) or code is not None
    lines = range(code.co_firstlineno, max((line or 0 for *_, line in code.co_lines()), default=0) + 1)
    return any(
        one.source.file == code.co_filename and one.line in lines and number in seen.marks
        for number, one in watching.expressions.items()
        for seen in points
    )


def _targets(statement: Any) -> list[ast.Name]:
    return [
        node
        for target in getattr(statement, "targets", ())
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    ]


def _within(one: Expression, other: Expression) -> bool:
    inner, outer = one.node, other.node
    if one.source.file != other.source.file:
        return False
    first = (outer.lineno, outer.col_offset) <= (inner.lineno, inner.col_offset)
    return first and (inner.end_lineno, inner.end_col_offset) <= (outer.end_lineno, outer.end_col_offset)
