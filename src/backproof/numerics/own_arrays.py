"""Functions with copies of the NumPy arrays that they hold, so that they are traced in float64 anew.

JAX keeps a NumPy array that it has met as a constant, in the dtype in which it was first met, for as long as
some program holds it. The same function traced in float32 and then in float64 would so compute with numbers
of float32, or not at all. In float64 the arrays are therefore copies, which JAX has not met.
"""

import copy
import functools
import sysconfig
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

WIDE = (np.float64, np.complex128)
# In code of others only what a function closes over is looked at, for it may wrap a function of the caller.
LIBRARIES = tuple(
    Path(place).resolve()
    for place in (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), Path(__file__).parents[1])
    if place
)
_MADE: "weakref.WeakKeyDictionary[Any, Any]" = weakref.WeakKeyDictionary()


def with_own_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with copies of the arrays that it holds; itself if it holds none."""
    try:
        if function not in _MADE:
            made = _Copies().of(function)
            _MADE[function] = None if made is function else made
        return _MADE[function] or function
    except TypeError:  # an object of a class that has no hash or takes no weak reference
        return _Copies().of(function)


class _Copies:
    """Copies what is reached from one function; a class because it knows what it has visited."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._held: list[Any] = []

    def of(self, value: Any) -> Any:
        """Return a value in which every array is a copy, or the value itself if it holds none."""
        if id(value) not in self._done:
            self._held.append(value)
            self._done[id(value)] = value  # what refers to itself finds the old one
            try:
                self._done[id(value)] = self._copied(value)
            except Exception:
                # An object of the caller may raise whatever it is asked; then it is left as it is.
                self._done[id(value)] = value
        return self._done[id(value)]

    def _copied(self, value: Any) -> Any:
        if type(value) is np.ndarray:
            return value.copy() if value.dtype.type in WIDE else value
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, functools.partial):
            inside = self.of(value.func), self.of(value.args), self.of(value.keywords)
            same = inside[0] is value.func and inside[1] is value.args and inside[2] is value.keywords
            return value if same else functools.partial(inside[0], *inside[1], **inside[2])
        if isinstance(value, types.MethodType):
            inside = self.of(value.__func__), self._object(value.__self__)
            same = inside[0] is value.__func__ and inside[1] is value.__self__
            return value if same else types.MethodType(*inside)
        if isinstance(value, jax.custom_vjp | jax.custom_jvp):
            return self._ruled(value)
        if isinstance(value, jax.stages.Wrapped):
            inner = getattr(value, "__wrapped__", None)
            return value if self.of(inner) is inner else self.of(inner)
        if isinstance(value, tuple | list):
            parts = [self.of(one) for one in value]
            if all(new is old for new, old in zip(parts, value, strict=True)):
                return value
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        if type(value) is dict:
            parts = {key: self.of(one) for key, one in value.items()}
            return value if all(parts[key] is one for key, one in value.items()) else parts
        return self._object(value) if callable(value) and not isinstance(value, type) else value

    def _ruled(self, value: Any) -> Any:
        """Return a function with a rule of its own, made anew of the parts that changed."""
        names = ("fun", "fwd", "bwd") if isinstance(value, jax.custom_vjp) else ("fun", "jvp")
        parts = [self.of(getattr(value, name)) for name in names]
        if all(new is getattr(value, name) for new, name in zip(parts, names, strict=True)):
            return value
        if isinstance(value, jax.custom_vjp):
            made = jax.custom_vjp(parts[0], nondiff_argnums=value.nondiff_argnums)
            settings = {"symbolic_zeros": value.symbolic_zeros, "optimize_remat": value.optimize_remat}
            made.defvjp(parts[1], parts[2], **settings)
            return made
        made = jax.custom_jvp(parts[0], nondiff_argnums=value.nondiff_argnums)
        if parts[1] is not None:
            made.defjvp(parts[1], symbolic_zeros=value.symbolic_zeros)
        return made

    def _object(self, value: Any) -> Any:
        """Return an object with copies of the arrays among its attributes; itself if it has none."""
        held = getattr(value, "__dict__", None)
        if not isinstance(held, dict) or isinstance(value, types.ModuleType | type | jax.stages.Wrapped):
            return value
        parts = {
            name: self.of(one) for name, one in held.items() if type(one) in (np.ndarray, list, tuple, dict)
        }
        if all(one is held[name] for name, one in parts.items()):
            return value
        try:
            made = copy.copy(value)
            made.__dict__.update(parts)
        except Exception:
            # A class may forbid to be copied; then its arrays are those of the caller.
            return value
        return made

    def _function(self, function: types.FunctionType) -> Any:
        cells, defaults = function.__closure__ or (), self.of(function.__defaults__)
        inside = [self.of(cell.cell_contents) if cell != types.CellType() else None for cell in cells]
        changed = {
            name: self.of(function.__globals__[name])
            for name in ([] if _is_library(function.__code__) else _names(function.__code__))
            if name in function.__globals__ and not isinstance(function.__globals__[name], types.ModuleType)
        }
        changed = {name: one for name, one in changed.items() if one is not function.__globals__[name]}
        pairs = zip(inside, cells, strict=True)
        same = all(cell == types.CellType() or new is cell.cell_contents for new, cell in pairs)
        if same and not changed and defaults is function.__defaults__:
            return function
        held = {**function.__globals__, **changed} if changed else function.__globals__
        fresh = tuple(
            cell if cell == types.CellType() else types.CellType(new)
            for new, cell in zip(inside, cells, strict=True)
        )
        made = types.FunctionType(function.__code__, held, function.__name__, defaults, fresh)
        made.__kwdefaults__, made.__qualname__ = function.__kwdefaults__, function.__qualname__
        made.__dict__.update(function.__dict__)
        return made


def _is_library(code: types.CodeType) -> bool:
    if code.co_filename.startswith("<"):
        return False
    return any(Path(code.co_filename).resolve().is_relative_to(place) for place in LIBRARIES)


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*inner)
