"""Functions traced into programs, in float64 on the CPU whatever the user has set."""

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.interpreters.partial_eval import dce_jaxpr

from backproof.numerics.leaves import is_inexact, shapes_of
from backproof.numerics.own_arrays import with_own_arrays

# The forms of results that are known, kept as long as their function.
FORMS: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()
# A function with a rule of its own is differentiated by that rule, whatever its body holds.
RULED = frozenset({"custom_jvp_call", "custom_vjp_call"})
# The name of a program that is computed as one operation.
AS_A_WHOLE = "backproof_as_a_whole"
SINGLE = (np.float32, np.complex64)
# Calls that run their program once, on their own operands.
WITHOUT_LOOPS = frozenset(
    {"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call"}
)


@dataclass(frozen=True)
class Program:
    """Holds a function traced at one set of shapes.

    Attributes:
        jaxpr: the traced program, a ClosedJaxpr.
        tree: the tree of its output.
    """

    jaxpr: Any
    tree: Any

    @functools.cached_property
    def units(self) -> tuple[float, ...]:
        """The spacing at 1 of the coarsest numbers that each output comes from, no less than float64's."""
        jaxpr = self.jaxpr.jaxpr
        return tuple(_units_of(jaxpr, [float(np.finfo(np.float64).eps)] * len(jaxpr.invars)))


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Work in float64 on the CPU, whatever the user has set, and only here."""
    with jax.enable_x64(True), jax.default_device(cpu()):
        yield


def cpu() -> Any:
    """Return the CPU device, on which every float64 judgement runs."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        raise RuntimeError(
            "backproof judges in float64 on the CPU, but jax has no CPU backend here: "
            'add it to the platform list, e.g. JAX_PLATFORMS="cuda,cpu"'
        ) from error


def form_of(f: Callable[..., Any], *args: Any) -> Any:
    """Return the shapes and dtypes of `f(*args)` under JAX's current settings; what is known is kept."""
    try:
        forms = FORMS.setdefault(f, {})
    except TypeError:  # an object of a class that has no hash or takes no weak reference
        return jax.eval_shape(f, *args)
    key = shapes_of(args), jnp.result_type(float)
    if key not in forms:
        forms[key] = jax.eval_shape(with_own_arrays(f) if key[1] == np.float64 else f, *args)
    return forms[key]


def trace(f: Callable[..., Any], *args: Any) -> Program:
    """Return `f` traced at the shapes and dtypes of `args`, in float64, with arrays of its own."""
    with float64():
        return traced(with_own_arrays(f), *args)


def traced(f: Callable[..., Any], *args: Any) -> Program:
    """Return `f` traced under JAX's current settings, without the operations that its result does not need.

    A derivative by `jax.vjp` also computes the function's value, which is dropped.
    """
    jaxpr, shape = jax.make_jaxpr(f, return_shape=True)(*args)
    if _writes(jaxpr):
        jaxpr, shape = jax.make_jaxpr(_whole(f), return_shape=True)(*args)
    needed, _ = dce_jaxpr(jaxpr.jaxpr, [True] * len(jaxpr.out_avals), instantiate=True)
    return Program(ClosedJaxpr(needed, jaxpr.consts), jax.tree.structure(shape))


def _whole(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` as one operation: code that writes into memory is not interpreted line by line."""

    def whole(*args: Any) -> Any:
        return f(*args)

    whole.__name__ = AS_A_WHOLE
    return jax.jit(whole)


def _writes(program: ClosedJaxpr | Jaxpr) -> bool:
    """Return whether a program makes references (`jax.new_ref`); those given to a kernel do not count."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    if any(is_reference(var) for var in jaxpr.invars):
        return False
    return any(
        any(is_reference(var) for var in eqn.outvars) or any(map(_writes, inner_programs(eqn.params)))
        for eqn in jaxpr.eqns
    )


def is_reference(var: Any) -> bool:
    """Return whether a variable of a program stands for memory that is written, not for a value."""
    return hasattr(var.aval, "inner_aval")


def narrows(eqn: Any) -> bool:
    """Return whether an operation returns floating numbers of fewer digits than it receives."""
    held = [[var.aval.dtype for var in side if _is_number(var)] for side in (eqn.invars, eqn.outvars)]
    before, after = ([float(jnp.finfo(dtype).eps) for dtype in dtypes] for dtypes in held)
    return bool(before and after) and max(after) > max(before)


def same_program(one: Program, other: Program) -> bool:
    """Return whether two programs are the same, operation by operation and constant by constant.

    Code on the host does not show what it computes, so a program that calls some equals no other.
    """
    texts = [str(program.jaxpr) for program in (one, other)]
    if texts[0] != texts[1] or "callback" in texts[0]:
        return False
    held = [list(_constants_in(program.jaxpr)) for program in (one, other)]
    return len(held[0]) == len(held[1]) and all(np.array_equal(*pair) for pair in zip(*held, strict=True))


def _constants_in(program: ClosedJaxpr | Jaxpr) -> Iterator[Any]:
    """Yield the arrays that a program holds; its text names them only."""
    if isinstance(program, ClosedJaxpr):
        yield from program.consts
    for eqn in _bare(program).eqns:
        for inner in inner_programs(eqn.params):
            yield from _constants_in(inner)


def independent_of(program: Program, first: int) -> list[bool]:
    """Return for each output whether it comes from none of the inputs from number `first` on."""
    jaxpr = program.jaxpr.jaxpr
    given = [float(i >= first) for i in range(len(jaxpr.invars))]
    return [not comes for comes in _reached(jaxpr, given)]


def _reached(jaxpr: Jaxpr, given: Sequence[Any]) -> list[bool]:
    """Return which outputs come from the marked inputs."""
    marked = {var for var, mark in zip(jaxpr.invars, given, strict=True) if mark}
    for eqn in jaxpr.eqns:
        held = [not isinstance(var, Literal) and var in marked for var in eqn.invars]
        programs = [_bare(one) for one in inner_programs(eqn.params)]
        outs = [any(held)] * len(eqn.outvars)
        if eqn.primitive.name in WITHOUT_LOOPS and len(programs) == 1:
            outs = _reached(programs[0], held)
        marked |= {var for var, comes in zip(eqn.outvars, outs, strict=True) if comes}
    return [not isinstance(var, Literal) and var in marked for var in jaxpr.outvars]


def _units_of(jaxpr: Jaxpr, given: list[float]) -> list[float]:
    """Return the spacing at 1 of the coarsest numbers behind each output, given those behind the inputs."""
    known: dict[Any, float] = dict(zip(jaxpr.invars, given, strict=True))
    least = float(np.finfo(np.float64).eps)
    for eqn in jaxpr.eqns:
        held = [known.get(var, least) for var in eqn.invars if not isinstance(var, Literal)]
        unit = max([least, *held])
        programs = [_bare(one) for one in inner_programs(eqn.params)]
        if len(programs) == 1 and len(programs[0].invars) == len(held) == len(eqn.invars):
            outs = _units_of(programs[0], held)
            outs = outs if len(outs) == len(eqn.outvars) else [max([unit, *outs])] * len(eqn.outvars)
        else:
            outs = [max([unit, _narrowed(eqn)])] * len(eqn.outvars)
        known.update(zip(eqn.outvars, outs, strict=True))
    return [known.get(var, least) if not isinstance(var, Literal) else least for var in jaxpr.outvars]


def _narrowed(eqn: Any) -> float:
    """Return the spacing at 1 of the coarsest numbers to which an operation rounds, also inside; else 0."""
    inside = [_narrowed(one) for program in inner_programs(eqn.params) for one in _bare(program).eqns]
    own = [float(jnp.finfo(_dtype_of(var)).eps) for var in eqn.outvars if narrows(eqn) and _is_number(var)]
    return max([0.0, *inside, *own])


def _bare(program: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return program.jaxpr if isinstance(program, ClosedJaxpr) else program


def _dtype_of(var: Any) -> Any:
    return var.aval.dtype


def computes_in_float32(program: ClosedJaxpr | Jaxpr) -> bool:
    """Return whether some operation of a program rounds wider numbers to float32."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    return any(
        _gives_float32(eqn) or any(map(computes_in_float32, inner_programs(eqn.params))) for eqn in jaxpr.eqns
    )


def _gives_float32(eqn: Any) -> bool:
    is_call = any(inner_programs(eqn.params))
    return not is_call and narrows(eqn) and eqn.outvars[0].aval.dtype in SINGLE


def _is_number(var: Any) -> bool:
    return hasattr(var.aval, "dtype") and is_inexact(var.aval)  # a token of ordered effects has no dtype


def inner_programs(params: dict[str, Any]) -> Iterator[ClosedJaxpr | Jaxpr]:
    """Yield the programs that an operation with these parameters runs: calls, branches, loops."""
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, ClosedJaxpr | Jaxpr):
                yield one


def with_programs(params: dict[str, Any], change: Callable[[Jaxpr], Jaxpr]) -> dict[str, Any]:
    """Return the parameters of an operation with each program that it runs changed."""
    return {key: _with_program(value, change) for key, value in params.items()}


def _with_program(value: Any, change: Callable[[Jaxpr], Jaxpr]) -> Any:
    if isinstance(value, ClosedJaxpr):
        return ClosedJaxpr(change(value.jaxpr), value.consts)
    if isinstance(value, Jaxpr):
        return change(value)
    plain = type(value) in (tuple, list)
    return type(value)(_with_program(one, change) for one in value) if plain else value
