"""What a call of the verifier rests on: its functions, what these read, and its other arguments.

Two calls with equal fingerprints verify the same claim, so that the second can use what the first has traced.
A function is known by its code, the values that it closes over, and the globals that it names, to any depth
in the user's own code; so a helper that was defined anew, or a constant that was changed, is another claim.
Where something is reached that cannot be looked into, such as an object of a library that may change, the
fingerprint says so, and nothing is kept: to trace again costs a second, and a verdict on old code is wrong.
"""

import dis
import enum
import functools
import hashlib
import itertools
import sys
import sysconfig
import types
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_key

SCALARS = (type(None), bool, int, float, complex, str, bytes)
# Objects that never change, whatever library they come from; they are known by their identity.
FIXED: tuple[Any, ...] = (
    np.ufunc, np.dtype, enum.Enum, types.BuiltinFunctionType, types.MethodDescriptorType, types.ModuleType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType, jax.Device,
    jax.sharding.PartitionSpec, jax.sharding.Mesh, jax.sharding.Sharding, jax.numpy.ufunc,
)  # fmt: skip
# What `jax.jit`, `jax.custom_vjp` and their like return: the functions in it are looked into.
WRAPPERS = (jax.custom_vjp, jax.custom_jvp, jax.custom_batching.custom_vmap, jax.stages.Wrapped)
# Code of others is not edited while a process runs.
LIBRARIES = tuple(
    Path(place).resolve()
    for place in (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), Path(__file__).parents[1])
    if place
)
# Settings of JAX under which a function is traced into another program.
SETTINGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_default_device", "jax_disable_jit",
    "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "jax_default_prng_impl",
    "jax_threefry_partitionable", "jax_debug_nans",
)  # fmt: skip
# Names in the dictionary of a class or a module that say nothing about what its code computes.
BOOKKEEPING = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__annotate_func__",
     "__annotations_cache__", "__dataclass_fields__", "__dataclass_params__", "__match_args__"}
)  # fmt: skip
# The operations of Python's byte code that read a name, by the field of `Named` that holds it.
READS = {
    "globals": ("LOAD_GLOBAL", "LOAD_NAME"),
    "attributes": ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"),
    "modules": ("IMPORT_NAME",),
}
# Functions through which a code reads what its names do not tell.
INDIRECT = frozenset({"globals", "vars", "eval", "exec", "__import__"})
Place = tuple[Any, ...]


class Named(NamedTuple):
    """Holds the names that a code reads: globals, attributes of anything, and modules that it imports."""

    globals: frozenset[str]
    attributes: frozenset[str]
    modules: frozenset[str]


class Fingerprint:
    """Holds the parts of a fingerprint by their place; it is a class to know what it has visited.

    Attributes:
        parts: what stands at each place, in a form that can be compared.
        held: the objects that are known by their identity, kept so that no other can take it over.
        is_whole: whether all that was reached could be looked into.
    """

    def __init__(self, **named: Any) -> None:
        """Take the fingerprint of named values and of JAX's settings."""
        self.parts: dict[Place, Any] = {(name,): getattr(jax.config, name, None) for name in SETTINGS}
        self.held: list[Any] = []
        self.is_whole: bool = True
        self._visited: set[int] = set()
        try:
            for name, value in named.items():
                self._visit(value, (name,))
        except Exception:
            # Any object of the user may raise where it is looked into; then it is not known.
            self.is_whole = False

    def _visit(self, value: Any, place: Place) -> None:
        if len(self.parts) > EFFORT.fingerprint or not self.is_whole:
            self.is_whole = False
            return
        own, inside = self._seen(value)
        self.parts[place] = own
        if not inside or id(value) in self._visited:
            return
        self._visited.add(id(value))
        self.held += [value, *inside.values()]  # alive, so that no identity is used twice
        for name, part in inside.items():
            self._visit(part, (*place, name))

    def _seen(self, value: Any) -> tuple[Any, dict[Any, Any]]:
        """Return what is known of a value in itself, and what it consists of, each part with its name."""
        kind = type(value)
        if isinstance(value, SCALARS):
            return (kind, repr(value) if isinstance(value, float | complex) else value), {}
        if isinstance(value, itertools.count):  # a counter of the user
            return (kind, repr(value)), {}
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return (kind, *_numbers(value)), {}
        if isinstance(value, list | tuple):
            return (kind, len(value)), dict(enumerate(value))
        if isinstance(value, dict):
            return (kind, len(value)), dict(value)
        if isinstance(value, set | frozenset) and all(isinstance(one, SCALARS) for one in value):
            return (kind, frozenset(value)), {}
        if is_dataclass(kind) and kind.__dataclass_params__.frozen:
            return kind, {**vars(value), "class": kind}
        if isinstance(value, functools.partial):
            return kind, {"func": value.func, "args": value.args, "keywords": value.keywords}
        if isinstance(value, types.MethodType):
            return kind, {"self": value.__self__, "function": value.__func__}
        if isinstance(value, types.FunctionType):
            return _of_function(value)
        if isinstance(value, staticmethod | classmethod | property | functools.cached_property):
            parts = ("__func__", "fget", "func")
            return kind, {name: getattr(value, name) for name in parts if hasattr(value, name)}
        self.held.append(value)
        if isinstance(value, type):
            return id(value), {} if _is_of_library(value) else _of_space(value, value.__bases__)
        if kind.__module__.startswith("jax") and isinstance(value, WRAPPERS):  # a mock is anything
            inside = {name: one for name, one in vars(value).items() if callable(one)}
            return id(value), {**inside, "__wrapped__": getattr(value, "__wrapped__", None)}
        if isinstance(value, FIXED) or kind is object:  # a bare object is a mark that only is or is not
            return id(value), {}
        self.is_whole = self.is_whole and not _may_change(value)
        return id(value), {**getattr(value, "__dict__", {}), "class": kind}


def _of_function(function: types.FunctionType) -> tuple[Any, dict[Any, Any]]:
    """Return the code of a function, and what it reads; of a library's function, what it closes over."""
    inside: dict[Any, Any] = {"defaults": (function.__defaults__, function.__kwdefaults__)}
    names = _names_in(function.__code__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if cell != types.CellType():  # one that is not set yet
            inside |= _of_name(f"closure {name}", cell.cell_contents, names.attributes)
    inside |= {f"attribute {name}": one for name, one in vars(function).items()}
    if stands_in_library(function.__code__.co_filename):
        return (function.__code__, id(function.__globals__)), inside
    if names.globals & INDIRECT:
        raise TypeError("what this code reads cannot be known from its names")
    for name in sorted(names.globals & set(function.__globals__)):
        inside |= _of_name(f"global {name}", function.__globals__[name], names.attributes)
    for module in _imported(names.modules, function.__globals__.get("__package__")):
        inside |= _of_name(f"import {module.__name__}", module, names.attributes)
    return (function.__code__, id(function.__globals__)), inside


def _of_name(name: str, value: Any, attributes: frozenset[str]) -> dict[Any, Any]:
    """Return what a name stands for; of a module of the user, what it holds under the attributes read."""
    if not isinstance(value, types.ModuleType):
        return {name: value}
    if _is_of_library(value):
        return {}
    found: dict[Any, Any] = {}
    for attribute in sorted(attributes & set(vars(value))):
        found |= _of_name(f"{name}.{attribute}", vars(value)[attribute], attributes)
    return found


def _imported(names: frozenset[str], package: str | None) -> list[types.ModuleType]:
    """Return the modules that a function imports where it runs, those that hold them included.

    Raises:
        TypeError: one of them is not imported yet, so that what stands in it cannot be known.
    """
    found = []
    for name in sorted(names):
        places = [name, ".".join([package or "", name]).strip(".")]
        whole = next((place for place in places if place in sys.modules), None)
        if whole is None:
            raise TypeError(f"the module {name} is not imported yet")
        parts = whole.split(".")
        found += [sys.modules[".".join(parts[:number])] for number in range(1, len(parts) + 1)]
    return found


def _of_space(owner: type, bases: tuple[type, ...]) -> dict[Any, Any]:
    """Return what stands in the namespace of a class, and its bases."""
    own = {name: one for name, one in vars(owner).items() if name not in BOOKKEEPING}
    return {**own, "bases": bases}


def _numbers(value: Any) -> tuple[Any, ...]:
    """Return the shape, the dtype and a digest of the numbers of an array."""
    if isinstance(value, Tracer):
        raise TypeError("an array that is being traced has no numbers")
    held = np.asarray(jax.random.key_data(value) if is_key(value) else value)
    if held.dtype == object:
        raise TypeError("an array of objects has no numbers")
    return held.shape, str(held.dtype), hashlib.blake2b(np.ascontiguousarray(held).tobytes()).digest()


def _may_change(value: Any) -> bool:
    """Return whether an object may change in ways that its attributes do not show: it is of a library."""
    return _is_of_library(type(value)) or not hasattr(value, "__dict__")


@functools.lru_cache(maxsize=4096)
def _names_in(code: types.CodeType) -> Named:
    """Return the names that a code, and the code inside it, reads."""
    inner = [_names_in(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    read = {field: set[str]() for field in READS}
    for instruction in dis.get_instructions(code):
        for field, operations in READS.items():
            if instruction.opname in operations:
                read[field].add(str(instruction.argval))
    return Named(*(frozenset(read[field]).union(*(getattr(one, field) for one in inner)) for field in READS))


def _is_of_library(owner: Any) -> bool:
    """Return whether a class or a module is of the standard library, an installed package or backproof."""
    if isinstance(owner, types.ModuleType):
        file = getattr(owner, "__file__", None)
        return file is None or stands_in_library(file)
    module = sys.modules.get(owner.__module__)
    file = getattr(module, "__file__", None)
    return owner.__module__ == "builtins" or (file is not None and stands_in_library(file))


@functools.lru_cache(maxsize=4096)
def stands_in_library(file: str) -> bool:
    """Return whether a file is of the standard library, an installed package or backproof."""
    resolved = Path(file).resolve()
    return any(resolved.is_relative_to(place) for place in LIBRARIES)
