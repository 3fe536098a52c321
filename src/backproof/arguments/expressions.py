"""Arithmetic on the sizes of axes: `2*n`, `v-1`, `100//n`."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from backproof.errors import UsageError, message

Bound = float | str | None
Dims = dict[str, Any]

NAME = r"[A-Za-z_]\w*"
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip


def evaluate(expression: Bound, dims: Mapping[str, Any]) -> Any:
    """Return the value of a bound or dimension, given the sizes of the names in it.

    Raises:
        UsageError: a name has no size, or the text is not an arithmetic expression.
    """
    if not isinstance(expression, str):
        return expression
    try:
        return _value(ast.parse(expression, mode="eval").body, dims)
    except (SyntaxError, KeyError, TypeError, ZeroDivisionError) as error:
        raise unreadable(
            "an expression of dims uses +, -, *, //, %, ** on numbers and known names",
            f"{expression!r} with {dict(dims)}",
        ) from error


def _value(node: ast.expr, dims: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return dims[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, dims)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, dims), _value(right, dims))
    raise TypeError(ast.dump(node))


def names_in(expression: str) -> list[str]:
    """Return the names in an expression, in order; the name of a `*` axis keeps its star."""
    return [expression] if expression.startswith("*") else re.findall(NAME, expression)


def readable(expression: Bound) -> Bound:
    """Return a number or an expression of dims, without blanks.

    Raises:
        UsageError: the text is not an arithmetic expression.
    """
    if not isinstance(expression, str):
        return expression
    evaluate(expression, dict.fromkeys(names_in(expression), 2))
    return re.sub(r"\s+", "", expression)


def unreadable(must: str, found: str, do: str = "write it in that form") -> UsageError:
    """Return the error for a specification that says nothing that can be read."""
    return UsageError(message(must=must, found=found, where="argument specification", do=do))
