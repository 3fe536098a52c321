"""What the function itself computes, written with the names of the hand-written code."""

import ast
import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.verification.blame.seen import Seen
from backproof.verification.blame.vocabulary import Term
from backproof.verification.blame.watched import Watching


def forward_terms(
    watching: Watching, points: Sequence[Seen], terms: Sequence[Term], names: dict[str, Any]
) -> list[Term]:
    """Return the values that the function computes, as they would be written in the code by hand.

    A name of the function is replaced by a term of the same value, or else by what the function binds to it.

    Args:
        watching: the expressions of the function.
        points: the function at the points.
        terms: what is in scope in the code by hand.
        names: the globals that this code can name.
    """
    known = {_key(one.values): one.text for one in terms if one.rank < 1}
    translate = _Translation(watching, points, known, names)
    found = []
    for number, one in watching.expressions.items():
        values = _values(points, number)
        if values is None or one.name or _key(values) in known:
            continue
        node = translate.expression(one.node)
        if (
            node is not None
            and sum(isinstance(part, ast.expr) for part in ast.walk(node)) <= EFFORT.forward_parts
        ):
            found.append(Term(ast.unparse(node), values, 2.0))
    return found


def _values(points: Sequence[Seen], number: int) -> tuple[Any, ...] | None:
    several = [seen.values_of(number) for seen in points]
    return tuple(one[0] for one in several) if all(len(one) == 1 for one in several) else None


def _key(values: Sequence[Any]) -> Any:
    return tuple((np.shape(v), np.asarray(v, complex).round(12).tobytes()) for v in values)


class _Translation:
    """Writes expressions of the function with other names; it is a class to follow bindings."""

    def __init__(
        self, watching: Watching, points: Sequence[Seen], known: dict[Any, str], names: dict[str, Any]
    ) -> None:
        self._watching, self._names = watching, names
        self._texts: dict[str, str] = {}
        self._bound: dict[str, ast.expr] = {}
        for number, one in watching.expressions.items():
            values = _values(points, number)
            if one.name and values is not None and _key(values) in known:
                self._texts[one.name] = known[_key(values)]
            statement = one.statement
            if one.name and isinstance(statement, ast.Assign) and _is_plain(statement.targets):
                self._bound[one.name] = statement.value

    def expression(self, node: ast.expr, depth: int = 3) -> ast.expr | None:
        """Return an expression with the names of the code by hand; None if one is not known there."""
        try:
            return _Renaming(self, depth).visit(copy.deepcopy(node))
        except LookupError:
            return None

    def name(self, name: str, depth: int) -> ast.expr:
        """Return what stands for a name.

        Raises:
            LookupError: nothing does.
        """
        if name in self._texts:
            return ast.parse(self._texts[name], mode="eval").body
        if name in self._bound and depth:
            found = self.expression(_pristine(self._watching, self._bound[name]), depth - 1)
            if found is not None:
                return found
        if name in self._bound or name not in (*self._names, *dir(__builtins__)):
            raise LookupError(name)
        return ast.Name(name, ast.Load())


def _is_plain(targets: Sequence[ast.expr]) -> bool:
    return len(targets) == 1 and isinstance(targets[0], ast.Name)


def _pristine(watching: Watching, value: ast.expr) -> ast.expr:
    """Return what a statement binds, as it stands in the source.

    Raises:
        LookupError: it is no expression with a value.
    """
    place = value.lineno, value.col_offset, value.end_col_offset
    for one in watching.expressions.values():
        node = one.node
        if not one.name and (node.lineno, node.col_offset, node.end_col_offset) == place:
            return node
    raise LookupError(ast.unparse(value))


class _Renaming(ast.NodeTransformer):
    def __init__(self, translation: _Translation, depth: int) -> None:
        self._translation, self._depth = translation, depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return what stands for a name."""
        return self._translation.name(node.id, self._depth)
