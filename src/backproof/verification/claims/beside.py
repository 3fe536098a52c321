"""NumPy code beside a point: ladders of differences of its values, entry by entry."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.extrapolation import Slope, converges, extrapolated
from backproof.numerics.leaves import PyTree, has_direction, is_inexact
from backproof.numerics.tolerance import (
    AGREES_WITHIN,
    CHECKED_AT,
    FIRST_NARROW_STEPS,
    FIRST_STEPS,
    GRAINS,
    KNOWN_NARROWLY_TO,
    KNOWN_TO,
    NOT_GRAIN,
    OF_FOURTH,
    OF_SMOOTH,
    RESOLUTION,
)

WIDE = {np.float64: np.longdouble, np.complex128: np.clongdouble}
# Where there is no derivative, or none is seen.
NONE = Slope(np.nan, 0.0)
Function = Callable[..., PyTree]


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


class Beside(NamedTuple):
    """Holds the code at one point, and how its values are taken beside it.

    Attributes:
        function: the code.
        leaves: the leaves of the arguments, as the code receives them.
        tree: their tree.
        towards: the cotangent.
        steps: the first steps of the ladders, in parts of the entry that moves.
        known_to: the part of itself to which a slope is known at best.
        here: the values at the point.
        rounding: by how much ⟨cotangent, value⟩ is off.
    """

    function: Function
    leaves: list[np.ndarray]
    tree: Any
    towards: PyTree
    steps: tuple[float, ...]
    known_to: float
    here: list[np.ndarray]
    rounding: float

    def moved(self, which: int, index: tuple[int, ...], step: Any) -> Any:
        """Return the arguments with one entry moved."""
        leaves = [np.array(leaf) for leaf in self.leaves]
        leaves[which][index] += step
        return self.tree.unflatten(leaves)

    def rise(self, args: Any) -> Any:
        """Return ⟨cotangent, value − value here⟩; NaN where the code raises, as it may beyond its domain."""
        try:
            return _product(_values(self.function, args), self.here, self.towards)
        except Exception:
            # Nobody asked for the function there, so what it raises says that it has no value.
            return np.longdouble(np.nan)

    def slope(self, which: int, index: tuple[int, ...], unit: complex) -> Slope:
        """Return the derivative along one entry, or along i times it; NaN where none is seen."""
        sides: list[Slope] = []
        for first in self.steps:
            widths = self._widths(which, index, first)
            rises = {s: [self.rise(self.moved(which, index, s * w * unit)) for w in widths] for s in (1, -1)}
            sides = [self._from_side(rises[s], s, widths) for s in (1, -1)]
            rows = zip(rises[1], rises[-1], widths, strict=True)
            ladder = [(ahead - behind) / (2 * width) for ahead, behind, width in rows]
            found = self._known(extrapolated(ladder, 4, self.rounding / widths[-1]))
            roundings = [self.rounding / width for width in widths]
            if converges(ladder, 4, roundings) and self._is_seen(found, which, index, unit * widths[-1]):
                apart = abs(sides[0].value - sides[1].value)
                slack = AGREES_WITHIN * (sides[0].error + sides[1].error) + RESOLUTION * abs(found.value)
                # where both sides approach limits that differ, there is a kink
                return NONE if apart > slack and np.isfinite(slack) else found
        # the code may have a value on one side only, as a logarithm has
        able = [one for one in sides if np.isfinite(one.value)]
        return able[0] if len(able) == 1 and np.isfinite(able[0].error) else NONE

    def _is_seen(self, found: Slope, which: int, index: tuple[int, ...], step: complex) -> bool:
        """Return whether a much shorter step sees the same slope: of a wave, long ones may see another."""
        short = CHECKED_AT * step
        ahead, behind = (self.rise(self.moved(which, index, sign * short)) for sign in (1, -1))
        again = (ahead - behind) / (2 * abs(short))
        allowed = AGREES_WITHIN * (found.error + self.rounding / abs(short)) + CHECKED_AT * abs(found.value)
        return bool(abs(again - found.value) <= allowed)

    def sides(self, which: int, index: tuple[int, ...]) -> list[Slope]:
        """Return the slopes in one entry from both sides; the error is infinite where none is approached."""
        return [self._side(which, index, sign) for sign in (1, -1)]

    def _side(self, which: int, index: tuple[int, ...], sign: int) -> Slope:
        """Return the slope from one side, by the first ladder that approaches a limit."""
        for first in self.steps:
            widths = self._widths(which, index, first)
            rises = [self.rise(self.moved(which, index, sign * width)) for width in widths]
            found = self._from_side(rises, sign, widths)
            if np.isfinite(found.error):
                return found
        return Slope(np.nan, np.inf)

    def _from_side(self, rises: list[Any], sign: int, widths: list[float]) -> Slope:
        """Return the slope from one side; its error is infinite where the quotients approach no limit."""
        ladder = [sign * rise / width for rise, width in zip(rises, widths, strict=True)]
        roundings = [2 * self.rounding / width for width in widths]
        found = self._known(extrapolated(ladder, 2, roundings[-1]))
        return found if converges(ladder, 2, roundings) else found._replace(error=np.inf)

    def _known(self, slope: Slope) -> Slope:
        """Return a slope with the error that it has at least."""
        return slope._replace(error=slope.error + self.known_to * abs(slope.value))

    def _widths(self, which: int, index: tuple[int, ...], first: float) -> list[float]:
        size = float(abs(self.leaves[which][index])) or 1.0
        return [first * 0.5**rung * size for rung in range(EFFORT.rungs)]


def beside_of(function: Function, args: Any, towards: Any) -> Beside:
    """Return the code at a point, in long double where it computes in it."""
    leaves, tree = jax.tree.flatten(args)
    is_wide = computes_in_long_double(function, args)
    held = [_wide(leaf) for leaf in leaves] if is_wide else leaves
    here = _values(function, tree.unflatten([np.array(leaf) for leaf in held]))
    how = (FIRST_STEPS, KNOWN_TO) if is_wide else (FIRST_NARROW_STEPS, KNOWN_NARROWLY_TO)
    found = Beside(function, held, tree, towards, *how, here, 0.0)
    coarsest = max((np.finfo(one.dtype).eps for one in here if is_inexact(one)), default=0.0)
    epsilon = float(max(np.finfo(np.longdouble if is_wide else np.float64).eps, coarsest))
    sizes = zip(here, jax.tree.leaves(towards), strict=True)
    size = float(sum(np.sum(np.abs(v * ct)) for v, ct in sizes if has_direction(ct)))
    return found._replace(rounding=max(epsilon * size, _grain(found, size)))


def _grain(beside: Beside, size: float) -> float:
    """Return how coarsely ⟨cotangent, value⟩ is computed: the fourth difference along short steps.

    What is smooth leaves nothing there; what rounds inside, or iterates until it is near enough, does.

    Args:
        beside: the code at a point.
        size: the size of the terms of that product.
    """
    rng = np.random.default_rng(0)
    signs = [np.where(rng.random(np.shape(leaf)) < 0.5, 0.75, 1.25) for leaf in beside.leaves]
    found = 0.0
    for grain in GRAINS:
        whole, half, quarter = (_fourth(beside, signs, part * grain) for part in (1.0, 0.5, 0.25))
        # what is smooth leaves a sixteenth at half the step
        is_smooth = whole > OF_SMOOTH * half > OF_SMOOTH**2 * quarter > 0
        if np.isfinite(whole + half) and not is_smooth and max(whole, half) <= NOT_GRAIN * size:
            found = max(found, whole, half)
    return found


def _fourth(beside: Beside, signs: list[np.ndarray], grain: float) -> float:
    """Return the fourth difference of ⟨cotangent, value⟩ along steps of a size, as noise would leave it."""
    rises = []
    for turn in range(5):
        pairs = zip(beside.leaves, signs, strict=True)
        moved = [leaf + leaf * sign * grain * turn if is_inexact(leaf) else leaf for leaf, sign in pairs]
        rises.append(beside.rise(beside.tree.unflatten([np.array(leaf) for leaf in moved])))
    return float(abs(np.diff(np.asarray(rises), 4)[0])) / OF_FOURTH


def _values(function: Function, args: Any) -> list[np.ndarray]:
    return [np.asarray(one) for one in jax.tree.leaves(function(*args))]


def _product(one: list[np.ndarray], other: list[np.ndarray], towards: PyTree) -> Any:
    pairs = zip(one, other, jax.tree.leaves(towards), strict=True)
    # subtracted first, so that outputs which did not move cancel exactly
    return sum((np.sum((a - b) * ct).real for a, b, ct in pairs if has_direction(ct)), np.longdouble(0))


def _wide(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    if not is_inexact(array):
        return array
    return array.astype(WIDE.get(np.result_type(array.dtype, np.float64).type, array.dtype))
