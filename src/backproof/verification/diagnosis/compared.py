"""One point with both results, leaf by leaf, as the causes see it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.comparison import agree, same
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.meshes import devices_of
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN, OF_A_RATIO
from backproof.verification.aiming.constants import constants_of
from backproof.verification.judging.judge import Judgement
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point


def noise_of_ratio(noise: Any, ratio: Any) -> Any:
    """Return the noise of the difference between a value and `ratio` times another, `noise` being theirs."""
    return noise * (1 + OF_A_RATIO * np.abs(ratio))


@dataclass(frozen=True)
class Leaf:
    """Holds one leaf of both results: its path, the two values and the noise."""

    path: str
    mine: Any
    true: Any
    noise: Any

    @cached_property
    def wrong(self) -> Any:
        """Return a mask of the entries that differ beyond noise."""
        return ~agree(self.mine, self.true, self.noise)

    @cached_property
    def seen(self) -> Any:
        """Return a mask of the entries at which the opposite of the value would differ from the gradient."""
        return ~agree(-self.mine, self.true, self.noise)

    @cached_property
    def relative(self) -> float:
        """The least part of itself by which a wrong entry is wrong; 1 if none is."""
        with np.errstate(all="ignore"):
            parts = np.abs(self.mine - self.true) / np.maximum(np.abs(self.mine), np.abs(self.true))
        found = parts[self.wrong & np.isfinite(parts)]
        return float(np.min(found, initial=1.0))

    def shows(self, part: float) -> np.ndarray:
        """Return a mask of the entries at which an error of this part of the entry would be seen."""
        with np.errstate(all="ignore"):
            error = part * np.maximum(np.abs(self.mine), np.abs(self.true))
        return self.wrong | (error > 2 * AGREES_WITHIN * self.noise)

    def is_times(self, ratio: Any) -> bool:
        """Return whether the value by hand is `ratio` times the gradient, within the noise of both."""
        return same(self.mine, ratio * self.true, noise_of_ratio(self.noise, ratio))


class Elsewhere(NamedTuple):
    """Holds the functions that are compared, so that they can be evaluated at other points.

    Attributes:
        truth: autodiff, with its noise.
        hand: the hand-written derivative with its noise.
        quick: the value by hand without its noise.
        value: the value of the primal.
        constants: gives the constants in the code of both sides.
        devices: gives the number of devices along each axis of the meshes of the hand-written side.
    """

    truth: Callable[[Point], Measured]
    hand: Callable[[Point], Measured]
    quick: Callable[[Point], Any]
    value: Callable[[Point], Any]
    constants: Callable[[], tuple[float, ...]]
    devices: Callable[[], dict[str, int]]


class Compared(NamedTuple):
    """Holds one point with both results, leaf by leaf; `leaf` is the one spoken of, first the worst."""

    point: Point
    leaf: Leaf
    leaves: list[Leaf]
    elsewhere: Elsewhere
    result: str = "result"
    meant: str = "the gradient"

    @property
    def name(self) -> str:
        """What the leaf is called in a sentence."""
        return f"{self.result}{self.leaf.path}"

    @property
    def is_wrong(self) -> bool:
        """Whether an entry of the leaf is wrong."""
        return bool(np.any(self.leaf.wrong))

    def argument(self, path: str) -> np.ndarray:
        """Return the leaf of the arguments with this path."""
        return np.asarray(dict(leaves_with_paths(self.point.args))[path])

    def with_argument(self, path: str, value: Any) -> Point:
        """Return the point with another value for one leaf of its arguments."""
        held, tree = leaves_with_paths(self.point.args), jax.tree.structure(self.point.args)
        leaves = [value if one == path else leaf for one, leaf in held]
        return Point(tree.unflatten(leaves), self.point.direction)

    def at_leaf(self, path: str) -> "Compared | None":
        """Return the same point with `leaf` set to the leaf of this path; None where there is none."""
        found = [leaf for leaf in self.leaves if leaf.path == path]
        return self._replace(leaf=found[0]) if found else None

    def at_point(self, point: Point) -> "Compared | None":
        """Return both results at another point; None where autodiff is not finite."""
        hand, truth = self.elsewhere.hand(point), self.elsewhere.truth(point)
        parts = zip(leaves_with_paths(hand.value), *map(jax.tree.leaves, (hand.noise, *truth)), strict=True)
        leaves = [Leaf(path, mine, true, own + noise) for (path, mine), own, true, noise in parts]
        if not all(np.all(np.isfinite(leaf.true)) for leaf in leaves):
            return None
        return self._replace(point=point, leaves=leaves).at_leaf(self.leaf.path)


def compared_at(evaluators: Evaluators, found: Judgement) -> Compared | None:
    """Return both results at a judged point; None where a result has no entry."""
    if found.worst is None:
        return None
    noises = jax.tree.leaves(evaluators.noise_of_both(found.point))
    pairs = zip(leaves_with_paths(found.hand), jax.tree.leaves(found.truth), noises, strict=True)
    leaves = [Leaf(path, np.asarray(mine), np.asarray(true), noise) for (path, mine), true, noise in pairs]
    worst = next(leaf for leaf in leaves if leaf.path == found.worst.leaf)
    functions = Elsewhere(
        truth=evaluators.truth,
        hand=evaluators.hand,
        quick=lambda point: evaluators.by_hand([point])[0],
        value=evaluators.primal.value,
        constants=lambda: constants_of(evaluators),
        devices=lambda: devices_of(evaluators.hand.program(found.point)),
    )
    claim = evaluators.claim
    return Compared(found.point, worst, leaves, functions, claim.result, claim.meant)
