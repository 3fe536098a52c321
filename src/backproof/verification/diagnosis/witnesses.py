"""The points that a cause must explain: where a leaf is wrong, and where it may be right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import shapes_of
from backproof.verification.diagnosis.compared import Compared, compared_at
from backproof.verification.judging.judge import Judgement, Outcome, first_look, judge
from backproof.verification.judging.kinks import jumps
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look, by_shape, in_turn


@dataclass(frozen=True)
class Witnesses:
    """Gathers the points of one failure, each as both results with the leaf that fails at the smallest.

    Attributes:
        evaluators: the evaluators of the claim.
        failing: the judgements of points at which the result is wrong.
        small: that at the smallest of them.
        judged: the judgements of all points.
        looks: both sides at every point that was looked at.
    """

    evaluators: Evaluators
    failing: Sequence[Judgement]
    small: Judgement
    judged: Sequence[Judgement]
    looks: Sequence[Look] = ()

    @cached_property
    def failures(self) -> list[Compared]:
        """Wrong points, the smallest first, each with its worst leaf; kinks only if nothing else is wrong."""
        others = [one for one in self.failing if one is not self.small]
        full = [one for one in others if not one.point.is_empty] or others
        every = [self.small, *full]
        return self._compared(self._smooth(every) or every)

    @cached_property
    def wrong(self) -> list[Compared]:
        """The same, each with the leaf of the first."""
        return self._at_leaf(self.failures)

    @cached_property
    def shown(self) -> list[Compared]:
        """The smallest point, if it is a kink; what is said of where a leaf is right must hold there too."""
        smallest = self._compared([self.small])
        return [one for one in smallest if one.point is not self.failures[0].point]

    @cached_property
    def right(self) -> list[Compared]:
        """Further points at which the leaf may be right, without kinks, where autodiff chooses a side."""
        return self._at_leaf(self._compared([*self._agreeing, *self._smooth(self._also_wrong)]))

    @cached_property
    def agreeing(self) -> list[Compared]:
        """The points among these that were judged to agree."""
        return self._at_leaf(self._compared(self._agreeing))

    @cached_property
    def everywhere(self) -> list[Compared]:
        """The same with kinks."""
        return self._at_leaf(self._compared([*self._agreeing, *self._also_wrong]))

    def _compared(self, judged: Sequence[Judgement]) -> list[Compared]:
        return [one for one in (compared_at(self.evaluators, found) for found in judged) if one]

    def _at_leaf(self, points: Sequence[Compared]) -> list[Compared]:
        path = self.failures[0].leaf.path
        return [one for one in (point.at_leaf(path) for point in points) if one]

    @cached_property
    def _agreeing(self) -> list[Judgement]:
        """Right points at which a wrong value would be seen, the largest of each shape first, in turn.

        At an empty axis a mean is NaN, which says nothing about a cause.
        """
        full = [one for one in self.judged if not one.point.is_empty]
        agreeing = [one for one in full if one.outcome is Outcome.AGREES and one.says_something]
        affordable = [one for one in agreeing if not one.point.is_large] or agreeing[:1]
        by_size: dict[object, list[Judgement]] = {}
        for one in sorted(affordable, key=lambda one: -one.point.entries):
            by_size.setdefault(shapes_of(one.point.args), []).append(one)
        turn = in_turn(list(by_size.values()))
        return turn[: min(EFFORT.witnesses, self.evaluators.affordable(turn[0].point))] if turn else []

    @cached_property
    def _also_wrong(self) -> list[Judgement]:
        """Points that are wrong too, but were not judged, since enough others had been found."""
        known = {id(one.point) for one in self.judged}
        left = [look for look in self.looks if id(look.point) not in known and not look.point.is_large]
        groups = by_shape([look for look in left if not look.point.is_empty])
        first = [(look, first_look(look.point, look.hand, look.truth)) for look in in_turn(groups)]
        differing = [look for look, one in first if one.outcome is not Outcome.AGREES]
        if not differing:
            return []
        # to judge a point at which the sides differ, they are evaluated on several sides of it
        affordable = self.evaluators.affordable(differing[0].point) // 4
        asked = differing[: min(EFFORT.also_wrong, affordable)]
        found = [judge(self.evaluators, look) for look in asked]
        return [one for one in found if one.outcome is Outcome.WRONG]

    def _smooth(self, judged: list[Judgement]) -> list[Judgement]:
        """Return the points that are no kinks: there autodiff's choice of a side would hide a plain cause."""
        if self.evaluators.claim.forward or any(one.point.is_large for one in judged):
            return judged
        return [one for one in judged if not jumps(self.evaluators.truth, one.point)]
