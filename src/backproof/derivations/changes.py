"""Changes of an expression at one place: the slips that people make, and the mends of those slips.

Each rule takes one node of the syntax tree and returns the nodes that may replace it.
"""

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Rule = Callable[[ast.AST], list[ast.expr]]
PRODUCTS = {"outer", "matmul", "dot", "tensordot", "kron"}


class Change(NamedTuple):
    """Holds one change: its kind, the changed part before and after, and the whole expression after it."""

    kind: str
    before: str
    after: str
    expression: ast.expr


def changes(expression: ast.expr, rules: Mapping[str, Rule]) -> Iterator[Change]:
    """Yield every expression that differs from `expression` by one rule at one node, kind by kind."""
    for kind, rule in rules.items():
        for place, node in enumerate(ast.walk(expression)):
            for changed in rule(node):
                whole = _replaced(expression, place, changed)
                yield Change(kind, ast.unparse(node), ast.unparse(changed), whole)


def _replaced(expression: ast.expr, place: int, changed: ast.expr) -> ast.expr:
    """Return a copy of `expression` with its node number `place` replaced."""
    copied = copy.deepcopy(expression)
    target = list(ast.walk(copied))[place]

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return copy.deepcopy(changed) if node is target else self.generic_visit(node)

    return Replace().visit(copied)


def drop_transpose(node: ast.AST) -> list[ast.expr]:
    """Turn X.T into X."""
    return [node.value] if isinstance(node, ast.Attribute) and node.attr in ("T", "mT") else []


def turn_column(node: ast.AST) -> list[ast.expr]:
    """Turn v[:, None] into v[None, :], and back."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)):
        return []
    parts = node.slice.elts
    has_none = any(isinstance(part, ast.Constant) and part.value is None for part in parts)
    turned = ast.Subscript(node.value, ast.Tuple(parts[::-1], ast.Load()), ast.Load())
    return [turned] if has_none and isinstance(node.ctx, ast.Load) else []


def add_transpose(node: ast.AST) -> list[ast.expr]:
    """Turn X into X.T, for a name, an entry and a product."""
    is_column = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)  # v[:, None]
    if isinstance(node, ast.Name | ast.Subscript) and isinstance(node.ctx, ast.Load) and not is_column:
        return [ast.Attribute(node, "T", ast.Load())]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.MatMult):
        return [ast.Attribute(node, "T", ast.Load())]
    return []


def flip_sign(node: ast.AST) -> list[ast.expr]:
    """Turn a + b into a − b, a − b into a + b, −a into a."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return [ast.BinOp(node.left, op, node.right)]
    return [node.operand] if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else []


def drop_half(node: ast.AST) -> list[ast.expr]:
    """Turn a / 2, ½ a and 2 a into a."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult | ast.Div):
        return []
    kept = [node.left] if _is_number(node.right) else []
    return kept + ([node.right] if isinstance(node.op, ast.Mult) and _is_number(node.left) else [])


def drop_factor(node: ast.AST) -> list[ast.expr]:
    """Turn a ⊙ b into a, and into b: a slope forgotten."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mult):
        return []
    return [] if _is_number(node.left) or _is_number(node.right) else [node.left, node.right]


def swap_product(node: ast.AST) -> list[ast.expr]:
    """Turn A B into B A, outer(a, b) into outer(b, a)."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return [ast.BinOp(node.right, node.op, node.left)]
    if isinstance(node, ast.Call) and len(node.args) == 2 and _called(node) in PRODUCTS:
        return [ast.Call(node.func, node.args[::-1], node.keywords)]
    return []


def other_index(node: ast.AST) -> list[ast.expr]:
    """Turn x[k] into x[k − 1] and x[k + 1], axis=0 into axis=1, and reverse the letters of an einsum."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        index = _whole(node.slice)
        steps = (-1, 1) if index else (1,)
        if index is not None:
            return [ast.Subscript(node.value, ast.Constant(index + step), ast.Load()) for step in steps]
    if isinstance(node, ast.Call):
        return _other_axis(node) + (_other_letters(node) if _called(node) == "einsum" else [])
    return []


def unwrap(node: ast.AST) -> list[ast.expr]:
    """Turn f(g(x)) into f(x): the output was written in place of the input."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.Call):
        inner = node.args[0]
        return [ast.Call(node.func, [one], node.keywords) for one in inner.args[-1:]]
    return []


def negated(expression: ast.expr) -> ast.expr:
    """Return the whole expression negated, whatever its tree."""
    text = f"__import__('jax').tree.map(lambda leaf: -leaf, {ast.unparse(expression)})"
    return ast.parse(text, mode="eval").body


def renamed(names: dict[str, list[str]]) -> Rule:
    """Return the rule that replaces one name by another; `names` lists the replacements for each."""

    def rule(node: ast.AST) -> list[ast.expr]:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            return [ast.Name(other, ast.Load()) for other in names.get(node.id, []) if other != node.id]
        return []

    return rule


def _other_axis(node: ast.Call) -> list[ast.expr]:
    """Return the call with another axis."""
    for i, keyword in enumerate(node.keywords):
        axis = _whole(keyword.value) if keyword.arg == "axis" else None
        if axis is not None:
            other = ast.keyword("axis", ast.Constant(1 - axis if axis in (0, 1) else 0))
            return [ast.Call(node.func, node.args, [*node.keywords[:i], other, *node.keywords[i + 1 :]])]
    return []


def _other_letters(node: ast.Call) -> list[ast.expr]:
    """Return the einsum with the letters of one operand reversed."""
    first = node.args[0] if node.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return []
    operands, arrow, out = first.value.partition("->")
    parts = operands.split(",")
    turned = [[*parts[:i], part[::-1], *parts[i + 1 :]] for i, part in enumerate(parts) if len(part) == 2]
    return [
        ast.Call(node.func, [ast.Constant(",".join(one) + arrow + out), *node.args[1:]], node.keywords)
        for one in turned
    ]


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _whole(node: ast.expr) -> int | None:
    """Return the whole number that a node is, negative ones included; None if it is not one."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _whole(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None


SLIPS: dict[str, Rule] = {
    "transpose": lambda node: [*drop_transpose(node), *turn_column(node)],
    "sign": flip_sign,
    "half": drop_half,
    "slope": drop_factor,
    "order": swap_product,
    "index": other_index,
}
