"""The hand-written code rebuilt so that its trace tells which expression of the source each value is of.

Every expression of the user's functions is passed through `jax.ad_checkpoint.checkpoint_name`, an identity
that leaves a mark in the traced program. The functions are found wherever the claim holds them: in closures,
partials, rules, and what `jax.jit` and `jax.custom_vjp` return; helpers that they name are rebuilt too.
An expression can be exchanged for another one, which is how a mend is tried.
"""

import ast
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import ClosedJaxpr, Jaxpr

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_key
from backproof.numerics.rebuilding import Rebuilding, is_library, names_in, with_parts
from backproof.numerics.tracing import inner_programs, trace
from backproof.verification.blame.marking import NOTE, Editing, Expression, Marking
from backproof.verification.blame.source import Source, code_of, source_of, wrapped
from backproof.verification.claims.numpy_array import Array

MARK = "backproof "
# Globals of these types may hold a function of the user.
HOLDERS = (types.FunctionType, functools.partial, jax.stages.Wrapped, jax.custom_vjp, jax.custom_jvp)


class EndlessError(Exception):
    """Code with an edit seems not to end."""


class Watching:
    """Rebuilds functions with marks; it is a class to number the expressions alike in every rebuild.

    Attributes:
        expressions: what is marked, by number.
        statics: the numbers that are no arrays, by the number of their expression.
        steps: how many steps its loops have taken in this run.
        usual: how many they take, at most, in a run without an edit.
        most: how many they may take in this run, since code with an edit might not end; None without an edit.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.expressions: dict[int, Expression] = {}
        self.statics: dict[int, Any] = {}
        self.steps: int = 0
        self.usual: int = 0
        self.most: int | None = None
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._untouched: dict[Any, types.CodeType | None] = {}

    def rebuilt(self, function: Callable[..., Any], edit: tuple[int, ast.expr] | None = None) -> Any:
        """Return a function with marks in it and in what it reaches; with an edit instead, without marks.

        Args:
            function: the function.
            edit: the number of an expression, and what stands in its place.
        """
        made = _Marking(self, edit).value(function)

        def counted(*args: Any, **named: Any) -> Any:
            self.steps, self.most = 0, None if edit is None else 10 * self.usual + EFFORT.endless
            result = made(*args, **named)
            self.usual = max(self.usual, self.steps if edit is None else 0)
            return result

        return made if made is function else counted

    def number(self, expression: Expression, kind: str) -> int:
        """Return the number of an expression, the same for the same place."""
        key = *expression.place, kind
        found = self._numbers.setdefault(key, len(self._numbers))
        self.expressions.setdefault(found, expression)
        return found

    def code(
        self, function: types.FunctionType, source: Source, edit: tuple[int, ast.expr] | None
    ) -> types.CodeType | None:
        """Return the code of one function with marks, or with an edit if that stands in it."""

        def compiled(definition: Any) -> types.CodeType | None:
            names, name = function.__code__.co_freevars, function.__code__.co_name
            return code_of(wrapped(definition, names), source.file, name)

        if edit is None:
            return compiled(Marking(self.number, source).definition())
        number, text = edit
        at = self.expressions[number]
        first, last = source.definition.lineno, source.definition.end_lineno or 0
        if at.source.file == source.file and first <= at.line <= last:
            return compiled(Editing(at.span, text).definition(source))
        if function.__code__ not in self._untouched:
            self._untouched[function.__code__] = compiled(Editing((0, 0, 0, 0), text).definition(source))
        return self._untouched[function.__code__]

    def used_by(self, function: Callable[..., Any], args: tuple[Any, ...]) -> list[Expression]:
        """Return the expressions by which a rebuilt function computes its value; none if it does not run."""
        try:
            program = trace(function, *args).jaxpr
        except Exception:
            # Code that inspects itself, or its arguments' types, may not run with marks in it.
            return []
        return [self.expressions[number] for number in _marks(program)]

    def note(self, number: int | None, value: Any) -> Any:
        """Return a value, marked with the number of its expression if it is an array.

        A step of a loop is noted without a number, and is only counted.

        Raises:
            EndlessError: loops took so many steps that code with an edit seems not to end.
        """
        if number is None:
            self.steps += 1
            if self.most is not None and self.steps > self.most:
                raise EndlessError
            return value
        if isinstance(value, Array):  # of NumPy code; it may be written into, so it stays the same object
            if isinstance(value.value, jax.Array):
                value.write(checkpoint_name(value.value, f"{MARK}{number}"))
            return value
        if isinstance(value, jax.Array) and not is_key(value):
            if value.dtype == jax.dtypes.float0:
                return value
            return checkpoint_name(value, f"{MARK}{number}")
        if isinstance(value, int | float | np.number) and not isinstance(value, bool):
            self.statics[number] = value
        return value


class _Marking(Rebuilding):
    """Rebuilds the functions of the user that are reached from one function, with marks in them."""

    def __init__(self, watching: Watching, edit: tuple[int, ast.expr] | None) -> None:
        super().__init__()
        self._watching, self._edit = watching, edit

    def function(self, function: types.FunctionType) -> Any:
        names, old = function.__code__.co_freevars, function.__closure__ or ()
        source = None if is_library(function.__code__.co_filename) else source_of(function)
        code = None if source is None else self._watching.code(function, source, self._edit)
        if code is None:
            cells = self.cells(function)
            if all(new is cell for new, cell in zip(cells, old, strict=True)):
                return function
            return with_parts(function, function.__code__, cells, function.__globals__)
        held = {**function.__globals__, NOTE: self._watching.note}
        fresh = {name: types.CellType() for name in code.co_freevars}
        made = with_parts(function, code, list(fresh.values()), held)
        self._done[id(function)] = made  # so that a function that calls itself finds the new one
        for name, cell in zip(names, old, strict=True):
            if name in fresh and cell != types.CellType():  # one that is set
                fresh[name].cell_contents = self.value(cell.cell_contents)
        for name in names_in(function.__code__) & set(function.__globals__):
            one = function.__globals__[name]
            if isinstance(one, HOLDERS):
                held[name] = self.value(one)
        made.__defaults__ = self.value(function.__defaults__)
        return made


def number_of(eqn: Any) -> int | None:
    """Return the number of the expression that an operation marks; None if it marks none."""
    name = eqn.params.get("name") if eqn.primitive.name == "name" else None
    return int(name[len(MARK) :]) if isinstance(name, str) and name.startswith(MARK) else None


def _marks(program: ClosedJaxpr | Jaxpr) -> Iterator[int]:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for eqn in jaxpr.eqns:
        number = number_of(eqn)
        if number is not None:
            yield number
        for one in inner_programs(eqn.params):
            yield from _marks(one)
