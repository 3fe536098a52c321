"""NumPy code as code of JAX: the same function, run on arrays that JAX traces.

The arguments are `Array`s. The names `np`, `scipy` and `math` in the function, and in the functions that it
calls, mean modules whose results are such arrays too, so that `out = np.zeros(n)` can be written into.
"""

import contextlib
import functools
import math
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.source_info_util import register_exclusion

from backproof.numerics.leaves import PyTree
from backproof.verification.claims import masked_array, numpy_array
from backproof.verification.claims.numpy_array import Array, called, is_traced, plain, wrapped
from backproof.verification.claims.numpy_code import named

# A line in a traced program is that of the caller's code, not of the modules that run it.
for _file in (__file__, numpy_array.__file__, masked_array.__file__):
    register_exclusion(_file)

MODULES = ("numpy", "scipy")
OTHERS = ("jax", "jaxlib", "backproof", "builtins")
IN_MATH = {
    "atan": "arctan", "asin": "arcsin", "acos": "arccos", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "pow": "power",
}  # fmt: skip
# Functions of NumPy that take a function or make arrays of their own in Python.
AS_GIVEN = (
    "errstate",
    "seterr",
    "ndindex",
    "finfo",
    "iinfo",
    "dtype",
    "vectorize",
    "printoptions",
    "isscalar",
)


def numpy_in_jax(function: Callable[..., Any]) -> Callable[..., PyTree]:
    """Return a function of NumPy as one that JAX can trace, where JAX has every function that it uses."""
    rebuilt = _rebuilt(function, {})

    def traced(*args: Any) -> PyTree:
        with _as_numpy():
            return jax.tree.map(_taken, rebuilt(*map(_given, args)))

    return traced


@contextlib.contextmanager
def _as_numpy() -> Iterator[None]:
    """Promote dtypes and ranks as NumPy does, whatever the user has set; a float64 narrowed is no warning."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield


def _given(arg: Any) -> Any:
    """Return one argument: its arrays as `Array`s, its functions rebuilt."""
    return jax.tree.map(lambda leaf: _rebuilt(leaf, {}) if callable(leaf) else wrapped(leaf), arg)


def _taken(leaf: Any) -> Any:
    return jnp.asarray(plain(leaf))


class Module:
    """Stands for a module of NumPy or SciPy, or for `math`, whose functions take and return `Array`s.

    Attributes:
        real: the module itself.
    """

    def __init__(self, real: Any) -> None:
        """Stand for the module `real`."""
        self.real = real

    def __getattr__(self, name: str) -> Any:
        """Return a name of the module."""
        if self.real is math:
            return _routed(getattr(np, IN_MATH.get(name, name), None) or getattr(math, name))
        return _entry(name, getattr(self.real, name))


def _entry(name: str, value: Any) -> Any:
    """Return what stands for one name of NumPy or SciPy."""
    if isinstance(value, types.ModuleType):
        return Module(value)
    if name in OWN:
        return OWN[name]
    return value if isinstance(value, type) or not callable(value) or name in AS_GIVEN else _routed(value)


class _Routed:
    """Stands for one function of NumPy or SciPy: called with `Array`s, it returns them."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, *args: Any, **given: Any) -> Any:
        return called(self._function, args, given)

    def __getattr__(self, name: str) -> Any:
        """Return a method of a ufunc: `np.add.at`, `np.maximum.reduce`, `np.multiply.outer`."""
        found = getattr(self._function, name)
        return functools.partial(_method, self._function, name) if callable(found) else found


def _routed(function: Any) -> Any:
    return _Routed(function) if callable(function) else function


def _method(ufunc: Any, name: str, *args: Any, **given: Any) -> Any:
    if name == "at":
        return args[0].__array_ufunc__(ufunc, "at", *args)
    return called(ufunc, args, given, method=name)


def _array(value: Any, dtype: Any = None, copy: bool = True, **given: Any) -> Any:
    """Return what `np.array` returns, of numbers and arrays that JAX traces in any order."""
    del copy, given
    inside = plain(list(value) if isinstance(value, range | map | zip) else value)
    if not is_traced(inside):
        return Array(np.array(inside, dtype))
    kind = None if dtype is None else jax.dtypes.canonicalize_dtype(np.dtype(dtype))
    return Array(jnp.array(inside, kind))


def _as_array(value: Any, dtype: Any = None, **given: Any) -> Any:
    """Return what `np.asarray` returns: the same array where it is one."""
    return value if isinstance(value, Array) and dtype is None else _array(value, dtype, **given)


def _enumerated(array: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    return ((index, array[index]) for index in np.ndindex(array.shape))


def _like(make: Callable[..., Any], array: Any, *rest: Any, **given: Any) -> Any:
    """Return a new array of the shape and dtype of another, to be written into."""
    dtype = given.get("dtype") or np.result_type(
        plain(array).dtype if hasattr(array, "dtype") else plain(array)
    )
    shape = given.get("shape")
    return Array(
        make(
            np.shape(plain(array)) if shape is None else shape,
            *rest,
            dtype=jax.dtypes.canonicalize_dtype(dtype),
        )
    )


def _full(shape: Any, value: Any, dtype: Any = None) -> Any:
    if is_traced(value):
        return Array(jnp.full(plain(shape), plain(value), dtype))
    return Array(np.full(plain(shape), plain(value), dtype))


OWN: dict[str, Any] = {
    "array": _array,
    "asarray": _as_array,
    "asanyarray": _as_array,
    "ascontiguousarray": _as_array,
    "asfortranarray": _as_array,
    "asarray_chkfinite": _as_array,
    "zeros_like": functools.partial(_like, np.zeros),
    "ones_like": functools.partial(_like, np.ones),
    "empty_like": functools.partial(_like, np.zeros),
    "full_like": lambda array, value, **given: _like(
        lambda shape, dtype: plain(_full(shape, value, dtype)), array, **given
    ),
    "full": _full,
    "ndenumerate": _enumerated,
}


def _rebuilt(function: Any, memo: dict[int, Any]) -> Any:
    """Return a Python function whose names of NumPy, SciPy and `math` mean modules that return `Array`s."""
    if isinstance(function, functools.partial):
        inner = _rebuilt(function.func, memo)
        given = {key: _named(value, memo) for key, value in function.keywords.items()}
        return functools.partial(inner, *(_named(value, memo) for value in function.args), **given)
    if isinstance(function, types.MethodType):
        return types.MethodType(_rebuilt(function.__func__, memo), function.__self__)
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, types.FunctionType):
        return _named(function, memo) if not isinstance(function, types.FunctionType) else function
    if id(function) not in memo:
        names = dict(function.__globals__)
        cells = tuple(types.CellType() for _ in function.__code__.co_freevars)
        new = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
        new.__kwdefaults__ = function.__kwdefaults__
        memo[id(function)] = new
        replaced = {name: _named(value, memo) for name, value in named(function).items()}
        names.update({name: value for name, value in replaced.items() if name in names})
        for name, cell, old in zip(
            function.__code__.co_freevars, cells, function.__closure__ or (), strict=True
        ):
            _fill(cell, replaced.get(name), old)
    return memo[id(function)]


def _fill(cell: Any, new: Any, old: Any) -> None:
    with contextlib.suppress(ValueError):  # the name is assigned later
        cell.cell_contents = old.cell_contents if new is None else new


def _named(value: Any, memo: dict[int, Any]) -> Any:
    """Return what a name in the function means when it is run in JAX."""
    if value is math or (isinstance(value, types.ModuleType) and _root(value.__name__) in MODULES):
        return Module(value)
    if isinstance(value, np.ndarray):
        return Array(value)
    if isinstance(value, np.ufunc) or (
        callable(value) and _root(getattr(value, "__module__", "")) in MODULES
    ):
        return _entry(getattr(value, "__name__", ""), value)
    is_theirs = isinstance(value, types.FunctionType) and _root(value.__module__) not in (*MODULES, *OTHERS)
    return _rebuilt(value, memo) if is_theirs else value


def _root(name: str | None) -> str:
    return str(name or "").partition(".")[0]
