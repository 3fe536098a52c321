"""Functions with copies of the NumPy arrays that they hold, so that they are traced in float64 anew.

JAX keeps a NumPy array that it has met as a constant, in the dtype in which it was first met, for as long as
some program holds it. The same function traced in float32 and then in float64 would so compute with numbers
of float32, or not at all. In float64 the arrays are therefore copies, which JAX has not met.
"""

import copy
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from backproof.numerics.rebuilding import Rebuilding, is_library, names_in, with_parts

WIDE = (np.float64, np.complex128)
HOLDERS = (np.ndarray, list, tuple, dict)


def with_own_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with copies of the arrays that it holds now; itself if it holds none."""
    copies = _Copies()
    made = copies.value(function)
    return made if copies.count else function


class _Copies(Rebuilding):
    """Copies the arrays that are reached from one function.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def made(self, value: Any) -> Any:
        if type(value) is np.ndarray and value.dtype.type in WIDE:
            self.count += 1
            return value.copy()
        try:
            return super().made(value)
        except Exception:
            # An object of the caller may raise whatever it is asked; then it is left as it is.
            return value

    def owner(self, value: Any) -> Any:
        return self._with_own_attributes(value)

    def called(self, value: Any) -> Any:
        if isinstance(value, type) or not callable(value):
            return value
        return self._with_own_attributes(super().called(value))

    def function(self, function: types.FunctionType) -> Any:
        cells, defaults = self.cells(function), self.value(function.__defaults__)
        held = self._changed(function.__globals__, function.__code__)
        same = all(new is old for new, old in zip(cells, function.__closure__ or (), strict=True))
        if same and not held and defaults is function.__defaults__:
            return function
        known = {**function.__globals__, **held} if held else function.__globals__
        made = with_parts(function, function.__code__, cells, known)
        if held:  # a function that calls itself calls the new one
            known.update({name: made for name in names_in(function.__code__) if known.get(name) is function})
        made.__defaults__ = defaults
        made.__dict__.update(function.__dict__)
        return made

    def _changed(self, held: dict[str, Any], code: types.CodeType) -> dict[str, Any]:
        """Return the globals that a code names and that hold arrays, with copies; none for a library's."""
        if is_library(code.co_filename):
            return {}
        found = {name: held[name] for name in names_in(code) if name in held}
        parts = {
            name: self._module(one, code) if isinstance(one, types.ModuleType) else self.value(one)
            for name, one in found.items()
        }
        return {name: one for name, one in parts.items() if one is not found[name]}

    def _module(self, module: types.ModuleType, code: types.CodeType) -> types.ModuleType:
        """Return a module with copies of what a code may take from it; itself if that holds no arrays."""
        file = getattr(module, "__file__", None)
        if file is None or is_library(file):
            return module
        held = vars(module)
        found = {name: held[name] for name in names_in(code) if name in held}
        parts = {name: self.value(one) for name, one in found.items()}
        if all(parts[name] is one for name, one in found.items()):
            return module
        made = types.ModuleType(module.__name__)
        vars(made).update(held, **parts)
        return made

    def _with_own_attributes(self, value: Any) -> Any:
        """Return an object of the caller's with copies of the arrays among its attributes; else itself."""
        held = getattr(value, "__dict__", None)
        home = sys.modules.get(type(value).__module__)
        file = getattr(home, "__file__", None)
        if not isinstance(held, dict) or isinstance(value, types.ModuleType | type):
            return value
        if file is not None and is_library(file):
            return value
        parts = {name: self.value(one) for name, one in held.items() if type(one) in HOLDERS}
        if all(one is held[name] for name, one in parts.items()):
            return value
        made = copy.copy(value)
        made.__dict__.update(parts)
        return made
