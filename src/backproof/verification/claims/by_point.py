"""NumPy code that decides by values, as `if x[i] > 0`: JAX differentiates it at one point at a time.

At each point its decisions are noted first, and the code is traced along that path. Both the function and its
derivative are single operations of a program.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import difference
from backproof.numerics.interpreter import run
from backproof.numerics.leaves import PyTree, is_inexact, shapes_of
from backproof.numerics.noise import measure
from backproof.numerics.tracing import Program, float64, trace
from backproof.verification.claims.deciding import Path, deciding
from backproof.verification.claims.one_operation import one_operation
from backproof.verification.claims.samples import cast, copied, shapes
from backproof.verification.points.draws import Points

NOTE = (
    "the function is NumPy code that decides by values: autodiff runs at one point at a time, "
    "and no precision but float64 was judged"
)
WIDE = (np.longdouble, np.clongdouble)
Function = Callable[..., PyTree]


def primal_by_point(function: Function, points: Points) -> Function:
    """Return a function in NumPy as one operation."""

    def called(args: Any, towards: Any) -> PyTree:
        del towards
        with np.errstate(all="ignore"):
            return jax.tree.map(np.asarray, function(*copied(args)))

    def form(args: Any, towards: Any) -> PyTree:
        return shapes(called(jax.tree.map(_numbers, args), towards))

    whole = one_operation(called, form, points)
    return lambda *args: whole(args, ())


def derivative_by_point(
    traced: Function, derivative: Callable[[Function], Function], form: Function
) -> Function:
    """Return a derivative by autodiff as one operation: at each point, that of its path through the code.

    Args:
        traced: the function, run on arrays of JAX.
        derivative: makes of a function its derivative, a function of arguments and direction.
        form: gives the form of the result.
    """
    return _by_path(lambda args, _: traced(*args), lambda path: derivative(_along(traced, path)), form)


def code_by_point(traced: Function, form: Function) -> Function:
    """Return NumPy code as one operation: at each point, the program of its path.

    Args:
        traced: the code, run on arrays of JAX: a function of arguments and direction.
        form: gives the form of the result.
    """
    return _by_path(traced, lambda path: _along(traced, path), form)


def _by_path(code: Function, along: Callable[[Sequence[Any]], Function], form: Function) -> Function:
    """Return a function of arguments and direction as one operation, which is traced along paths.

    Args:
        code: makes the decisions.
        along: gives the function, its decisions taken in advance.
        form: gives the form of the result.
    """
    programs: dict[Any, Program] = {}

    def called(args: Any, towards: Any, first: Any = None) -> PyTree:
        narrow = jax.tree.map(_narrow, (args, towards))
        deciding_by = narrow if first is None else jax.tree.map(_narrow, first)
        is_wide = any(leaf.dtype in WIDE for leaf in jax.tree.leaves((args, towards)))
        with float64():
            path = _path(code, deciding_by)
            key = (path, shapes_of(narrow))
            if key not in programs:
                programs[key] = trace(along(path), *narrow)
        return cast(run(programs[key], (args, towards), wide=is_wide)[0], form(args, towards))

    return one_operation(called, lambda args, towards: shapes(form(args, towards)), None, follows=True)


def _path(traced: Function, args: Any) -> tuple[Any, ...]:
    """Return the decisions of the code at some numbers."""
    with deciding(Path()) as path:
        traced(*args)
    return tuple(path.made)


def _along(traced: Function, path: Sequence[Any]) -> Function:
    """Return the code with its decisions taken in advance."""

    def function(*args: Any) -> PyTree:
        with deciding(Path(path)):
            return traced(*args)

    return function


def _narrow(leaf: Any) -> Any:
    held = np.asarray(leaf)
    return held.astype(np.float64) if held.dtype in WIDE else held


def runs_by_point(primal: Function, traced: Function, args: tuple[Any, ...]) -> bool:
    """Return whether the code has its own values at `args` when it is traced along its path there."""
    try:
        with float64():
            found = measure(_along(traced, _path(traced, args)), *args)
    except Exception:
        # Code that was not written for arrays of JAX may raise anything.
        return False
    wanted = measure(primal, *args)
    if jax.tree.map(np.shape, found.value) != jax.tree.map(np.shape, wanted.value):
        return False
    entry = difference(wanted.value, found.with_noise_of(wanted))
    return entry is None or not np.isfinite(entry.truth)


def _numbers(leaf: Any) -> Any:
    """Return some numbers of the shape of a leaf."""
    return np.full(leaf.shape, 0.5, leaf.dtype) if is_inexact(leaf) else np.zeros(leaf.shape, leaf.dtype)
