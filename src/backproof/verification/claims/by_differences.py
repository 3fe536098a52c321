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
from backproof.numerics.extrapolation import Slope, extrapolated
from backproof.numerics.leaves import PyTree, has_direction, is_inexact
from backproof.numerics.tolerance import AGREES_WITHIN, FIRST_NARROW_STEP, FIRST_STEP, RESOLUTION
from backproof.verification.claims.one_operation import one_operation
from backproof.verification.claims.samples import cast, shapes
from backproof.verification.points.draws import Points

NOTE = (
    "JAX cannot differentiate the function ({why}): the derivative is compared with extrapolated differences "
    "of it, in {held}; no precision but float64 was judged"
)
WIDE = {np.float64: np.longdouble, np.complex128: np.clongdouble}
Function = Callable[..., PyTree]


def derivative_by_differences(
    function: Function, form: Callable[[Any, Any], PyTree], points: Points
) -> Function:
    """Return the pullback of NumPy code as one operation.

    Args:
        function: the code, as it is called with NumPy arrays.
        form: gives the form of the result from arguments and direction.
        points: where it is tried.
    """
    known: dict[bytes, list[Slopes]] = {}

    def called(args: Any, towards: Any, first: Any = None) -> PyTree:
        held = jax.tree.map(_narrow, (args, towards))
        # where rounding is measured by moving the point, the slopes of the point itself are taken again
        here = held if first is None else jax.tree.map(_narrow, first)
        wanted = form(*here)
        key = _bytes(here)
        if key not in known:
            while len(known) >= EFFORT.remembered:
                known.pop(next(iter(known)))
            with np.errstate(all="ignore"):
                known[key] = _slopes(function, here[0], here[1], wanted, points.admits)
        rng = np.random.default_rng(zlib.crc32(_bytes(held)))
        found = [one.value + rng.uniform(-1, 1, np.shape(one.error)) * one.error for one in known[key]]
        return cast(jax.tree.unflatten(jax.tree.structure(wanted), found), wanted)

    return one_operation(called, lambda args, towards: shapes(form(args, towards)), None, follows=True)


def computes_in_long_double(function: Function, args: Any) -> bool:
    """Return whether NumPy code returns long double for arguments in it."""
    try:
        with np.errstate(all="ignore"):
            results = jax.tree.leaves(function(*jax.tree.map(_wide, args)))
    except Exception:
        # Not all of NumPy runs in long double.
        return False
    real = [leaf for leaf in map(np.asarray, results) if is_inexact(leaf)]
    return bool(real) and all(leaf.dtype in (np.longdouble, np.clongdouble) for leaf in real)


class Slopes(NamedTuple):
    """Holds the derivative for each entry of a leaf, and estimates of the errors."""

    value: np.ndarray
    error: np.ndarray


class _Values(NamedTuple):
    """Holds the code at one point, and how its values are taken beside it.

    Attributes:
        function: the code.
        leaves: the leaves of the arguments, as the code receives them.
        tree: their tree.
        towards: the cotangent.
        admits: whether an argument tuple lies in the domain.
        first: the first step, in parts of the entry that moves.
        epsilon: the spacing at 1 of the numbers in which the code computes.
    """

    function: Function
    leaves: list[np.ndarray]
    tree: Any
    towards: PyTree
    admits: Callable[[Any], bool]
    first: float
    epsilon: float

    def moved(self, which: int, index: tuple[int, ...], step: Any) -> Any:
        """Return the arguments with one entry moved."""
        leaves = [np.array(leaf) for leaf in self.leaves]
        leaves[which][index] += step
        return self.tree.unflatten(leaves)

    def at(self, args: Any) -> list[np.ndarray]:
        """Return the values of the code."""
        return [np.asarray(one) for one in jax.tree.leaves(self.function(*args))]

    def apart(self, one: list[np.ndarray], other: list[np.ndarray]) -> Any:
        """Return ⟨cotangent, one − other⟩, subtracted first: outputs that did not move cancel exactly."""
        pairs = zip(one, other, jax.tree.leaves(self.towards), strict=True)
        return sum((np.sum((a - b) * ct).real for a, b, ct in pairs if has_direction(ct)), np.longdouble(0))

    def rounding(self, here: list[np.ndarray]) -> float:
        """Return by how much one rounding of each value moves ⟨cotangent, value⟩."""
        pairs = zip(here, jax.tree.leaves(self.towards), strict=True)
        return self.epsilon * float(sum(np.sum(np.abs(v * ct)) for v, ct in pairs if has_direction(ct)))

    def slope(self, which: int, index: tuple[int, ...], unit: complex) -> Slope:
        """Return the derivative along one entry, or along i times it; NaN where its two sides differ."""
        size = abs(self.leaves[which][index]) or 1.0
        widths = [self.first * 0.5**rung * size for rung in range(EFFORT.rungs)]
        inside = [s for s in (1, -1) if self.admits(self.moved(which, index, s * widths[0] * unit))]
        values = {
            sign: [self.at(self.moved(which, index, sign * width * unit)) for width in widths]
            for sign in inside or (1, -1)
        }
        here = self.at(self.moved(which, index, 0))
        from_side = [
            extrapolated([s * self.apart(v, here) / w for v, w in zip(row, widths, strict=True)], 2, 0.0)
            for s, row in values.items()
        ]
        if len(from_side) == 1:
            return from_side[0]
        scale = max(abs(one.value) for one in from_side)
        slack = AGREES_WITHIN * sum(one.error for one in from_side) + RESOLUTION * scale
        if not abs(from_side[0].value - from_side[1].value) <= slack:
            return Slope(np.nan, 0.0)
        rows = zip(values[1], values[-1], widths, strict=True)
        quotients = [self.apart(ahead, behind) / (2 * width) for ahead, behind, width in rows]
        return extrapolated(quotients, 4, self.rounding(here) / widths[-1])


def _slopes(
    function: Function, args: Any, towards: Any, wanted: PyTree, admits: Callable[[Any], bool]
) -> list[Slopes]:
    """Return the cotangent of each leaf of the arguments of which `wanted` has one."""
    leaves, tree = jax.tree.flatten(args)
    is_wide = computes_in_long_double(function, args)
    held = [_wide(leaf) for leaf in leaves] if is_wide else leaves
    first = FIRST_STEP if is_wide else FIRST_NARROW_STEP
    epsilon = float(np.finfo(np.longdouble if is_wide else np.float64).eps)
    values = _Values(function, held, tree, towards, admits, first, epsilon)
    found: list[Slopes] = []
    for which in (i for i, is_wanted in enumerate(_wanted(args, wanted)) if is_wanted):
        value = np.zeros(held[which].shape, held[which].dtype)
        error = np.zeros(value.shape)
        for index in np.ndindex(value.shape):
            # in JAX's convention the derivative along i times an entry is that of the entry, times i
            for unit in (1.0, 1j) if np.iscomplexobj(value) else (1.0,):
                slope = values.slope(which, index, unit)
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


def _wide(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    return (
        array.astype(WIDE.get(np.result_type(array.dtype, np.float64).type, array.dtype))
        if is_inexact(array)
        else array
    )


def _narrow(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    names = {np.longdouble: np.float64, np.clongdouble: np.complex128}
    return array.astype(names.get(array.dtype.type, array.dtype))
