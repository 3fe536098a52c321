"""The hand-written code at one point: what each of its expressions is, and what the result should be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.recording import Recording, Step
from backproof.numerics.tolerance import AGREES_WITHIN, NEAR
from backproof.numerics.tracing import Program, float64
from backproof.verification.blame.watched import Watching, number_of
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point


@dataclass(frozen=True)
class Seen:
    """Holds one point at which the hand-written code was recorded.

    Attributes:
        point: the point.
        right: what the result should be, flat.
        noise: the noise of each entry of the difference.
        recording: the values of its program there.
        marks: the operations that mark an expression, by its number.
        statics: the numbers that are no arrays, by the number of their expression.
        hand: the result by hand, flat.
    """

    point: Point
    right: np.ndarray
    noise: np.ndarray
    recording: Any = None
    marks: dict[int, list[Step]] = field(default_factory=dict)
    statics: dict[int, Any] = field(default_factory=dict)
    hand: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def wrong(self) -> np.ndarray:
        """A mask of the entries that differ beyond noise."""
        with np.errstate(all="ignore"):
            return ~(np.abs(self.hand - self.right) <= AGREES_WITHIN * self.noise)

    @cached_property
    def scale(self) -> np.ndarray:
        """How far from what it should be an entry may lie in a search, which is not the last word."""
        size = np.maximum(np.abs(self.right), np.max(np.abs(self.right[np.isfinite(self.right)]), initial=0))
        return np.maximum(NEAR * size, AGREES_WITHIN * self.noise)

    @cached_property
    def largest(self) -> int:
        """How many entries the largest value of an expression has."""
        return max((np.size(value) for number in self.marks for value in self.values_of(number)), default=0)

    def values_of(self, number: int) -> list[Any]:
        """Return the values of an expression: one for each time that it was run."""
        return [self.recording.value(step.results[0]) for step in self.marks.get(number, ())]

    def results(self, number: int, several: Sequence[Sequence[Any]]) -> np.ndarray:
        """Return the result, flat, for each of several lists of values in place of those of an expression."""
        rows = self.recording.replaced(self.marks[number], several)
        return np.stack([flat(row) for row in rows])


def seen_at(evaluators: Evaluators, watching: Watching, hand: Callable[..., Any], point: Point) -> Seen:
    """Return the marked hand-written code at a point."""
    truth, noise = evaluators.truth(point).value, evaluators.noise_of_both(point)
    right, noises = (flat(jax.tree.leaves(one)) for one in (truth, noise))
    return recorded(watching, hand, Seen(point, right=right, noise=noises))


def recorded(watching: Watching, function: Callable[..., Any], like: Seen) -> Seen:
    """Return a marked function of arguments and direction, recorded at the point of another record."""
    watching.statics.clear()
    with float64():
        jaxpr, shape = jax.make_jaxpr(with_own_arrays(function), return_shape=True)(*like.point)
    recording = Recording(Program(jaxpr, jax.tree.structure(shape)), like.point)
    return replace(
        like,
        recording=recording,
        marks=recording.marks(number_of),
        statics=dict(watching.statics),
        hand=flat(jax.tree.leaves(recording.result())),
    )


def flat(leaves: Sequence[Any]) -> np.ndarray:
    """Return all entries of some arrays in a row."""
    return np.concatenate([np.zeros(0), *(np.ravel(np.asarray(leaf)) for leaf in leaves)])
