"""How expressions stand to one another: one in the other, as its only use, or as a number that it names."""

import ast
from collections.abc import Iterator
from typing import Any

from backproof.verification.blame.marking import Expression
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


def feeds(one: Expression, place: Expression, *, is_static: bool) -> bool:
    """Return whether an expression stands in another, or is a number whose name does."""
    if _within(one, place):
        return True
    bound = {node.id for node in _targets(one.statement)} if is_static else set()
    used = {node.id for node in ast.walk(place.node) if isinstance(node, ast.Name)}
    return not bound.isdisjoint(used) and one.function == place.function


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
