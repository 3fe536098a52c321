"""NumPy code as one operation of a program that JAX traces, which the interpreter calls with arrays.

The roundings inside it are hidden, so that its operands are varied instead.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, has_direction, is_key, shapes_of
from backproof.numerics.whole_operations import FOLLOWS, ON_HOST
from backproof.verification.claims.samples import shapes
from backproof.verification.points.directions import direction
from backproof.verification.points.draws import Drawn, Points

Function = Callable[[Any, Any], PyTree]


def one_operation(
    code: Callable[..., PyTree], otherwise: Function, points: Points | None, *, follows: bool = False
) -> Function:
    """Return `code` as one operation, which calls it.

    Args:
        code: the NumPy code, a function of arguments and direction.
        otherwise: gives the form of its result from shapes where the code was not tried.
        points: where it is tried. At their shapes the code itself gives the form of its result; if None,
            nowhere.
        follows: whether the code takes `first=`, arguments and direction by which it decides.
    """
    drawn: dict[Any, Drawn] = {}

    def form(args: Any, towards: Any) -> PyTree:
        at, there = shapes((args, towards))
        if points is None:
            return otherwise(at, there)
        drawn.update(
            () if drawn else ((_key(one.build()), one) for one in points.plain()[: EFFORT.asked_on_host])
        )
        one = drawn.get(_key(at))
        try:
            if one is not None:
                held = jax.tree.map(
                    lambda v, s: np.asarray(v, s.dtype) if has_direction(s) else v, one.build(), at
                )
                return shapes(code(held, direction(there, 1, "random")))
        except Exception:
            # Code that raises at these numbers may run at others; where it is judged, its errors are its own.
            return otherwise(at, there)
        return otherwise(at, there)

    def hand(args: Any, towards: Any) -> PyTree:
        leaves, tree = jax.tree.flatten((args, towards))
        places = [i for i, leaf in enumerate(leaves) if not is_key(leaf) and has_direction(leaf)]
        shape = form(args, towards)

        def filled(operands: Any) -> PyTree:
            held = dict(zip(places, operands, strict=True))
            return tree.unflatten([held.get(i, leaf) for i, leaf in enumerate(leaves)])

        def call(*operands: Any, first: Any = None) -> PyTree:
            named = {} if first is None else {"first": filled(first)}
            result = code(*filled(operands), **named)
            _check(result, shape)
            return result

        setattr(call, ON_HOST, True)
        setattr(call, FOLLOWS, follows)
        return jax.pure_callback(call, shape, *(leaves[i] for i in places), vmap_method="sequential")

    return hand


def _check(result: PyTree, shape: PyTree) -> None:
    got, want = (jax.tree.map(np.shape, tree) for tree in (result, shape))
    if got != want:
        raise ValueError(
            f"the NumPy code returned arrays of shapes {got} where at other numbers it returned {want}"
        )


def _key(tree: Any) -> Any:
    """Return the tree and the shapes of arguments, whatever their dtypes."""
    structure, *leaves = shapes_of(tree)
    return (structure, *(shape for shape, _ in leaves))
