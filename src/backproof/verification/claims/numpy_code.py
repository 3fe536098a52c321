"""Is a function NumPy code? What it raises under tracing shows it, and the names that it uses."""

import functools
import types
from collections.abc import Iterator
from typing import Any

import jax

from backproof.numerics.effort import EFFORT

HOMES = ("numpy", "scipy")
# What JAX, or Python, says where NumPy code writes into an array that is traced.
WRITING = ("immutable", "does not support item assignment", "setting an array element with a sequence")


def is_numpy_code(function: Any, error: BaseException) -> bool:
    """Return whether `error`, raised by `function` under tracing, shows that it is NumPy code.

    A conversion to a NumPy array always does. A conversion to a number, or an assignment to an entry, is also
    what JAX code does by mistake, so that the function must not use JAX.
    """
    chain = list(_chain(error))
    if any(isinstance(one, jax.errors.TracerArrayConversionError) for one in chain):
        return True
    doubtful = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)
    writes = any(word in str(one) for one in chain for word in WRITING)
    missing = any(isinstance(one, AttributeError) and "Tracer" in str(one) for one in chain)
    if not writes and not missing and not any(isinstance(one, doubtful) for one in chain):
        return False
    return not uses(function, "jax")


def uses(function: Any, package: str) -> bool:
    """Return whether a function, or one that it calls by a name of its own, uses a package."""
    return any(package in (_home(value), _home(type(value))) for value in _reached(function, EFFORT.callees))


def _reached(function: Any, depth: int) -> Iterator[Any]:
    """Yield the values of the names in a function and in the Python functions that it calls."""
    if isinstance(function, functools.partial):
        yield from _reached(function.func, depth)
    plain = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None) or function
    if not isinstance(plain, types.FunctionType) or not depth:
        return
    for value in named(plain).values():
        yield value
        if isinstance(value, types.FunctionType) and _home(value) not in (*HOMES, "jax"):
            yield from _reached(value, depth - 1)


def named(function: types.FunctionType) -> dict[str, Any]:
    """Return the values of the global and enclosing names that a function uses."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {**found, **{name: cell.cell_contents for name, cell in cells if _is_filled(cell)}}


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _codes(const)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is assigned later
        return False


def _home(value: Any) -> str:
    """Return the package that a module or function belongs to."""
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return str(name or "").partition(".")[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
