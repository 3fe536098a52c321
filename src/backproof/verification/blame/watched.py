"""The hand-written code rebuilt so that its trace tells which expression of the source each value is of.

Every expression of the user's functions is passed through `jax.ad_checkpoint.checkpoint_name`, an identity
that leaves a mark in the traced program. The functions are found wherever the claim holds them: in closures,
partials, rules, and what `jax.jit` and `jax.custom_vjp` return; helpers that they name are rebuilt too.
An expression can be exchanged for another one, which is how a mend is tried.
"""

import ast
import copy
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
from backproof.numerics.tracing import inner_programs, trace
from backproof.verification.blame.marking import NOTE, Expression, Marking
from backproof.verification.blame.source import code_of, is_library, source_of, wrapped
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
        notes: how many values were marked in this run, steps of loops among them.
        usual: how many are marked in a run without an edit.
        most: how many may be; code with an edit might not end.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.expressions: dict[int, Expression] = {}
        self.statics: dict[int, Any] = {}
        self.notes = self.usual = 0
        self.most: int | None = None
        self._numbers: dict[tuple[Any, ...], int] = {}

    def rebuilt(self, function: Callable[..., Any], edit: tuple[int, ast.expr] | None = None) -> Any:
        """Return a function with marks in it and in what it reaches.

        Args:
            function: the function.
            edit: the number of an expression, and what stands in its place.
        """
        made = _Rebuilding(self, edit).value(function)

        def counted(*args: Any, **named: Any) -> Any:
            self.notes, self.most = 0, None if edit is None else 10 * self.usual + EFFORT.endless
            result = made(*args, **named)
            self.usual = max(self.usual, self.notes if edit is None else 0)
            return result

        return made if made is function else counted

    def number(self, expression: Expression, kind: str) -> int:
        """Return the number of an expression, the same for the same place."""
        key = *expression.place, kind
        found = self._numbers.setdefault(key, len(self._numbers))
        self.expressions.setdefault(found, expression)
        return found

    def used_by(self, function: Callable[..., Any], args: tuple[Any, ...]) -> list[Expression]:
        """Return the expressions by which a rebuilt function computes its value; none if it does not run."""
        try:
            program = trace(function, *args).jaxpr
        except Exception:
            # Code that inspects itself, or its arguments' types, may not run with marks in it.
            return []
        return [self.expressions[number] for number in _marks(program)]

    def note(self, number: int, value: Any) -> Any:
        """Return a value, marked with the number of its expression if it is an array.

        Raises:
            EndlessError: so much was marked that code with an edit seems not to end.
        """
        self.notes += 1
        if self.most is not None and self.notes > self.most:
            raise EndlessError
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


class _Rebuilding:
    """Rebuilds what is reached from one function."""

    def __init__(self, watching: Watching, edit: tuple[int, ast.expr] | None) -> None:
        self._watching, self._edit = watching, edit
        self._done: dict[int, Any] = {}
        self._held: list[Any] = []

    def value(self, value: Any) -> Any:
        """Return a value in which every function of the user is rebuilt, or the value itself."""
        if id(value) not in self._done:
            self._held.append(value)
            self._done[id(value)] = value  # a function that calls itself finds the old one
            self._done[id(value)] = self._of(value)
        return self._done[id(value)]

    def _of(self, value: Any) -> Any:
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, functools.partial):
            inside = self.value(value.func), self.value(value.args), self.value(value.keywords)
            return functools.partial(inside[0], *inside[1], **inside[2])
        if isinstance(value, types.MethodType):
            return types.MethodType(self.value(value.__func__), value.__self__)
        if isinstance(value, jax.custom_vjp) and value.bwd is not None:
            made = jax.custom_vjp(self.value(value.fun), nondiff_argnums=value.nondiff_argnums)
            made.defvjp(
                self.value(value.fwd),
                self.value(value.bwd),
                symbolic_zeros=value.symbolic_zeros,
                optimize_remat=value.optimize_remat,
            )
            return made
        if isinstance(value, jax.custom_jvp) and value.jvp is not None:
            made = jax.custom_jvp(self.value(value.fun), nondiff_argnums=value.nondiff_argnums)
            made.defjvp(self.value(value.jvp), symbolic_zeros=value.symbolic_zeros)
            return made
        if isinstance(value, jax.stages.Wrapped):
            inner = getattr(value, "__wrapped__", None)
            rebuilt = self.value(inner)
            return value if rebuilt is inner else rebuilt
        if isinstance(value, tuple | list):
            parts = [self.value(one) for one in value]
            if all(a is b for a, b in zip(parts, value, strict=True)):
                return value
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if type(value) is dict:
            return {key: self.value(one) for key, one in value.items()}
        return self._called(value)

    def _called(self, value: Any) -> Any:
        """Return an object whose class says how it is called, with that rebuilt; or the object itself."""
        called = type(value).__dict__.get("__call__")
        rebuilt = self.value(called) if isinstance(called, types.FunctionType) else called
        if rebuilt is called:
            return value
        try:
            made = copy.copy(value)
            made.__class__ = type(type(value).__name__, (type(value),), {"__call__": rebuilt})
        except TypeError:  # an object whose class cannot be another one
            return value
        return made

    def _function(self, function: types.FunctionType) -> Any:
        names, old = function.__code__.co_freevars, function.__closure__ or ()
        source = None if is_library(function.__code__.co_filename) else source_of(function)
        code = None
        if source is not None:
            definition = Marking(self._watching.number, source, self._edit).definition()
            code = code_of(wrapped(definition, names), source.file, function.__code__.co_name)
        if code is None:
            cells = [self._cell(cell) for cell in old]
            if all(new is cell for new, cell in zip(cells, old, strict=True)):
                return function
            return _made(function, function.__code__, cells, function.__globals__)
        held = {**function.__globals__, NOTE: self._watching.note}
        fresh = {name: types.CellType() for name in code.co_freevars}
        made = _made(function, code, list(fresh.values()), held)
        self._done[id(function)] = made  # so that a function that calls itself finds the new one
        for name, cell in zip(names, old, strict=True):
            if name in fresh and cell != types.CellType():  # one that is set
                fresh[name].cell_contents = self.value(cell.cell_contents)
        for name in _names(function.__code__) & set(function.__globals__):
            one = function.__globals__[name]
            if isinstance(one, HOLDERS):
                held[name] = self.value(one)
        made.__defaults__ = self.value(function.__defaults__)
        return made

    def _cell(self, cell: Any) -> Any:
        if cell == types.CellType():  # it is not set yet
            return cell
        rebuilt = self.value(cell.cell_contents)
        return cell if rebuilt is cell.cell_contents else types.CellType(rebuilt)


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


def _made(function: types.FunctionType, code: Any, cells: list[Any], held: dict[str, Any]) -> Any:
    made = types.FunctionType(code, held, function.__name__, function.__defaults__, tuple(cells))
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*inner)
