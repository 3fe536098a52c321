"""Operations that JAX itself runs: kernels, factorisations, and primitives that have no form in NumPy.

The roundings inside such an operation cannot be varied, so its operands are varied instead.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_inexact, is_key
from backproof.numerics.primitives import SOLVERS, widest
from backproof.numerics.rounding import SINGLE_ULP, moved
from backproof.numerics.tolerance import SOLVER_ULPS
from backproof.numerics.tracing import computes_in_float32, inner_programs

# A call of Python code: the roundings inside it are hidden as well.
CALLBACK = "pure_callback"
# The mark of a function that is NumPy code, which the interpreter calls without JAX.
ON_HOST = "backproof_on_host"
# The mark of such a function that can take the decisions of other operands, given as `first=`.
FOLLOWS = "backproof_follows"


def is_whole(eqn: Any) -> bool:
    """Return whether an operation hides many roundings: a factorisation, or a program of its own."""
    return eqn.primitive.name in (*SOLVERS, CALLBACK) or any(inner_programs(eqn.params))


def varied(eqn: Any, operands: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Return operands moved by a few units in the last place of the precision that the operation uses."""
    return [moved(v, np.abs(v), ulps_of(eqn), rng) if is_inexact(v) else v for v in operands]


def ulps_of(eqn: Any) -> float:
    """Return by how many units in the last place of float64 the operands of an operation may be moved."""
    single = any(map(computes_in_float32, inner_programs(eqn.params)))
    return SOLVER_ULPS * (SINGLE_ULP if single else 1)


def bound(eqn: Any, first: Sequence[Any] | None = None) -> Callable[..., Any]:
    """Return an operation that runs wider operands in float64; if it has a program, that is compiled once.

    Args:
        eqn: the operation.
        first: operands by which it takes its decisions, where it is code that can; None for its own.
    """
    code = _code_on_host(eqn, first)
    if code is not None:
        return code
    run = _compiled(eqn) if any(inner_programs(eqn.params)) else functools.partial(_run, eqn)

    def operation(*operands: Any, **_: Any) -> Any:
        out = run(*map(_narrow, operands))
        several = eqn.primitive.multiple_results
        back = [_result(v, operands) for v in (out if several else [out])]
        return back if several else back[0]

    return operation


def _run(eqn: Any, *operands: Any) -> Any:
    """Run an operation on its mesh, if it has one, as JAX runs the operations of a program."""
    with eqn.ctx.manager:
        out = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else out


@functools.lru_cache(maxsize=EFFORT.kernels)
def _compiled(eqn: Any) -> Callable[..., Any]:
    return jax.jit(functools.partial(_run, eqn))


def _code_on_host(eqn: Any, first: Sequence[Any] | None) -> Callable[..., Any] | None:
    """Return a call of NumPy code that is marked as such, in long double where it runs there; else None."""
    if eqn.primitive.name != CALLBACK:
        return None
    callback = eqn.params["callback"]
    function: Any = getattr(callback, "callback_func", None)
    if not getattr(function, ON_HOST, False):
        return None
    if first is not None and getattr(function, FOLLOWS, False):
        return lambda *operands, **_: jax.tree.leaves(function(*operands, first=first))

    def operation(*operands: Any, **params: Any) -> list[Any]:
        del params
        narrow = [_narrow(v) for v in operands]
        is_wide = any(a is not b for a, b in zip(operands, narrow, strict=True))
        try:
            return list(callback(*operands))
        except Exception:
            # Not all of NumPy, its linear algebra least of all, runs in long double.
            if not is_wide:
                raise
            return [_result(v, operands) for v in callback(*narrow)]

    return operation


def _narrow(value: Any) -> Any:
    if getattr(value, "dtype", None) == np.longdouble:
        return value.astype(np.float64)
    if getattr(value, "dtype", None) == np.clongdouble:
        return value.astype(np.complex128)
    return value


def _result(value: Any, operands: Sequence[Any]) -> Any:
    if is_key(value):
        return value
    array = np.asarray(value)
    wide = any(getattr(v, "dtype", None) in (np.longdouble, np.clongdouble) for v in operands)
    return array.astype(widest(array.dtype, wide))
