"""The source of a function as a syntax tree, with the lines and columns that it has in its file."""

import ast
import copy
import functools
import linecache
import sys
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

Definition = ast.FunctionDef | ast.Lambda
INNER = "backproof_inner"
PARTS = ("co_firstlineno", "co_name", "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars")


class Source(NamedTuple):
    """Holds the definition of a function, the lines of its file, and the globals that its code names."""

    definition: Definition
    file: str
    lines: tuple[str, ...]
    names: dict[str, Any]

    def text(self, node: ast.expr) -> str:
        """Return the text of an expression as it stands in the file."""
        return ast.get_source_segment("".join(self.lines), node) or ast.unparse(node)

    def line(self, number: int) -> str:
        """Return one line of the file, without what surrounds its text."""
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""


def source_of(function: types.FunctionType) -> Source | None:
    """Return the definition of a function; None if its source is not there, or is not what it runs."""
    code = function.__code__
    lines = tuple(linecache.getlines(code.co_filename, function.__globals__))
    file = _read(lines)
    if any(name.startswith("_") and "__" in name[1:] and not name.startswith("__") for name in code.co_names):
        return None  # a private name of a class, which is another name outside it
    if not any(_is_same(one, code) for one in file.codes):
        return None
    found = [node for node in file.definitions if _first_line(node) == code.co_firstlineno]
    found = [node for node in found if _holds(node, code)]
    return Source(found[-1], code.co_filename, lines, function.__globals__) if found else None


class _File(NamedTuple):
    """Holds the definitions in a file, and the codes to which it compiles."""

    definitions: list[Definition]
    codes: list[types.CodeType]


@functools.lru_cache(maxsize=64)
def _read(lines: tuple[str, ...]) -> _File:
    text = "".join(lines)
    try:
        tree, codes = ast.parse(text), _inside(compile(text, "file", "exec", dont_inherit=True))
    except (SyntaxError, ValueError):  # a fragment, say of a notebook
        return _File([], [])
    return _File(
        [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)], list(codes)
    )


def _inside(code: types.CodeType) -> Iterator[types.CodeType]:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield one
            yield from _inside(one)


def _is_same(one: types.CodeType, other: types.CodeType) -> bool:
    """Return whether two codes have the same place, instructions, names and constants."""
    if any(getattr(one, part) != getattr(other, part) for part in PARTS):
        return False
    pairs = list(zip(one.co_consts, other.co_consts, strict=False))
    return len(one.co_consts) == len(other.co_consts) and all(
        _is_same(a, b)
        if isinstance(a, types.CodeType) and isinstance(b, types.CodeType)
        else repr(a) == repr(b)
        for a, b in pairs
    )


def _first_line(node: Definition) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _holds(node: Definition, code: types.CodeType) -> bool:
    """Return whether the instructions of a code lie within a definition; several lambdas may share a line."""
    if isinstance(node, ast.FunctionDef):
        return node.name == code.co_name
    first, last = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    places = [one for one in code.co_positions() if None not in one and one[2:] != (0, 0)]
    within = all(first <= (line, column) <= last for line, _, column, _ in places)
    return code.co_name == "<lambda>" and within


def wrapped(node: Definition, names: tuple[str, ...]) -> ast.Module:
    """Return a program that defines a function inside one whose parameters are the names it closes over."""
    arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    if isinstance(node, ast.Lambda):
        inner: ast.stmt = ast.Return(node)
    else:
        inner = copy.copy(node)
        # under its own name it would be a variable of the function around it
        inner.name, inner.decorator_list = INNER, []
    outer = ast.FunctionDef("backproof_outer", arguments, [inner], [], None)
    if sys.version_info >= (3, 12):
        outer.type_params = []
    return ast.fix_missing_locations(ast.Module([outer], []))


def code_of(program: ast.Module, file: str, name: str) -> types.CodeType | None:
    """Return the code of the function that a `wrapped` program defines, under a name."""
    try:
        outer = compile(program, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    (inside,) = (one for one in outer.co_consts if isinstance(one, types.CodeType))
    codes = [one for one in inside.co_consts if isinstance(one, types.CodeType)]
    # the functions among its defaults come before it
    return codes[-1].replace(co_name=name) if codes else None
