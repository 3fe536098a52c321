"""Code by hand that is NumPy code: it is called with arrays, and judged by its results.

JAX cannot trace such code. One call of it stands in a program as one operation (`jax.pure_callback`), so that
`jit`, `vmap` and a second derivative do not apply to it.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError
from backproof.numerics.leaves import PyTree, is_complex, is_floating, is_key, shapes_of
from backproof.numerics.whole_operations import ON_HOST
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.points.directions import direction
from backproof.verification.points.draws import Drawn, Points
from backproof.verification.points.hypothesis_draws import draw

NOTE = (
    "the hand-written side is NumPy code: it is called on the host, "
    "so vmap and the second derivative do not apply"
)


class Derivative(NamedTuple):
    """Holds a derivative by hand.

    Attributes:
        call: `(args, direction) -> result`, the call of the caller's code.
        form: `(result, args, direction) -> result`, the same result in the form of a claim.
        like: `(args, direction) -> tree`, whose dtypes the result has.
    """

    call: Callable[[Any, Any], PyTree]
    form: Callable[[PyTree, Any, Any], PyTree]
    like: Callable[[Any, Any], PyTree]

    def function(self) -> Callable[[Any, Any], PyTree]:
        """Return the derivative as a function, which JAX can transform."""
        return lambda args, towards: self.form(self.call(args, towards), args, towards)


class HostCode(NamedTuple):
    """Holds a derivative that is NumPy code; it returns NumPy arrays in the dtypes of the gradient."""

    derivative: Derivative

    def __call__(self, args: Any, towards: Any) -> PyTree:
        """Return the derivative at `args`, which the code may overwrite: it gets copies."""
        held, there = copied((args, towards))
        with np.errstate(all="ignore"):
            result = jax.tree.map(np.asarray, self.derivative.call(held, there))
            result = self.derivative.form(result, args, towards)
        return _cast(result, self.derivative.like(args, towards))

    def changed(self, args: Any, towards: Any) -> str | None:
        """Return a sentence if the code writes into the arrays that it is given."""
        given = copied((args, towards))
        with np.errstate(all="ignore"):
            self.derivative.call(*given)
        before, after = (jax.tree.leaves_with_path(tree) for tree in ((args, towards), given))
        for (path, old), (_, new) in zip(before, after, strict=True):
            if not is_key(old) and not np.array_equal(
                np.asarray(old), np.asarray(new), equal_nan=_has_nan(old)
            ):
                side, inside = (
                    ("its arguments", "args") if path[0].idx == 0 else ("its direction", "direction")
                )
                return f"it changes {side} in place: {inside}{jax.tree_util.keystr(path[1:])}"
        return None


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


def host_code(
    function: Any, derivative: Derivative, points: Points, like: Callable[[Any], Any]
) -> HostCode | None:
    """Return the derivative as NumPy code if `function`, which it calls, is such code; else None.

    Args:
        function: the caller's function.
        derivative: the derivative that calls it.
        points: where it is tried.
        like: gives the shapes and dtypes of a direction at the shapes of arguments.
    """
    if is_host(function):
        return HostCode(derivative)
    args = example(points)
    if args is None:
        return None
    try:
        known = shapes(args)
        jax.eval_shape(derivative.call, known, like(known))
    except Exception as error:
        # Any code of the caller may raise; what it raises as JAX code is reported by the contract.
        return HostCode(derivative) if is_numpy_code(function, error) else None
    return None


def example(points: Points) -> tuple[PyTree, ...] | None:
    """Return one argument tuple without an empty axis; None where there is none."""
    try:
        drawn = points.plain() or draw(points, 1, 0, "verify")
    except UsageError:
        return None  # nothing satisfies the specification, which is reported where the points are drawn
    return next((one.build() for one in drawn if not one.empty), None)


def traceable(code: HostCode, truth: Callable[..., PyTree], points: Points) -> Callable[[Any, Any], PyTree]:
    """Return `code` as a function that JAX can trace: one operation that calls it.

    Args:
        code: the NumPy code.
        truth: the same derivative by autodiff, whose form is that of the result where the code was not tried.
        points: where it is tried. At their shapes the code itself gives the form of its result.
    """
    drawn: dict[Any, Drawn] = {}

    def form(args: Any, towards: Any) -> PyTree:
        at, there = shapes((args, towards))
        drawn.update(() if drawn else ((_key(one.build()), one) for one in points.plain()[:20]))
        one = drawn.get(_key(at))
        try:
            if one is not None:
                held = jax.tree.map(lambda v, s: np.asarray(v, s.dtype) if _moves(s) else v, one.build(), at)
                return shapes(code(held, direction(there, 1, "random")))
        except Exception:
            # Code that raises at these numbers may run at others; where it is judged, its errors are its own.
            return jax.eval_shape(truth, at, there)
        return jax.eval_shape(truth, at, there)

    def hand(args: Any, towards: Any) -> PyTree:
        leaves, tree = jax.tree.flatten((args, towards))
        places = [i for i, leaf in enumerate(leaves) if not is_key(leaf) and _moves(leaf)]
        shape = form(args, towards)

        def call(*operands: Any) -> PyTree:
            held = dict(zip(places, operands, strict=True))
            result = code(*tree.unflatten([held.get(i, leaf) for i, leaf in enumerate(leaves)]))
            _check(result, shape)
            return result

        setattr(call, ON_HOST, True)
        return jax.pure_callback(call, shape, *(leaves[i] for i in places), vmap_method="sequential")

    return hand


def _check(result: PyTree, shape: PyTree) -> None:
    got, want = (jax.tree.map(np.shape, tree) for tree in (result, shape))
    if got != want:
        raise ValueError(
            f"the NumPy code returned arrays of shapes {got} where at other numbers it returned {want}"
        )


def shapes(tree: PyTree) -> PyTree:
    """Return the shapes and dtypes of arguments, or of directions."""
    return jax.tree.map(_shape, tree)


def copied(tree: PyTree) -> PyTree:
    """Return a tree of NumPy arrays that may be overwritten."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.array(leaf), tree)


def _cast(result: PyTree, like: PyTree) -> PyTree:
    """Return real and complex leaves in the dtypes of `like`, where it has the same tree."""
    found, tree = jax.tree.flatten(result)
    wanted = jax.tree.leaves(like)
    if tree != jax.tree.structure(like):
        return result
    return tree.unflatten([_cast_leaf(v, w) for v, w in zip(found, wanted, strict=True)])


def _cast_leaf(value: Any, like: Any) -> Any:
    kinds = any(kind(value) and kind(like) for kind in (is_floating, is_complex))
    with np.errstate(all="ignore"):
        return (
            np.asarray(value, np.result_type(like) if not hasattr(like, "dtype") else like.dtype)
            if kinds
            else value
        )


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), _narrowed(jnp.result_type(leaf)))


def _narrowed(dtype: Any) -> Any:
    """Return a dtype as JAX holds it under its current settings."""
    as_it_is = dtype == jax.dtypes.float0 or jnp.issubdtype(dtype, jax.dtypes.extended)
    return dtype if as_it_is else jax.dtypes.canonicalize_dtype(dtype)


def _moves(leaf: Any) -> bool:
    return getattr(leaf, "dtype", None) != jax.dtypes.float0


def _key(tree: Any) -> Any:
    structure, *leaves = shapes_of(tree)
    return (structure, *(shape for shape, _ in leaves))


def _has_nan(leaf: Any) -> bool:
    return is_floating(leaf) or is_complex(leaf)
