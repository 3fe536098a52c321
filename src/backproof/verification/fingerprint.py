"""What a call of the verifier rests on: its functions, what these read, and its other arguments.

Two calls with equal fingerprints verify the same claim, so that the second can use what the first has traced.
A function is known by its code, the values that it closes over, and the globals that it names, to any depth
in the user's own code. So a helper that was defined anew, or a constant that was changed, is another claim.
"""

import functools
import hashlib
import sysconfig
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from backproof.numerics.leaves import is_key

SCALARS = (type(None), bool, int, float, complex, str, bytes, types.CodeType, type)
# Code of others is known by its function: it is not edited while a process runs.
LIBRARIES = tuple(
    str(Path(place).resolve())
    for place in (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), Path(__file__).parents[1])
    if place
)
# Settings of JAX under which a function is traced into another program.
SETTINGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_default_device", "jax_disable_jit",
    "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "jax_default_prng_impl",
    "jax_threefry_partitionable", "jax_debug_nans",
)  # fmt: skip
# The functions inside those that `jax.jit`, `jax.custom_vjp` and `jax.custom_jvp` return.
RULED = ("__wrapped__", "fun", "fwd", "bwd", "jvp")
Place = tuple[Any, ...]


class Fingerprint:
    """Holds the parts of a fingerprint by their place; it is a class to know what it has visited.

    Attributes:
        parts: what stands at each place, in a form that can be compared.
        held: the objects that are known by their identity, kept so that no other can take it over.
    """

    def __init__(self, **named: Any) -> None:
        """Take the fingerprint of named values and of JAX's settings."""
        self.parts: dict[Place, Any] = {(name,): getattr(jax.config, name, None) for name in SETTINGS}
        self.held: list[Any] = []
        self._visited: set[int] = set()
        self._alive: list[Any] = []  # so that no identity is used twice
        for name, value in named.items():
            self._visit(value, (name,))

    def _visit(self, value: Any, place: Place) -> None:
        inside = dict(self._inside(value))
        self.parts[place] = self._own(value)
        if inside and id(value) not in self._visited:
            self._visited.add(id(value))
            self._alive += [value, *inside.values()]
            for name, part in inside.items():
                self._visit(part, (*place, name))

    def _own(self, value: Any) -> Any:
        """Return what is known of a value apart from what is inside it."""
        if isinstance(value, SCALARS):
            return type(value), repr(value) if isinstance(value, float) else value
        if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
            content = hashlib.blake2b(np.ascontiguousarray(value).tobytes()).digest()
            return type(value), value.shape, str(value.dtype), content
        if _is_array(value):
            return value.shape, str(value.dtype)
        if isinstance(value, types.FunctionType) and not _is_of_library(value):
            return value.__code__, id(value.__globals__)
        if isinstance(value, list | tuple | dict | functools.partial) or is_dataclass(value):
            return type(value), len(value) if isinstance(value, list | tuple | dict) else 0
        self.held.append(value)
        return id(value)

    def _inside(self, value: Any) -> Iterator[tuple[Any, Any]]:
        """Yield what a value consists of, each part with its name."""
        if isinstance(value, dict):
            yield from value.items()
        elif isinstance(value, list | tuple):
            yield from enumerate(value)
        elif _is_array(value):
            yield "numbers", np.asarray(jax.random.key_data(value) if is_key(value) else value)
        elif isinstance(value, functools.partial):
            yield from {"func": value.func, "args": value.args, "keywords": value.keywords}.items()
        elif isinstance(value, types.MethodType):
            yield from {"self": value.__self__, "function": value.__func__}.items()
        elif isinstance(value, types.FunctionType):
            if not _is_of_library(value):
                yield from _read_by(value)
        elif is_dataclass(value) and not isinstance(value, type):
            yield from ((one.name, getattr(value, one.name)) for one in fields(value))
        else:
            yield from (
                (name, getattr(value, name)) for name in RULED if callable(getattr(value, name, None))
            )


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array) and not isinstance(value, Tracer)


def _read_by(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function reads: its defaults, what it closes over, and the globals that it names."""
    yield "defaults", function.__defaults__
    yield "keyword defaults", function.__kwdefaults__
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"closure {name}", cell.cell_contents
        except ValueError:
            continue  # it is not set yet
    spaces: list[Mapping[str, Any]] = [function.__globals__]
    names = sorted(set(_names_in(function.__code__)))
    modules = [function.__globals__.get(name) for name in names]
    spaces += [vars(one) for one in modules if isinstance(one, types.ModuleType) and not _is_library(one)]
    for number, space in enumerate(spaces):
        found = ((name, space[name]) for name in names if name in space)
        yield from (
            (f"global {number} {name}", one) for name, one in found if not isinstance(one, types.ModuleType)
        )


def _names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield from _names_in(one)


def _is_of_library(function: types.FunctionType) -> bool:
    return _stands_in_library(function.__code__.co_filename)


def _is_library(module: types.ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or _stands_in_library(file)


@functools.cache
def _stands_in_library(file: str) -> bool:
    resolved = str(Path(file).resolve())
    return any(resolved.startswith(place) for place in LIBRARIES)
