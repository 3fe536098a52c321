"""What stands at hand where an expression is: the values in scope, as a person would write them."""

import ast
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.leaves import is_inexact
from backproof.verification.blame.marking import NOTE, Expression
from backproof.verification.blame.seen import Seen
from backproof.verification.blame.watched import Watching
from backproof.verification.claims.numpy_in_jax import Module

# A person who derives by hand does not mend a slip by calling one of these.
AUTODIFF = frozenset({
    "grad", "value_and_grad", "jacfwd", "jacrev", "jacobian", "hessian", "vjp", "jvp", "linearize",
})  # fmt: skip
# How plain a number with a name is.
NAMED = 0.5


class Term(NamedTuple):
    """Holds something that could be written, and its value at each point.

    Attributes:
        text: how it is written.
        values: its values, arrays or numbers.
        rank: how plain it is, the plainest lowest.
    """

    text: str
    values: tuple[Any, ...]
    rank: float

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its first value."""
        return np.shape(self.values[0])

    def holds(self, other: "Term") -> bool:
        """Return whether another term, which is no name, is written in it."""
        return not other.text.isidentifier() and other.text in self.text

    @property
    def dimensions(self) -> set[int]:
        """How many axes its values have."""
        return set(map(np.ndim, self.values))


def modules_of(names: Mapping[str, Any]) -> dict[str, str]:
    """Return what a code calls the modules that a mend may need, by `jnp` and `nn`, as far as it has them.

    In NumPy code, NumPy stands for `jnp`; the mends use nothing that only one of the two has.
    """
    modules = ((name, value.real if isinstance(value, Module) else value) for name, value in names.items())
    called = {id(value): name for name, value in modules if isinstance(value, types.ModuleType)}
    whole = called.get(id(jax))
    found = {
        "jnp": called.get(id(jnp)) or (whole and f"{whole}.numpy") or called.get(id(np)),
        "nn": called.get(id(jax.nn)) or (whole and f"{whole}.nn"),
    }
    return {module: name for module, name in found.items() if name}


def terms_at(watching: Watching, at: Expression, points: Sequence[Seen]) -> list[Term]:
    """Return the arrays that could be written in place of an expression or beside it, no value twice."""
    return distinct([one for one in _in_scope(watching, at, points) if all(map(_is_usable, one.values))])


def conditions_at(watching: Watching, at: Expression, points: Sequence[Seen]) -> list[Term]:
    """Return the conditions in scope, and whether a value in scope is positive."""
    scope = _in_scope(watching, at, points)
    found = [one for one in scope if all(np.asarray(v).dtype == bool for v in one.values)]
    signs = [
        Term(f"{one.text} > 0", tuple(v > 0 for v in one.values), one.rank + 0.5)
        for one in scope
        if all(_is_real(v) for v in one.values) and one.rank < 1
    ]
    telling = [one for one in signs if not all(np.all(v) or not np.any(v) for v in one.values)]
    return distinct([*found, *telling])


def known_at(watching: Watching, at: Expression, points: Sequence[Seen]) -> list[Term]:
    """Return every value in scope, numbers and whole numbers among them."""
    numbers = [
        Term(_text(one), tuple(seen.statics[number] for seen in points), _rank(one))
        for number, one in watching.expressions.items()
        if _stands_before(one, at) and all(number in seen.statics for seen in points)
    ]
    return [*_in_scope(watching, at, points), *numbers]


def _is_real(value: Any) -> bool:
    """Return whether a value is an array of real numbers."""
    return _is_usable(value) and not np.iscomplexobj(value)


def _in_scope(watching: Watching, at: Expression, points: Sequence[Seen]) -> list[Term]:
    found: list[Term] = []
    own = [one for one in watching.expressions.values() if one.function == at.function]
    bound = {one.name: one for one in own if one.name}
    for number, one in watching.expressions.items():
        if not (_stands_before(one, at) or _is_of_a_later_line(one, at, bound)):
            continue
        values = tuple(v[0] for v in (seen.values_of(number) for seen in points) if len(v) == 1)
        if len(values) == len(points):
            found.append(Term(_text(one), values, _rank(one)))
    return found


def distinct(terms: Sequence[Term]) -> list[Term]:
    """Return the plainest of those terms that have the same values."""
    kept: dict[Any, Term] = {}
    for one in sorted(terms, key=lambda term: (term.rank, len(term.text))):
        key = tuple((np.shape(v), np.asarray(v, complex).round(12).tobytes()) for v in one.values)
        kept.setdefault(key, one)
    return list(kept.values())


def scalars_at(watching: Watching, at: Expression, points: Sequence[Seen]) -> list[Term]:
    """Return the numbers that a person might have forgotten, or written too often."""
    found = [Term(text, (value,) * len(points), 1.0) for text, value in (("2", 2), ("0.5", 0.5))]
    for number, one in watching.expressions.items():
        if not _stands_before(one, at):
            continue
        held = tuple(seen.statics[number] for seen in points if number in seen.statics)
        if len(held) == len(points) and not isinstance(one.node, ast.Constant):
            found.append(Term(_text(one), held, NAMED))
    for term in terms_at(watching, at, points):
        if term.text.isidentifier():
            for axis in range(min(term.dimensions)):
                sizes = tuple(np.shape(v)[axis] for v in term.values)
                found.append(Term(f"{term.text}.shape[{axis}]", sizes, 1.2 + 0.01 * axis))
    whole = [one for one in distinct(found) if all(v not in (0, 1) for v in one.values)]
    sizes = [one for one in whole if "shape" in one.text]
    roots = [
        Term(f"{one.text} ** 0.5", tuple(v**0.5 for v in one.values), one.rank + 0.5)
        for one in whole
        if (one in sizes or one.rank == NAMED) and all(v > 0 for v in one.values)
    ]
    less = [
        Term(f"({one.text} - 1)", tuple(v - 1 for v in one.values), one.rank + 0.5)
        for one in sizes
        if all(v > 1 for v in one.values)
    ]
    return distinct([*whole, *roots, *less])


def _stands_before(one: Expression, at: Expression) -> bool:
    """Return whether a value is known where another expression stands, as the lines are written."""
    if one.source.file != at.source.file or _text(one).startswith("_") or _is_answer(one, at):
        return False
    if one.function != at.function and not _encloses(one, at):
        return False
    if one.name:
        return one.line < at.statement.lineno or isinstance(one.statement, ast.Lambda)
    if _span(one) == _span(at):
        return False
    return one.line < at.statement.lineno or one.statement is at.statement or _same_place(one, at)


def _is_of_a_later_line(one: Expression, at: Expression, bound: Mapping[str, Expression]) -> bool:
    """Return whether an expression of a derivation's later line could be written in a line as well."""
    is_later = one.function == at.function and one.line > at.line and not one.name
    if not is_later or yielded_by(one.statement) is None or yielded_by(at.statement) is None:
        return False
    names = [bound[_name_of(node)] for node in ast.walk(one.node) if _name_of(node) in bound]
    return not _is_answer(one, at) and all(_stands_before(name, at) for name in names)


def _is_answer(one: Expression, at: Expression) -> bool:
    """Return whether an expression is what should be derived: by autodiff, or as another line says it."""
    if any(_name_of(node) in AUTODIFF for node in ast.walk(one.node)):
        return True
    yielded = yielded_by(one.statement)
    return one.statement is not at.statement and yielded is not None and _span(one) == _span_of(yielded)


def _name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def yielded_by(statement: ast.AST) -> ast.expr | None:
    """Return what a statement yields, of a line of a derivation its value; None if it yields nothing."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return part_of_line(value.value) if isinstance(value, ast.Yield) and value.value else None


def part_of_line(yielded: ast.expr) -> ast.expr:
    """Return the value in `line(latex, value, because)` and in `(value, latex, because)`, else all of it."""
    if isinstance(yielded, ast.Call) and _name_of(yielded.func) == NOTE:
        yielded = yielded.args[1]  # the mark on the whole line
    if isinstance(yielded, ast.Tuple) and yielded.elts:
        return yielded.elts[0]
    if not isinstance(yielded, ast.Call) or _name_of(yielded.func) != "line":
        return yielded
    named = [keyword.value for keyword in yielded.keywords if keyword.arg == "value"]
    return [*named, *yielded.args[1:2], yielded][0]


def _span(one: Expression) -> tuple[Any, ...]:
    return _span_of(one.node)


def _span_of(node: ast.expr) -> tuple[Any, ...]:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _same_place(one: Expression, at: Expression) -> bool:
    return one.statement.lineno == at.statement.lineno


def _encloses(one: Expression, at: Expression) -> bool:
    definition = one.source.definition
    inside = definition.lineno <= at.line <= (definition.end_lineno or 0)
    return inside and one.function[1] == definition.lineno


def _is_usable(value: Any) -> bool:
    return is_inexact(value) and bool(np.all(np.isfinite(value)))


def _text(one: Expression) -> str:
    return one.name or ast.unparse(one.node)


def _rank(one: Expression) -> float:
    """Return how plain an expression is: a name, an entry of something, or more."""
    if one.name or isinstance(one.node, ast.Name):
        return 0.0
    return 0.5 + 0.1 * sum(isinstance(node, ast.expr) for node in ast.walk(one.node))
