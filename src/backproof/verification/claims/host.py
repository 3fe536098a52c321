"""Code by hand that is NumPy code: it is called with arrays, and judged by its results.

JAX cannot trace such code as it is, so that `jit`, `vmap` and a second derivative do not apply to it.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, is_floating, is_inexact, is_key, widen
from backproof.numerics.rounding import epsilon
from backproof.numerics.tracing import float64
from backproof.numerics.whole_operations import ON_HOST
from backproof.verification.claims.by_point import code_by_point
from backproof.verification.claims.conventions import convention_of
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.claims.numpy_in_jax import numpy_in_jax
from backproof.verification.claims.one_operation import one_operation
from backproof.verification.claims.same_values import apart
from backproof.verification.claims.samples import cast, copied, example, shapes
from backproof.verification.points.directions import direction
from backproof.verification.points.draws import Points

NOTE = (
    "the hand-written side is NumPy code: it is called on the host, "
    "so vmap and the second derivative do not apply"
)


class Derivative(NamedTuple):
    """Holds a derivative by hand.

    Attributes:
        code: the caller's function.
        how: `(code, args, direction) -> result`, the call of that function.
        form: `(result, args, direction) -> result`, the same result in the form of a claim.
        like: `(args, direction) -> tree`, whose dtypes the result has.
    """

    code: Callable[..., Any]
    how: Callable[[Any, Any, Any], PyTree]
    form: Callable[[PyTree, Any, Any], PyTree]
    like: Callable[[Any, Any], PyTree]

    def call(self, args: Any, towards: Any) -> PyTree:
        """Return what the caller's function returns."""
        return self.how(self.code, args, towards)

    def function(self) -> Callable[[Any, Any], PyTree]:
        """Return the derivative as a function, which JAX can transform."""
        return lambda args, towards: self.form(self.call(args, towards), args, towards)


class HostCode(NamedTuple):
    """Holds a derivative that is NumPy code; it returns NumPy arrays in the dtypes of the gradient."""

    derivative: Derivative
    after: tuple[Callable[[PyTree, Any], PyTree], ...] = ()

    def then(self, change: Callable[[PyTree, Any], PyTree]) -> "HostCode":
        """Return the same code, its result changed by `(result, args) -> result` afterwards."""
        return self._replace(after=(*self.after, change))

    def __call__(self, args: Any, towards: Any) -> PyTree:
        """Return the derivative at `args`, which the code may overwrite: it gets copies."""
        held, there = copied((args, towards))
        with np.errstate(all="ignore"):
            result = jax.tree.map(_numbers, self.derivative.call(held, there))
            result = self.derivative.form(result, args, towards)
            result = cast(result, self.derivative.like(args, towards))
            for change in self.after:
                result = change(result, args)
        return result

    def changed(self, args: Any, towards: Any) -> str | None:
        """Return a sentence if the code writes into the arrays that it is given."""
        given = copied((args, towards))
        with np.errstate(all="ignore"):
            self.derivative.call(*given)
        before, after = (jax.tree.leaves_with_path(tree) for tree in ((args, towards), given))
        for (path, old), (_, new) in zip(before, after, strict=True):
            if not is_key(old) and not np.array_equal(
                np.asarray(old), np.asarray(new), equal_nan=is_inexact(old)
            ):
                side, inside = (
                    ("its arguments", "args") if path[0].idx == 0 else ("its direction", "direction")
                )
                return f"it changes {side} in place: {inside}{jax.tree_util.keystr(path[1:])}"
        return None


def _numbers(leaf: Any) -> np.ndarray:
    """Return what NumPy code returns as an array of numbers; a leaf of any other kind raises."""
    array = np.asarray(leaf)
    if array.dtype.kind == "O":
        raise TypeError("it returns an array of Python objects, where the gradient is one of numbers")
    return array


def host(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, said to be NumPy code: `verify` calls it with NumPy arrays and does not trace it.

    NumPy code is usually found by itself. This is for code that JAX can trace and that should be called with
    arrays all the same, say because it prints, or calls into another library.
    """

    @functools.wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        return function(*args, **named)

    setattr(called, ON_HOST, True)
    return called


def is_host(function: Any) -> bool:
    """Return whether the caller said with `host` that a function is NumPy code."""
    return bool(getattr(function, ON_HOST, False))


def host_code(derivative: Derivative, points: Points, like: Callable[[Any], Any]) -> HostCode | None:
    """Return the derivative as NumPy code if it is such code; else None.

    Args:
        derivative: the derivative.
        points: where it is tried.
        like: gives the shapes and dtypes of a direction at the shapes of arguments.
    """
    if is_host(derivative.code):
        return HostCode(derivative)
    args = example(points)
    if args is None:
        return None
    try:
        known = shapes(args)
        jax.eval_shape(derivative.call, known, like(known))
    except Exception as error:
        # Any code of the caller may raise; what it raises as JAX code is reported by the contract.
        return HostCode(derivative) if is_numpy_code(derivative.code, error) else None
    return None


def traceable(
    code: HostCode, truth: Callable[..., PyTree], points: Points, like: Callable[[Any], Any]
) -> Callable[[Any, Any], PyTree]:
    """Return `code` as a function that JAX can trace, by which its rounding noise is measured.

    It is the code run on arrays of JAX where it has the same values there, at each point along its own path
    if it decides by values. Otherwise it is one operation, whose roundings are hidden.

    Args:
        code: the NumPy code.
        truth: the same derivative by autodiff.
        points: where it is tried.
        like: gives the shapes and dtypes of a direction at the shapes of arguments.
    """
    dtype = convention_of(code.derivative.code).dtype
    if dtype is not None:
        return _rounded_to(dtype, one_operation(code, functools.partial(jax.eval_shape, truth), points))
    inside = code.derivative._replace(code=numpy_in_jax(code.derivative.code))

    def hand(args: Any, towards: Any) -> PyTree:
        return cast(inside.function()(args, towards), inside.like(args, towards))

    draws = [one for one in points.plain() if not one.empty]
    args = [widen(one.build()) for one in draws[: EFFORT.generic + 1]] or [widen(example(points))]
    with float64():
        places = [(one, direction(like(one), number, "random")) for number, one in enumerate(args)]
        form = functools.partial(jax.eval_shape, truth)
        ways = hand, code_by_point(hand, form)
        try:
            return next(
                (way for way in ways if apart(code, way, places) is None), one_operation(code, form, points)
            )
        except Exception:
            # The code raises at these numbers: what it raises where it is judged is reported there.
            return one_operation(code, form, points)


def _rounded_to(dtype: Any, hand: Callable[[Any, Any], PyTree]) -> Callable[[Any, Any], PyTree]:
    """Return a function whose result is seen to have the precision in which its code computes."""

    def rounded(args: Any, towards: Any) -> PyTree:
        def narrowed(leaf: Any) -> Any:
            is_coarser = is_floating(leaf) and epsilon(dtype) > epsilon(leaf.dtype)
            return leaf.astype(dtype).astype(leaf.dtype) if is_coarser else leaf

        return jax.tree.map(narrowed, hand(args, towards))

    return rounded
