"""Walks a generator of lines once, at arrays or at tracers, and notes where it stops."""

import inspect
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from backproof.derivations.lines import Kind, LineError, Step, read


class Raised(NamedTuple):
    """Holds what was raised in place of a line.

    Attributes:
        number: the index of the line that was not reached.
        row: the line of the file on which it was raised, in the derivation itself.
        text: type and message of the error.
    """

    number: int
    row: int
    text: str


class Walked(NamedTuple):
    """Holds the steps of one walk and what ended it early, or None."""

    steps: list[Step]
    raised: Raised | None


def walk(function: Callable[..., Any], args: tuple[Any, ...]) -> Walked:
    """Return the lines that `function(*args)` yields, up to the end or to what it raises.

    Raises:
        LineError: a yielded line is none, or the function is no generator.
    """
    if not inspect.isgeneratorfunction(function):
        row = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        raise LineError("a derivation is a generator: it yields its lines", row)
    steps: list[Step] = []
    try:
        generator = function(*args)
        for yielded in generator:
            steps.append(read(yielded, generator.gi_frame.f_lineno, _lines(steps)))
    except LineError:
        raise
    except Exception as error:
        # Whatever a line raises is that line's finding.
        row = _row_within(function, error)
        return Walked(steps, Raised(_lines(steps), row, _said(error)))
    return Walked(steps, None)


def _lines(steps: list[Step]) -> int:
    """Return how many lines there are so far; assumptions are not counted."""
    return sum(step.kind is not Kind.ASSUMED for step in steps)


def _row_within(function: Any, error: Exception) -> int:
    """Return the line of the derivation itself on which `error` was raised, or its first line."""
    code = function.__code__
    rows = [row for frame, row in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
    return rows[-1] if rows else code.co_firstlineno


def _said(error: Exception) -> str:
    first = str(error).strip().split("\n\n")[0].replace("\n", " ")
    return f"{type(error).__name__}: {first if len(first) <= 300 else first[:299] + '…'}"
