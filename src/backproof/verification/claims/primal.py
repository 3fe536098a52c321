"""The primal as JAX can differentiate it: as it is, or NumPy code run on arrays of JAX."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.errors import UsageError, message
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, is_inexact, widen
from backproof.verification.claims.by_point import primal_by_point, runs_by_point
from backproof.verification.claims.host import is_host
from backproof.verification.claims.names import name_of
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.claims.numpy_in_jax import numpy_in_jax
from backproof.verification.claims.same_values import apart
from backproof.verification.claims.samples import copied, example, shapes
from backproof.verification.points.draws import Points, text_of_shapes

Function = Callable[..., PyTree]


class Primal(NamedTuple):
    """Holds the primal.

    Attributes:
        function: the function.
        by_point: the same function for autodiff at one point at a time, if it needs that.
        untraceable: why JAX cannot differentiate it, if it is NumPy code of that kind.
        in_numpy: that code.
    """

    function: Function
    by_point: Function | None = None
    untraceable: str = ""
    in_numpy: Function | None = None


def primal_of(function: Function, held: Callable[[Function], Function], points: Points) -> Primal:
    """Return the primal as a function of the arguments that are not static.

    Args:
        function: the caller's function.
        held: makes of a function one of the arguments that are not static.
        points: where it is tried.

    Raises:
        UsageError: it is NumPy code that raises.
    """
    args = example(points)
    plain = held(function)
    if args is None:
        return Primal(plain)
    if not is_host(function):
        try:
            results = jax.eval_shape(plain, *shapes(args))
        except Exception as error:
            # What a function of JAX raises is reported where it is judged.
            if not is_numpy_code(function, error):
                return Primal(plain)
        else:
            _require_results(jax.tree.leaves(results), name_of(function))
            return Primal(plain)
    traced = held(numpy_in_jax(function))
    draws = [one for one in points.plain() if not one.empty]
    places = [args, *(one.build() for one in draws[1 : EFFORT.generic + 1])]
    in_numpy = _in_numpy(plain)
    _require_it_runs(in_numpy, widen(args), name_of(function))
    found = apart(in_numpy, traced, map(widen, places))
    if found is None:
        return Primal(traced)
    whole = primal_by_point(in_numpy, points)
    if runs_by_point(whole, traced, widen(args)):
        return Primal(whole, traced)
    return Primal(whole, untraceable=found, in_numpy=in_numpy)


def _require_results(results: list[Any], name: str) -> None:
    if not results:
        raise UsageError(
            message(
                must="the function must return arrays of real numbers, of which there is a gradient",
                found="nothing",
                where=name,
                do="return its result",
            )
        )


def _in_numpy(function: Function) -> Function:
    """Return a function that calls NumPy code with arrays that it may overwrite.

    Where it raises what Python raises of numbers (an overflow, a logarithm of 0), it has no value: NaN.
    """
    forms: dict[Any, PyTree] = {}
    first: list[PyTree] = []

    def called(*args: Any) -> PyTree:
        key = jax.tree.structure(args), text_of_shapes(args)
        try:
            result = jax.tree.map(np.asarray, function(*copied(args)))
            first.extend([] if first else [result])
            result = _of_the_kind(result, first[0])
        except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
            if key not in forms or not _is_of_numbers(error):
                raise
            return jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan, leaf.dtype), forms[key])
        forms[key] = result
        return result

    return called


def _of_the_kind(result: PyTree, first: PyTree) -> PyTree:
    """Return a result with real numbers where the first had them: Python's sum of nothing is an integer."""
    if jax.tree.structure(result) != jax.tree.structure(first):
        return result
    return jax.tree.map(
        lambda v, w: v.astype(w.dtype) if is_inexact(w) and not is_inexact(v) else v, result, first
    )


def _is_of_numbers(error: Exception) -> bool:
    """Return whether an error says that the function has no value for some numbers."""
    is_of_math = isinstance(error, ValueError) and str(error).startswith(("math domain", "expected a "))
    return is_of_math or isinstance(error, ArithmeticError | np.linalg.LinAlgError)


def _require_it_runs(in_numpy: Function, args: tuple[PyTree, ...], name: str) -> None:
    """Require that NumPy code returns numbers, and the same ones when it is called again.

    Raises:
        UsageError: it raises, or does not.
    """
    where = f"{name} at {text_of_shapes(args)}"
    try:
        with np.errstate(all="ignore"):
            results, again = (jax.tree.leaves(in_numpy(*args)) for _ in range(2))
    except Exception as error:
        raise UsageError(
            message(
                must="the function must run where its gradient is checked",
                found=f"{type(error).__name__}: {error}".splitlines()[0],
                where=where,
                do="mend the function or the specification of its arguments",
            )
        ) from error
    dtypes = ", ".join(str(leaf.dtype) for leaf in results) or "nothing"
    numbers = all(leaf.dtype.kind in "biufc" for leaf in results)
    if not numbers or not any(is_inexact(leaf) for leaf in results):
        raise UsageError(
            message(
                must="the function must return arrays of real numbers, of which there is a gradient",
                found=f"an array of dtype {dtypes}" if results else dtypes,
                where=where,
                do="return np.asarray(…, dtype=float)",
            )
        )
    if not all(np.array_equal(a, b, equal_nan=is_inexact(a)) for a, b in zip(results, again, strict=True)):
        raise UsageError(
            message(
                must="the function must return the same numbers when it is called again",
                found="others",
                where=where,
                do="take random numbers from a generator that begins anew in each call",
            )
        )
