"""Marks in the source of a function: each expression is passed through a function with its number."""

import ast
import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from backproof.verification.blame.source import Source

NOTE = "__backproof_note__"
# An expression of these kinds is marked; others only hold such.
MARKED = (
    ast.Name, ast.BinOp, ast.UnaryOp, ast.Call, ast.Attribute, ast.Subscript, ast.Compare, ast.IfExp,
    ast.Constant,
)  # fmt: skip
# What these hold are no values of the computation.
OPAQUE = (ast.Assert, ast.Raise, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.JoinedStr)


class Expression(NamedTuple):
    """Holds one expression of the user's source.

    Attributes:
        node: its syntax tree.
        source: where it stands.
        statement: the statement that holds it.
        function: the first line and the name of the innermost function that holds it.
        name: the name that is bound here, for a mark of a binding; empty for an expression.
    """

    node: ast.expr
    source: Source
    statement: ast.stmt | ast.Lambda
    function: tuple[str, int, int]
    name: str = ""

    @property
    def text(self) -> str:
        """The text as it stands in the source, or the name that is bound."""
        return self.name or self.source.text(self.node)

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it stands: the file, the first and the last character, and the name that is bound."""
        return self.source.file, *self.span, self.name

    @property
    def span(self) -> tuple[int, int, int | None, int | None]:
        """Its first and its last character."""
        return _span(self.node)

    @property
    def line(self) -> int:
        """The line on which it begins."""
        return self.node.lineno


class Editing(ast.NodeTransformer):
    """Exchanges one expression in the definition of a function, and counts the steps of its loops."""

    def __init__(self, place: tuple[int, int, int | None, int | None], text: ast.expr) -> None:
        """Prepare to write `text` at a place: the first and the last character of an expression."""
        self._place, self._text = place, text

    def definition(self, source: Source) -> Any:
        """Return the definition with the exchange."""
        made = self.visit(copy.deepcopy(source.definition))
        if isinstance(made, ast.FunctionDef):
            made.decorator_list = []  # the function itself is rebuilt as what they decorate
        return ast.fix_missing_locations(made)

    def visit(self, node: ast.AST) -> Any:
        """Return a node with the exchange in it."""
        is_read = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if isinstance(node, ast.expr) and is_read and _span(node) == self._place:
            return ast.copy_location(copy.deepcopy(self._text), node)
        node = self.generic_visit(node)
        if isinstance(node, ast.While | ast.For):
            node.body.insert(0, _counted(node))
        if isinstance(node, ast.FunctionDef):
            _bare(node)
        return node


class Marking(ast.NodeTransformer):
    """Puts marks into the definition of one function."""

    def __init__(self, number: Callable[[Expression, str], int], source: Source) -> None:
        """Prepare to mark the function of a source.

        Args:
            number: gives the number of an expression or of a binding.
            source: the source.
        """
        self._number, self._source = number, source
        self._statement: Any = None
        self._functions: list[tuple[str, int, int]] = []

    def definition(self) -> Any:
        """Return the definition with marks."""
        return self.visit(copy.deepcopy(self._source.definition))

    def generic_visit(self, node: ast.AST) -> Any:
        """Visit what a node holds; what holds no value of the computation stays as it is."""
        if isinstance(node, OPAQUE):
            return node
        if isinstance(node, ast.stmt):
            before, self._statement = self._statement, node
            super().generic_visit(node)
            self._statement = before
            return node
        return super().generic_visit(node)

    def visit(self, node: ast.AST) -> Any:
        """Return a node with marks; an expression itself is marked after what it holds."""
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            return self._scope(node)
        original = node
        is_value = isinstance(node, MARKED) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        pristine = copy.deepcopy(node) if is_value else node
        if isinstance(node, ast.Call):
            node.func = self._called(node.func)
            node.args = [self.visit(one) for one in node.args]
            node.keywords = [self._keyword(one) for one in node.keywords]
        elif isinstance(node, ast.Subscript):
            node.value = self.visit(node.value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is None:
                return node
            node.value = self._of_statement(node, node.value)
        elif isinstance(node, ast.Compare | ast.BoolOp) and isinstance(self._statement, ast.If | ast.While):
            return node
        else:
            node = super().visit(node)
        if isinstance(node, ast.While | ast.For):
            node.body.insert(0, _counted(node))
        if isinstance(original, ast.Assign | ast.AugAssign | ast.AnnAssign):
            return [node, *self._bindings(original)]
        return self._marked(pristine, node) if is_value else node

    def _keyword(self, keyword: ast.keyword) -> ast.keyword:
        keyword.value = self.visit(keyword.value)
        return keyword

    def _of_statement(self, statement: ast.stmt, value: ast.expr) -> Any:
        before, self._statement = self._statement, statement
        found = self.visit(value)
        self._statement = before
        return found

    def _called(self, func: ast.expr) -> ast.expr:
        """Return what is called: a method's object may be a value, the name of a function is none."""
        if isinstance(func, ast.Attribute) and not isinstance(func.value, ast.Name):
            func.value = self.visit(func.value) if not isinstance(func.value, ast.Attribute) else func.value
        elif isinstance(func, ast.Attribute):
            func.value = self.visit(func.value)
        elif not isinstance(func, ast.Name):
            return self.visit(func)
        return func

    def _scope(self, node: Any) -> Any:
        self._functions.append((self._source.file, node.lineno, node.col_offset))
        before = self._statement
        if isinstance(node, ast.Lambda):
            self._statement = before or node
            node.body = self.visit(node.body)
        else:
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            given = [bound for one in every for bound in self._binding(one.arg, one)]
            documented = 1 if ast.get_docstring(node) is not None else 0
            body = [made for one in node.body[documented:] for made in _listed(self.visit(one))]
            node.body = [*node.body[:documented], *given, *body]
            _bare(node)
            if len(self._functions) == 1:
                node.decorator_list = []  # the function itself is rebuilt as what they decorate
        self._statement = before
        self._functions.pop()
        return node

    def _bindings(self, statement: Any) -> list[ast.stmt]:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [
            node
            for target in targets
            for node in ast.walk(target)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        return [made for one in names for made in self._binding(one.id, one, statement)]

    def _binding(self, name: str, where: Any, statement: Any = None) -> list[ast.stmt]:
        place = ast.copy_location(ast.Name(name, ast.Load()), where)
        found = Expression(place, self._source, statement or self._statement, self._functions[-1], name)
        number = self._number(found, "binding")
        target = ast.Name(name, ast.Store())
        made = ast.Assign([target], _call(number, ast.Name(name, ast.Load())))
        return [ast.fix_missing_locations(ast.copy_location(made, where))]

    def _marked(self, pristine: Any, node: Any) -> ast.expr:
        """Return an expression with its mark."""
        if isinstance(node, ast.Constant) and type(node.value) not in (int, float):
            return node
        found = Expression(pristine, self._source, self._statement, self._functions[-1])
        number = self._number(found, "value")
        return ast.fix_missing_locations(ast.copy_location(_call(number, node), pristine))


def _span(node: ast.expr) -> tuple[int, int, int | None, int | None]:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _bare(function: ast.FunctionDef) -> None:
    """Take away the annotations, which would be evaluated where the function is rebuilt."""
    function.returns = None
    for one in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]:
        one.annotation = None


def _counted(loop: ast.While | ast.For) -> ast.stmt:
    """Return a statement that counts the steps of a loop, which an edit may make endless."""
    made = ast.Expr(_call(None, ast.Constant(None)))
    return ast.fix_missing_locations(ast.copy_location(made, loop))


def _call(number: int | None, value: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(NOTE, ast.Load()), [ast.Constant(number), value], [])


def _listed(found: Any) -> list[ast.stmt]:
    return found if isinstance(found, list) else [found]
