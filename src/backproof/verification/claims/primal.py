"""The primal as JAX can differentiate it: as it is, or NumPy code run on arrays of JAX.

NumPy code run in this way is compared with the code itself at a few points: a view that is written into, or a
function of another meaning in JAX, would make it another function.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from backproof.errors import UsageError, message
from backproof.numerics.comparison import difference
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import PyTree, widen
from backproof.numerics.noise import measure
from backproof.verification.claims.host import copied, example, is_host, shapes
from backproof.verification.claims.names import name_of
from backproof.verification.claims.numpy_code import is_numpy_code
from backproof.verification.claims.numpy_in_jax import numpy_in_jax
from backproof.verification.points.draws import Points

Function = Callable[..., PyTree]


def primal_of(function: Function, held: Callable[[Function], Function], points: Points) -> Function:
    """Return the primal as a function of the arguments that are not static.

    Args:
        function: the caller's function.
        held: makes of a function one of the arguments that are not static.
        points: where it is tried.

    Raises:
        UsageError: it is NumPy code that cannot be run on arrays of JAX, or is another function there.
    """
    args = example(points)
    plain = held(function)
    if args is None:
        return plain
    if not is_host(function):
        try:
            jax.eval_shape(plain, *shapes(args))
        except Exception as error:
            # What a function of JAX raises is reported where it is judged.
            if not is_numpy_code(function, error):
                return plain
        else:
            return plain
    traced = held(numpy_in_jax(function))
    _compare(plain, traced, name_of(function), points, args)
    return traced


def _compare(plain: Function, traced: Function, name: str, points: Points, first: tuple[Any, ...]) -> None:
    """Raise an error unless both functions have the same values at a few points."""
    draws = [one for one in points.plain() if not one.empty]
    places = [first, *(one.build() for one in draws[1 : EFFORT.generic + 1])]
    for args in map(widen, places):
        with np.errstate(all="ignore"):
            wanted = jax.tree.map(np.asarray, plain(*copied(args)))
        try:
            found = measure(traced, *args)
        except Exception as error:
            raise _untraceable(name, f"{type(error).__name__}: {error}".splitlines()[0]) from error
        if jax.tree.map(np.shape, found.value) != jax.tree.map(np.shape, wanted):
            raise _untraceable(name, "results of other shapes when it is run in JAX")
        entry = difference(wanted, found)
        if entry and np.isfinite(entry.truth):
            where = f"at result{entry.leaf}{list(entry.at)}"
            said = f"{entry.hand} in NumPy and {entry.truth} when it is run in JAX, {where}"
            raise _untraceable(name, said)


def _untraceable(name: str, found: str) -> UsageError:
    return UsageError(
        message(
            must="a function in NumPy must run on arrays of JAX as well, by which it is differentiated",
            found=found,
            where=name,
            do="write of= with jax.numpy, without branches on values or functions that JAX lacks",
        )
    )
