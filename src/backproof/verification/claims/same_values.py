"""NumPy code compared with itself run on arrays of JAX: are they one function?

A view that is written into, or a function of another meaning in JAX, would make them two.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import difference
from backproof.numerics.leaves import PyTree
from backproof.numerics.noise import measure


def apart(
    in_numpy: Callable[..., PyTree], in_jax: Callable[..., PyTree], places: Iterable[tuple[Any, ...]]
) -> str | None:
    """Return how the two functions differ, the first time that they do; None where they agree.

    Args:
        in_numpy: the code itself.
        in_jax: the code run on arrays of JAX.
        places: the arguments at which both are called, in float64.
    """
    for args in places:
        with np.errstate(all="ignore"):
            wanted = in_numpy(*args)
        try:
            found = measure(in_jax, *args)
        except Exception as error:
            # Tracing code that was not written for it may raise anything.
            return f"{type(error).__name__}: {error}".splitlines()[0]
        if _form(found.value) != _form(wanted):
            return "results of another tree or other shapes when it is run in JAX"
        entry = difference(wanted, found)
        if entry and np.isfinite(entry.truth):
            where = f"at result{entry.leaf}{list(entry.at)}"
            return f"{entry.hand} in NumPy and {entry.truth} when it is run in JAX, {where}"
    return None


def _form(tree: PyTree) -> Any:
    return jax.tree.structure(tree), [np.shape(leaf) for leaf in jax.tree.leaves(tree)]
