"""The name of a function in reports: its own name, or the source text of a lambda."""

import ast
import dis
import functools
import linecache
import types
from collections.abc import Callable
from typing import Any

LONGEST_NAME = 60
LAMBDA = "<lambda>"
# Instructions that the compiler adds to those of an expression.
ADDED = ("RESUME", "COPY_FREE_VARS", "MAKE_CELL", "RETURN_VALUE")


def name_of(fn: Any) -> str:
    """Return the name of a function in reports; a lambda is named by its text, shortened."""
    if isinstance(fn, functools.partial):
        given = [*map(_short_repr, fn.args), *(f"{key}={_short_repr(v)}" for key, v in fn.keywords.items())]
        return shortened(f"partial({', '.join([name_of(fn.func), *given])})")
    name = getattr(fn, "__name__", None) or getattr(getattr(fn, "fun", None), "__name__", None)
    if name == LAMBDA:
        return shortened(lambda_text(fn) or "lambda")
    return name or type(fn).__name__


def shortened(text: str) -> str:
    """Return a text in one line of at most `LONGEST_NAME` characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 2]} …"


def lambda_text(fn: Any) -> str | None:
    """Return the source of a lambda as it is written; None where the source is not at hand."""
    plain = plain_function(fn)
    if plain is None or plain.__name__ != LAMBDA:
        return None
    code = plain.__code__
    source = "".join(linecache.getlines(code.co_filename, plain.__globals__))
    span = _span(code)
    inside = [node for node in _lambdas(source) if span and _holds(node.body, span)]
    # the innermost lambda around the code is its own
    node = max(inside, key=lambda one: (one.lineno, one.col_offset), default=None)
    return node and ast.get_source_segment(source, node)


def plain_function(fn: Any) -> types.FunctionType | None:
    """Return the Python function inside `jax.jit`, `jax.custom_vjp` and their like; None if there is none."""
    for _ in range(8):  # wrappers in wrappers; a function wraps itself only by a slip
        inner = getattr(fn, "fun", None) or getattr(fn, "__wrapped__", None)
        if inner is None:
            break
        fn = inner
    return fn if isinstance(fn, types.FunctionType) else None


def is_pastable(fn: Callable[..., Any]) -> bool:
    """Return whether the source of a lambda can be pasted: it uses no variable of an enclosing function."""
    plain = plain_function(fn)
    return plain is not None and not plain.__code__.co_freevars


def _span(code: types.CodeType) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return where the expression of a lambda starts and ends: lines and bytes in them."""
    places = [
        one.positions
        for one in dis.get_instructions(code)
        if one.positions is not None and one.opname not in ADDED
    ]
    full = [p for p in places if None not in (p.lineno, p.col_offset, p.end_lineno, p.end_col_offset)]
    full = [p for p in full if (p.col_offset, p.end_col_offset) != (0, 0)]  # added by older compilers
    if not full:
        return None
    first = min((p.lineno or 0, p.col_offset or 0) for p in full)
    return first, max((p.end_lineno or 0, p.end_col_offset or 0) for p in full)


@functools.lru_cache(maxsize=8)
def _lambdas(source: str) -> tuple[ast.Lambda, ...]:
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a line of a notebook that is no Python, as %time
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Lambda))


def _holds(body: ast.expr, span: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    return start <= span[0] and span[1] <= end


def _short_repr(value: Any) -> str:
    return shortened(name_of(value) if callable(value) else repr(value))
