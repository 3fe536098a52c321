"""A failure: one point at which the result is wrong, leaf by leaf, as the tests for causes see it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.comparison import agree, same
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import FEW, MANY, OF_A_RATIO
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

    @property
    def few(self) -> bool:
        """Return whether the wrong entries are few out of many: no cause of the whole leaf applies."""
        return self.wrong.size > MANY and np.sum(self.wrong) * FEW < self.wrong.size

    def is_times(self, ratio: Any) -> bool:
        """Return whether the value by hand is `ratio` times the gradient, within the noise of both."""
        return same(self.mine, ratio * self.true, noise_of_ratio(self.noise, ratio))


class Elsewhere(NamedTuple):
    """Holds the functions that are compared, so that they can be evaluated at other points.

    Attributes:
        truth: autodiff, or the line before in a derivation, with its noise.
        hand: the hand-written derivative with its noise; None in a derivation, which has no cotangent.
        quick: the value by hand without its noise.
        value: the value of the primal.
    """

    truth: Callable[[Point], Measured]
    hand: Callable[[Point], Measured] | None = None
    quick: Callable[[Point], Any] | None = None
    value: Callable[[Point], Any] | None = None


class Failure(NamedTuple):
    """Holds one failing point with both results, leaf by leaf; `leaf` is the worst."""

    point: Point
    leaf: Leaf
    leaves: list[Leaf]
    elsewhere: Elsewhere

    def at_leaf(self, path: str) -> "Failure | None":
        """Return the same point with `leaf` set to the leaf of this path; None where there is none."""
        found = [leaf for leaf in self.leaves if leaf.path == path]
        return self._replace(leaf=found[0]) if found else None


def failure_at(evaluators: Evaluators, found: Judgement) -> Failure | None:
    """Return the failure at a judged point; None where a result has no entry."""
    if found.worst is None:
        return None
    noises = jax.tree.leaves(evaluators.noise_of_both(found.point))
    pairs = zip(leaves_with_paths(found.hand), jax.tree.leaves(found.truth), noises, strict=True)
    leaves = [Leaf(path, np.asarray(mine), np.asarray(true), noise) for (path, mine), true, noise in pairs]
    worst = next(leaf for leaf in leaves if leaf.path == found.worst.leaf)
    quick = lambda point: evaluators.by_hand([point])[0]  # noqa: E731 - it is one of several functions
    functions = Elsewhere(evaluators.truth, evaluators.hand, quick, evaluators.primal.value)
    return Failure(found.point, worst, leaves, functions)
