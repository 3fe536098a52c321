"""Functions run as their users run them: compiled by JAX, or called as NumPy code."""

from collections.abc import Callable
from typing import Any

import jax

from backproof.numerics.leaves import PyTree
from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.tracing import float64
from backproof.verification.running.point import Point

Function = Callable[[Any, Any], PyTree]


class Compiled:
    """Runs one function compiled by `jax.jit`, as its users do; it is a class to keep the programs."""

    def __init__(self, function: Function) -> None:
        """Prepare to compile `function`; nothing is compiled yet."""
        self._alone = jax.jit(with_own_arrays(function))

    def __call__(self, point: Point) -> PyTree:
        """Return the result at one point."""
        with float64():
            return jax.device_get(self._alone(*point))


class OnHost:
    """Runs NumPy code by hand as its users do, one point at a time; a `Compiled` without a compiler."""

    def __init__(self, code: Function) -> None:
        """Prepare to call `code`."""
        self._code = code

    def __call__(self, point: Point) -> PyTree:
        """Return the result at one point."""
        with float64():
            return self._code(*point)
