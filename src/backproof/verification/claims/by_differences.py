"""The derivative of NumPy code that JAX cannot differentiate: extrapolated differences of its values.

Every entry of the arguments is moved on both sides on a ladder of steps, in long double where the code
computes in it. Where the slopes on the two sides differ there is no derivative, and the entry is NaN:
one-sided differences then decide. The result lies at random within the error that the extrapolation
estimates, so that this error is part of the noise that is measured.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.extrapolation import Slope
from backproof.numerics.leaves import PyTree, shapes_of
from backproof.verification.claims.beside import Beside, beside_of
from backproof.verification.claims.one_operation import one_operation
from backproof.verification.claims.samples import cast, shapes

NOTE = (
    "JAX cannot differentiate the function ({why}): the derivative is compared with extrapolated differences "
    "of it, in {held}; no precision but float64 was judged"
)
Function = Callable[..., PyTree]


class Differences:
    """Differentiates NumPy code by differences; a class because it keeps what it has found.

    Attributes:
        function: the code, as it is called with NumPy arrays.
        form: gives the form of the result from arguments and direction.
    """

    function: Function
    form: Callable[[Any, Any], PyTree]

    def __init__(self, function: Function, form: Callable[[Any, Any], PyTree]) -> None:
        """Hold the code; nothing is called yet."""
        self.function, self.form = function, form
        self._known: dict[Any, list[Slopes]] = {}

    def pullback(self) -> Function:
        """Return the pullback as one operation."""

        def called(args: Any, towards: Any, first: Any = None) -> PyTree:
            held = jax.tree.map(_narrow, (args, towards))
            # where rounding is measured by moving the point, the slopes of the point itself are taken again
            here = held if first is None else jax.tree.map(_narrow, first)
            wanted = self.form(*here)
            rng = np.random.default_rng(zlib.crc32(_bytes(held)))
            slopes = self._slopes(here[0], here[1], wanted)
            found = [one.value + rng.uniform(-1, 1, np.shape(one.error)) * one.error for one in slopes]
            return cast(jax.tree.unflatten(jax.tree.structure(wanted), found), wanted)

        form = self.form
        return one_operation(called, lambda args, towards: shapes(form(args, towards)), None, follows=True)

    def sides(self, args: Any, towards: Any, which: int, index: tuple[int, ...]) -> list[Slope]:
        """Return the slopes in one entry from its sides; the error is infinite where none is approached."""
        with np.errstate(all="ignore"):
            beside = beside_of(self.function, jax.tree.map(_narrow, args), jax.tree.map(_narrow, towards))
            return beside.sides(which, index)

    def _slopes(self, args: Any, towards: Any, wanted: PyTree) -> "list[Slopes]":
        key = shapes_of(args), _bytes((args, towards))
        if key not in self._known:
            while len(self._known) >= EFFORT.remembered:
                self._known.pop(next(iter(self._known)))
            with np.errstate(all="ignore"):
                beside = beside_of(self.function, args, towards)
                self._known[key] = _every(beside, args, wanted)
        return self._known[key]


class Slopes(NamedTuple):
    """Holds the derivative for each entry of a leaf, and estimates of the errors."""

    value: np.ndarray
    error: np.ndarray


def _every(beside: Beside, args: Any, wanted: PyTree) -> list[Slopes]:
    """Return the derivatives for each leaf of the arguments of which `wanted` has one."""
    found: list[Slopes] = []
    for which in (i for i, is_wanted in enumerate(_wanted(args, wanted)) if is_wanted):
        leaf = beside.leaves[which]
        value, error = np.zeros(leaf.shape, leaf.dtype), np.zeros(leaf.shape)
        for index in np.ndindex(value.shape):
            # in JAX's convention the derivative along i times an entry is that of the entry, times i
            for unit in (1.0, 1j) if np.iscomplexobj(value) else (1.0,):
                slope = beside.slope(which, index, unit)
                value[index] += slope.value * np.conj(unit)
                error[index] += slope.error
        found.append(Slopes(value, error))
    return found


def _bytes(tree: Any) -> bytes:
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))


def _wanted(args: Any, wanted: PyTree) -> Iterator[bool]:
    """Yield for each leaf of the arguments whether it has a cotangent."""
    for arg, part in zip(args, wanted, strict=True):
        grads = jax.tree.leaves(part, is_leaf=lambda leaf: leaf is None)
        leaves = jax.tree.leaves(arg)
        yield from (grad is not None for grad in (grads if part is not None else [None] * len(leaves)))


def _narrow(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    names = {np.longdouble: np.float64, np.clongdouble: np.complex128}
    return array.astype(names.get(array.dtype.type, array.dtype))
