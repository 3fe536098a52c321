"""Slips that no value shows: another axis, a sum for a mean, a count, an operator. They are tried by running.

A count or an axis is a plain number in the code, so that the program must be traced anew for each of them.
"""

import ast
import copy
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backproof.verification.blame.marking import Expression
from backproof.verification.blame.vocabulary import Term

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
REDUCTIONS = {"sum": "mean", "mean": "sum"}
AXES = (-1, 0, 1, -2)
# Calls whose last positional argument may be an axis.
ALONG = frozenset({
    *REDUCTIONS, "max", "min", "prod", "var", "std", "cumsum", "cumprod", "softmax", "log_softmax",
    "logsumexp", "flip", "concatenate", "stack", "norm", "argmax", "argmin", "sort", "argsort",
})  # fmt: skip


class Rewrite(NamedTuple):
    """Holds one other way to write an expression, whose value is not known before it has run.

    Attributes:
        cause: the name of the slip that it turns back.
        text: what stands in the place of the expression.
        rank: how plain it is, the plainest lowest.
    """

    cause: str
    text: str
    rank: float


def rewrites_of(one: Expression, scalars: Sequence[Term], *, is_static: bool) -> Iterator[Rewrite]:
    """Yield the rewrites of an expression.

    Args:
        one: the expression.
        scalars: the numbers in scope.
        is_static: whether its value is a plain number.
    """
    node = one.node
    if is_static:
        yield from _numbers(node, one.text, scalars)
    elif isinstance(node, ast.Call):
        yield from _calls(node, one.source.names)
    elif isinstance(node, ast.BinOp):
        yield from _operators(node)
    elif isinstance(node, ast.Subscript):
        yield from _indices(node)


def _numbers(node: ast.expr, text: str, scalars: Sequence[Term]) -> Iterator[Rewrite]:
    written = ast.unparse(node)
    number = _literal(node)
    if number is not None:
        for other in (-number, number + 1, number - 1, 2 * number, number / 2):
            if other != number:
                yield Rewrite("wrong-number", repr(int(other) if other == int(other) else other), 1.0)
        return
    for template in ("{} + 1", "{} - 1", "2 * ({})", "({}) / 2", "-({})", "1 / ({})", "({}) ** 0.5"):
        yield Rewrite("wrong-count", template.format(written), 1.0)
    if isinstance(node, ast.BinOp):
        for part in (node.left, node.right):
            if not isinstance(part, ast.Constant):
                yield Rewrite("wrong-count", ast.unparse(part), 0.5)
    for one in scalars:
        if one.text != written:
            yield Rewrite("wrong-count", one.text, 0.5 + one.rank)


def _literal(node: ast.expr) -> Any:
    """Return the number that is written, with its sign; None if it is no plain number."""
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    ):
        return -_literal(node.operand)
    return node.value if isinstance(node, ast.Constant) else None


def _calls(node: ast.Call, names: Mapping[str, Any]) -> Iterator[Rewrite]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in REDUCTIONS:
        changed: Any = copy.deepcopy(node)
        changed.func.attr = REDUCTIONS[name]
        yield Rewrite("sum-for-mean" if name == "sum" else "mean-for-sum", ast.unparse(changed), 0.8)
    if name in ALONG or any(one.arg == "axis" for one in node.keywords):
        yield from _axes(node, names)
    if name == "einsum":
        yield from _letters(node)
    plain = [one for one in node.args if not isinstance(one, ast.Starred)]
    if name in ("where", "subtract", "divide", "dot", "matmul", "outer") and len(plain) >= 2:
        turned = copy.deepcopy(node)
        turned.args[-2:] = turned.args[:-3:-1]
        yield Rewrite("swapped-operands", ast.unparse(turned), 1.0)


def _axes(node: ast.Call, names: Mapping[str, Any]) -> Iterator[Rewrite]:
    """Yield a reduction over each other axis."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    of_module = isinstance(owner, ast.Name) and isinstance(names.get(owner.id), types.ModuleType)
    place = 1 if of_module else 0
    for axis in AXES:
        changed = copy.deepcopy(node)
        value = ast.parse(str(axis), mode="eval").body
        named = [one for one in changed.keywords if one.arg == "axis"]
        if named:
            named[0].value = value
        elif len(changed.args) > place:
            changed.args[place] = value
        else:
            continue
        if ast.unparse(changed) != ast.unparse(node):
            yield Rewrite("wrong-axis", ast.unparse(changed), 1.2)


def _letters(node: ast.Call) -> Iterator[Rewrite]:
    """Yield an einsum with the letters of one operand, or of the result, in reverse order."""
    first = node.args[0] if node.args else None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return
    for group in re.finditer(r"[a-zA-Z]+", first.value):
        changed: Any = copy.deepcopy(node)
        start, end = group.span()
        changed.args[0] = ast.Constant(first.value[:start] + group[0][::-1] + first.value[end:])
        if changed.args[0].value != first.value:
            yield Rewrite("transpose", ast.unparse(changed), 1.0)


def _indices(node: ast.Subscript) -> Iterator[Rewrite]:
    """Yield a subscript with one of its whole numbers one larger, or one smaller."""
    held = [one for one in ast.walk(node.slice) if isinstance(one, ast.Constant) and type(one.value) is int]
    for which in range(len(held)):
        for step in (1, -1):
            changed = copy.deepcopy(node)
            numbers = [one for one in ast.walk(changed.slice) if isinstance(one, ast.Constant)]
            whole = [one for one in numbers if type(one.value) is int]
            whole[which].value += step  # pyright: ignore[reportOperatorIssue] - a whole number
            yield Rewrite("wrong-index", ast.unparse(changed), 1.0)


def _operators(node: ast.BinOp) -> Iterator[Rewrite]:
    other = OPERATORS.get(type(node.op))
    if other is not None:
        changed = ast.BinOp(node.left, other(), node.right)
        signs = isinstance(node.op, ast.Add | ast.Sub)
        yield Rewrite("term-sign" if signs else "wrong-operator", ast.unparse(changed), 0.8)
    if isinstance(node.op, ast.MatMult | ast.Sub | ast.Div):
        turned = ast.BinOp(node.right, node.op, node.left)
        yield Rewrite("swapped-operands", ast.unparse(turned), 1.0)
