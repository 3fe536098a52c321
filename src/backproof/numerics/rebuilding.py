"""A function made anew of what it holds: closures, partials, methods, rules, and what `jax.jit` returns.

What is changed on the way says a class that is derived from `Rebuilding`.
"""

import copy
import functools
import sysconfig
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

BACKPROOF = Path(__file__).resolve().parents[1]
LIBRARIES = tuple(
    Path(place).resolve() for place in map(sysconfig.get_path, ("stdlib", "purelib", "platlib")) if place
)
# Backward passes that come with backproof are somebody's code like any other.
SHIPPED = tuple(
    BACKPROOF / name
    for name in ("rules", "losses", "selftest", "network.py", "compose.py", "stack.py", "depth.py")
)


class Rebuilding:
    """Rebuilds what is reached from one value; a class because it knows what it has rebuilt."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._done: dict[int, Any] = {}
        self._held: list[Any] = []

    def value(self, value: Any) -> Any:
        """Return a value in which what is to be changed is changed, or the value itself."""
        if id(value) not in self._done:
            self._held.append(value)  # so that no other can take over its identity
            self._done[id(value)] = value  # what refers to itself finds the old one
            self._done[id(value)] = self.made(value)
        return self._done[id(value)]

    def function(self, function: types.FunctionType) -> Any:
        """Return a function of Python, changed or not."""
        raise NotImplementedError

    def owner(self, value: Any) -> Any:
        """Return the object that a method is bound to, changed or not."""
        return value

    def called(self, value: Any) -> Any:
        """Return an object whose class says how it is called, with that rebuilt; or the object itself."""
        how = type(value).__dict__.get("__call__")
        rebuilt = self.value(how) if isinstance(how, types.FunctionType) else how
        if rebuilt is how:
            return value
        try:
            made = copy.copy(value)
            made.__class__ = type(type(value).__name__, (type(value),), {"__call__": rebuilt})
        except TypeError:  # an object whose class cannot be another one
            return value
        return made

    def made(self, value: Any) -> Any:
        """Return a value rebuilt by its kind."""
        if isinstance(value, types.FunctionType):
            return self.function(value)
        if isinstance(value, functools.partial):
            inside = [self.value(one) for one in (value.func, value.args, value.keywords)]
            same = _are_the_same(inside, (value.func, value.args, value.keywords))
            return value if same else functools.partial(inside[0], *inside[1], **inside[2])
        if isinstance(value, types.MethodType):
            inside = [self.value(value.__func__), self.owner(value.__self__)]
            same = _are_the_same(inside, (value.__func__, value.__self__))
            return value if same else types.MethodType(*inside)
        if isinstance(value, jax.custom_vjp):
            return self._custom_vjp(value)
        if isinstance(value, jax.custom_jvp):
            return self._custom_jvp(value)
        if isinstance(value, jax.stages.Wrapped):
            inner = getattr(value, "__wrapped__", None)
            rebuilt = self.value(inner)
            return value if rebuilt is inner else rebuilt
        if isinstance(value, tuple | list):
            parts = [self.value(one) for one in value]
            if _are_the_same(parts, value):
                return value
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if type(value) is dict:
            parts = [self.value(one) for one in value.values()]
            return value if _are_the_same(parts, [*value.values()]) else dict(zip(value, parts, strict=True))
        return self.called(value)

    def cells(self, function: types.FunctionType) -> list[Any]:
        """Return the cells of a closure, the old ones where nothing in them has changed."""
        return [self._cell(cell) for cell in function.__closure__ or ()]

    def _cell(self, cell: Any) -> Any:
        if cell == types.CellType():  # it is not set yet
            return cell
        rebuilt = self.value(cell.cell_contents)
        return cell if rebuilt is cell.cell_contents else types.CellType(rebuilt)

    def _custom_vjp(self, value: Any) -> Any:
        parts = [self.value(one) for one in (value.fun, value.fwd, value.bwd)]
        if value.bwd is None or _are_the_same(parts, (value.fun, value.fwd, value.bwd)):
            return value
        made = jax.custom_vjp(parts[0], nondiff_argnums=value.nondiff_argnums)
        settings = {"symbolic_zeros": value.symbolic_zeros, "optimize_remat": value.optimize_remat}
        made.defvjp(parts[1], parts[2], **settings)
        return made

    def _custom_jvp(self, value: Any) -> Any:
        parts = [self.value(one) for one in (value.fun, value.jvp)]
        if value.jvp is None or _are_the_same(parts, (value.fun, value.jvp)):
            return value
        made = jax.custom_jvp(parts[0], nondiff_argnums=value.nondiff_argnums)
        made.defjvp(parts[1], symbolic_zeros=value.symbolic_zeros)
        return made


def with_parts(
    function: types.FunctionType, code: types.CodeType, cells: Sequence[Any], held: dict[str, Any]
) -> types.FunctionType:
    """Return a function with other code, cells and globals, and the defaults of the old one."""
    made = types.FunctionType(code, held, function.__name__, function.__defaults__, tuple(cells))
    made.__kwdefaults__, made.__qualname__ = function.__kwdefaults__, function.__qualname__
    return made


def names_in(code: types.CodeType) -> set[str]:
    """Return the names of globals and of attributes in a code, and in the functions inside it."""
    inner = [names_in(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*inner)


@functools.cache
def is_library(file: str) -> bool:
    """Return whether a file belongs to an installed package, to Python or to backproof itself."""
    path = Path(file).resolve()
    if any(path.is_relative_to(place) for place in SHIPPED):
        return False
    return any(path.is_relative_to(place) for place in (*LIBRARIES, BACKPROOF))


def _are_the_same(parts: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(new is old for new, old in zip(parts, others, strict=True))
