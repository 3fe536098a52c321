"""Walks through a generator of lines, at arrays or at tracers; lines that raise are left open."""

import ast
import inspect
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from backproof.derivations.lines import Assumption, End, Kind, LineError, Said, Step, UnyieldedError, read
from backproof.derivations.source import AROUND, Source, planted
from backproof.derivations.watching import Lemma, Made, Truth, Watched, watching


class Raised(NamedTuple):
    """Holds the error that was raised in place of a line.

    Attributes:
        number: the index of the line.
        row: the row of the derivation itself on which it was raised.
        text: type and message of the error.
    """

    number: int
    row: int
    text: str


class Walked(NamedTuple):
    """Holds the steps of one walk.

    Attributes:
        steps: the lines and assumptions; a line that raises is left open.
        raised: the errors of the open lines.
        ended: the error that ended the walk early, or None.
    """

    steps: list[Step]
    raised: tuple[Raised, ...] = ()
    ended: Raised | None = None


def walk(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    until: int | None = None,
    only: int | None = None,
    truths: list[Truth] | None = None,
    assumptions: int | None = None,
) -> Walked:
    """Return the lines that `function(*args)` yields, up to the end, the line `until`, or an error.

    Args:
        function: the derivation.
        args: its arguments.
        until: the number of the last line that is asked for.
        only: the number of the only line whose value is asked for: a definition or what ships is left empty
            otherwise, for it may be dear.
        truths: where it is kept whether the assumptions of lemmas hold; None if that is not asked.
        assumptions: the number of assumptions after which nothing more is asked for; None for all.

    Raises:
        LineError: a yielded value is not a line, or the function is not a generator.
    """
    if not inspect.isgeneratorfunction(inspect.unwrap(function)):
        row = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        raise LineError("a derivation is a generator: it yields its lines", row)
    steps: list[Step] = []
    said: list[Any] = []
    try:
        with watching(truths) as watched:
            generator = function(*args)
            for yielded in generator:
                said += [yielded, *(yielded if isinstance(yielded, tuple) else ())]
                number = count(steps)
                if isinstance(yielded, End) and only not in (None, number):
                    step = yielded.step(())
                else:
                    step = read(yielded, _row_of(generator, function), number)
                steps.append(step._replace(cites=_taken(watched)))
                watched.line = watched.line if watched.is_lemma else count(steps)
                if until is not None and count(steps) > until:
                    break
                if assumptions is not None and len(steps) - count(steps) >= assumptions:
                    break
            else:  # what is made and not yet yielded when a walk is cut short may be yielded later
                _require_yielded(watched.made, said, count(steps))
    except LineError:
        raise
    except Exception as error:
        # Whatever a line raises is reported as an error of that line.
        return Walked(steps, (), Raised(count(steps), _row_within(function, error), _said(error)))
    return Walked(steps)


def _row_of(generator: Any, function: Any) -> int:
    """Return the row at which the generator that the file writes stands; another may stand around it."""
    inner = generator.gi_yieldfrom if hasattr(function, AROUND) else None
    return (getattr(inner, "gi_frame", None) or generator.gi_frame).f_lineno


def _taken(watched: Watched) -> tuple[Lemma, ...]:
    """Return the derivations whose values were taken since this was asked last."""
    found = tuple(dict.fromkeys(watched.cited))
    watched.cited.clear()
    return found


def _require_yielded(made: list[Made], said: list[Any], number: int) -> None:
    """Require that no line, assumption or claim was made in vain.

    Raises:
        UnyieldedError: one was not yielded, so that nobody would have looked at it.
    """
    for one in made:
        if not any(one.said is other for other in said):
            what = {Assumption: "an assumption", Said: "a line"}.get(type(one.said), "a claim")
            text = f"{what} must be yielded, or it has no effect: write `yield` before it"
            raise UnyieldedError(text, one.row, number)


def bridged(
    function: Callable[..., Any], source: Source | None, once: Callable[[Callable[..., Any]], Walked]
) -> Walked:
    """Return the walk by `once`, which is repeated after a line raises, with that line left open.

    Args:
        function: the derivation.
        source: its source; without it nothing can be left open.
        once: walks a function once.
    """
    walked, raised = once(function), []
    while walked.ended and source is not None:
        found = source.line_at(walked.ended.row)
        # the error is outside the value of a line, or the line is in a loop that has yielded other lines
        if found is None or any(source.line_at(step.row) is found for step in walked.steps):
            break
        left_open = planted(source, walked.ended.row, ast.Constant(...))
        if left_open is source:  # what is yielded there is not written as a line
            break
        raised.append(walked.ended)
        source = left_open
        walked = once(source.function)
    return walked._replace(raised=tuple(raised))


def last_value(steps: list[Step]) -> Any:
    """Return the value of the last line that is no claim; None if there is none."""
    return next((step.payload for step in reversed(steps) if step.kind is Kind.VALUE), None)


def assumed(steps: list[Step]) -> Any:
    """Return whether all assumptions hold, as an array of one truth value."""
    return jnp.all(jnp.array([jnp.all(one) for one in conditions_in(steps)] or [True]))


def conditions_in(steps: list[Step]) -> list[Any]:
    """Return the arrays of truth values that the assumptions are."""
    leaves = [leaf for step in steps if not step.is_line for leaf in jax.tree.leaves(step.payload)]
    return [leaf if leaf.dtype == bool else leaf != 0 for leaf in leaves]


def count(steps: list[Step]) -> int:
    """Return how many lines there are so far; assumptions are not counted."""
    return sum(step.is_line for step in steps)


def _row_within(function: Any, error: Exception) -> int:
    """Return the line of the derivation itself on which `error` was raised, or its first line."""
    code = inspect.unwrap(function).__code__
    place = code.co_filename, code.co_name, code.co_firstlineno
    frames = [(frame.f_code, row) for frame, row in traceback.walk_tb(error.__traceback__)]
    rows = [row for one, row in frames if (one.co_filename, one.co_name, one.co_firstlineno) == place]
    return rows[-1] if rows else code.co_firstlineno


def _said(error: Exception) -> str:
    name, first = type(error).__name__, str(error).strip().split("\n")[0]
    hint = "; a derivation is traced: write jnp.where, or assume" if "Tracer" in name else ""
    return f"{name}: {first if len(first) <= 300 else first[:299] + '…'}{hint}"
