"""The source of a derivation: its yields in order, and the objects that the names in them stand for."""

import ast
import builtins
import copy
import inspect
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, cast

import jax

from backproof.verification.blame.source import source_of as definition_of
from backproof.verification.blame.vocabulary import part_of_line

AUTODIFF = ("grad", "value_and_grad", "jacfwd", "jacrev", "jacobian", "hessian", "vjp", "jvp", "linearize")
ANCHORS = {getattr(jax, name): f"jax.{name}" for name in AUTODIFF}
# If the last line runs code of these modules, it is reported; the other modules only state or check lines.
SHIPPED = (
    "rules",
    "losses",
    "network",
    "compose",
    "stack",
    "depth",
    "precision",
    "gradient",
    "training",
    "rule",
)


AROUND = "_around"  # the attribute of a function that makes, of the generator in the file, the one that runs


@dataclass(frozen=True)
class Source:
    """Holds the syntax tree of a generator function, with the rows of its file.

    Attributes:
        function: the function itself, with the ends of a derivation around what is written in the file.
        tree: its definition, with the rows of the file; never changed in place.
    """

    function: Any
    tree: ast.FunctionDef

    @property
    def written(self) -> Any:
        """The function that is written in the file."""
        return inspect.unwrap(self.function)

    def line_at(self, row: int) -> ast.Yield | None:
        """Return the yield that stands on a line of the file."""
        spans = [node for node in self.yields() if node.lineno <= row <= (node.end_lineno or node.lineno)]
        return spans[-1] if spans else None

    def yields(self) -> list[ast.Yield]:
        """Return every yield, in the order of the source."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Yield)]
        return sorted(found, key=lambda node: (node.lineno, node.col_offset))

    def expression_at(self, row: int) -> ast.expr | None:
        """Return the value part of the line yielded on a line of the file."""
        found = self.line_at(row)
        return value_of(found) if found else None


def value_of(node: ast.Yield) -> ast.expr | None:
    """Return the value of the line that is yielded, or whatever else is."""
    return node.value and part_of_line(node.value)


def source_of(function: Any) -> Source | None:
    """Return the source of a function; None where Python does not know it."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree: ast.AST = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    if not isinstance(tree, ast.FunctionDef):
        return None
    ast.increment_lineno(tree, inspect.unwrap(function).__code__.co_firstlineno - 1)
    return Source(function, tree)


def anchor(source: Source, row: int) -> str | None:
    """Return the autodiff that the line on `row` calls, directly or by a function of its folder."""
    for found in _reached(source, source.expression_at(row)):
        try:
            if found in ANCHORS:
                return ANCHORS[found]
        except TypeError:  # an object without a hash is none of these functions
            continue
    return None


def shipped(source: Source, row: int) -> str | None:
    """Return the shipped code that the line on `row` runs, directly or by a function of its folder."""
    return _first_shipped(_reached(source, source.expression_at(row)))


def shipped_by(function: Any) -> str | None:
    """Return the shipped code that a function is or runs, directly or by a function of its folder."""
    own = _first_shipped([function])
    function = inspect.unwrap(function)  # a compiled function holds the one that it was made of
    function = function if isinstance(function, FunctionType) else type(function).__call__
    definition = None if own or not isinstance(function, FunctionType) else definition_of(function)
    if definition is None:
        return own
    inner = Source(function, cast(ast.FunctionDef, definition.definition))
    return _first_shipped(_reached(inner, inner.tree))


def _first_shipped(found: Iterable[Any]) -> str | None:
    for one in found:
        module = _module(one)
        if module.split(".")[:1] == ["backproof"] and module.split(".")[1:2] in [[name] for name in SHIPPED]:
            return getattr(one, "name", None) or getattr(one, "__name__", None) or module
    return None


def reached_by(source: Source) -> Iterator[Any]:
    """Yield what the code of a derivation names, and what the functions of its folder name that it calls.

    Of a method, or of a function compiled from one, the object that it belongs to is yielded.
    """
    for found in _reached(source, ast.Module(source.tree.body, [])):
        yield getattr(inspect.unwrap(found) if callable(found) else found, "__self__", found)


def _module(found: Any) -> str:
    own = getattr(found, "__module__", None)
    return own if isinstance(own, str) else type(found).__module__


def _reached(source: Source, expression: ast.AST | None) -> Iterator[Any]:
    """Yield the objects that `expression` names, and those named by the functions and locals it uses."""
    waiting: list[tuple[Source, ast.AST]] = [(source, expression)] if expression else []
    seen: set[int] = set()
    while waiting:
        where, node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        assigned = _assigned(where.tree)
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                waiting += [(where, one) for one in assigned.get(part.id, [])]
            if not isinstance(part, ast.Name | ast.Attribute):
                continue
            for found in resolved(part, names_in(where.written)):
                yield found
                if is_neighbour(found, source.written):
                    inner = source_of(found)
                    if inner and id(found) not in seen:
                        seen.add(id(found))
                        waiting.append((inner, inner.tree))


def _assigned(tree: ast.FunctionDef) -> dict[str, list[ast.AST]]:
    """Return the expressions assigned to each local name, and the functions defined inside."""
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)):
                found.setdefault(name, []).append(node.value)
        elif isinstance(node, ast.FunctionDef) and node is not tree:
            found.setdefault(node.name, []).append(node)
    return found


def names_in(function: Any) -> dict[str, Any]:
    """Return the objects that the free names of a function stand for."""
    closed: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            closed[name] = cell.cell_contents
        except ValueError:  # not yet assigned
            continue
    return {**vars(builtins), **function.__globals__, **closed}


def resolved(node: ast.expr, names: dict[str, Any]) -> list[Any]:
    """Return the object that a name or an attribute stands for, and those on the way to it."""
    if isinstance(node, ast.Name):
        return [names[node.id]] if node.id in names else []
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, names)
        try:
            return [*owner, getattr(owner[-1], node.attr)] if owner else []
        except AttributeError:
            return owner
    return []


def is_neighbour(found: Any, function: Any) -> bool:
    """Return whether `found` is a function written in the same folder."""
    if not (isinstance(found, FunctionType) and isinstance(function, FunctionType)):
        return False
    folders = [os.path.dirname(one.__code__.co_filename) for one in (found, function)]
    return folders[0] == folders[1]


def planted(source: Source, row: int, expression: ast.expr) -> Source:
    """Return the source, and its function, with `expression` as the value of the line yielded on `row`."""
    found = source.line_at(row)
    old = value_of(found) if found else None
    if found is None or old is None or old is found.value:
        return source
    return exchanged(source, old, expression)


def exchanged(source: Source, old: ast.expr, new: ast.expr) -> Source:
    """Return the source, and its function, with one expression exchanged for another."""
    for node in ast.walk(new):  # every new node takes the position of the old one
        ast.copy_location(node, old)
    tree = _exchanged(source.tree, old, new)
    written = _compiled(source.written, tree)
    return Source(getattr(source.function, AROUND, lambda one: one)(written), tree)


def _exchanged(node: Any, old: ast.AST, new: ast.AST) -> Any:
    """Return `node` with `old` exchanged for `new`; only the nodes above `old` are copied."""
    if node is old:
        return new
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for place, child in enumerate(children):
            changed = _exchanged(child, old, new) if isinstance(child, ast.AST) else child
            if changed is not child:
                copied = copy.copy(node)
                whole = [*children[:place], changed, *children[place + 1 :]]
                setattr(copied, name, whole if isinstance(value, list) else changed)
                return copied
    return node


def _compiled(function: Any, tree: ast.FunctionDef) -> Callable[..., Any]:
    """Return the function that `tree` defines, with the names of `function`.

    Decorators and annotations are left out; the names that the function closes over are handed to it.
    """
    names = function.__code__.co_freevars
    module = ast.parse(f"def _maker({', '.join(names)}):\n    return {tree.name}")
    maker: Any = module.body[0]
    bare, args = copy.copy(tree), copy.copy(tree.args)
    bare.decorator_list, bare.returns, bare.args = [], None, args
    args.args = [ast.copy_location(ast.arg(one.arg), one) for one in args.args]
    maker.body.insert(0, bare)
    space: dict[str, Any] = {}
    exec(compile(module, function.__code__.co_filename, "exec"), function.__globals__, space)
    closed = names_in(function)
    return space["_maker"](*(closed.get(name) for name in names))
