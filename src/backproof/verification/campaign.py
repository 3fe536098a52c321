"""One verification, from a claim to the findings about it.

The checks are: the contract; whether the derivative can be repeated; every point in float64; the vote of
finite differences on the reference; the other laws of conduct; low precision; the second derivative. A broken
contract or a derivative that cannot be repeated ends the run, and where a value is wrong the last three
checks are left out. `conclusion` turns the findings into a report.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace

import jax

from backproof.numerics.effort import EFFORT
from backproof.verification.aiming.aimed import aimed_draws
from backproof.verification.aiming.constants import constants_of
from backproof.verification.aiming.lengths import Costs, affordable, costs_of, cut_short, longest
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.contract import Broken
from backproof.verification.diagnosis.missing_sum import missing_sum
from backproof.verification.diagnosis.smallest_row import at_smallest, plainer_row
from backproof.verification.findings import Findings, Settings, Unlawful
from backproof.verification.judging.accuracy import Row, saturated_sums, worst_rows
from backproof.verification.judging.blindness import unseen
from backproof.verification.judging.judge import Outcome, judge_all
from backproof.verification.judging.laws import LAWFUL, REPEATABLE, Law, unlike_primal
from backproof.verification.judging.reference import explains_doubt, reference_in_doubt
from backproof.verification.judging.second_order import SecondOrder, judge_second_order, second_order
from backproof.verification.points.draws import Drawn, Long
from backproof.verification.points.hypothesis_draws import draw
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Looks, key_of, look_at
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.point import Point, point_of

Groups = Sequence[Sequence[Drawn]]


class Campaign:
    """Verifies one claim; it is a class because all seeds share what was traced and compiled."""

    def __init__(self, claim: Claim) -> None:
        """Prepare to verify `claim`; nothing is traced yet."""
        self.claim = claim
        self.evaluators = Evaluators(claim)
        self._saturated: dict[str, list[Row]] = {}

    def costs(self, axis: str, length: int) -> Costs | None:
        """Return the costs of both sides where an axis has a length; None where they do not exist there."""
        return costs_of(self.evaluators, axis, length)

    @functools.cached_property
    def lengths(self) -> dict[str, int | None]:
        """The length to which each named axis is extended; None where it is not."""
        return {axis: longest(self.costs, axis) for axis in self.claim.points.axes}

    @functools.cached_property
    def constants(self) -> tuple[float, ...]:
        """The constants in the code of both sides."""
        return constants_of(self.evaluators)

    @functools.cached_property
    def large(self) -> list[Long]:
        """Draws with an axis so long that sums over it saturate, as far as that is affordable."""
        return self.claim.points.large(functools.partial(affordable, self.costs))

    @functools.cached_property
    def second(self) -> Evaluators:
        """The evaluators of the derivative of the derivative."""
        return Evaluators(second_order(self.claim))

    def saturated(self, dtype: str) -> list[Row]:
        """Return the sums that saturate in `dtype`; their numbers do not depend on the seed."""
        if dtype not in self._saturated:
            self._saturated[dtype] = saturated_sums(self.evaluators.low_precision(dtype), self.large)
        return self._saturated[dtype]

    def investigate(self, settings: Settings) -> Findings:
        """Return the findings about the claim."""
        evaluators, groups = self.evaluators, self._drawn(settings)
        looked = look_at(evaluators, groups)
        found = Findings(
            drawn=sum(map(len, groups)) + looked.added,
            left_out=looked.left_out,
            shapes=tuple(group[0].shapes for group in groups),
        )
        if looked.broken:
            return replace(found, broken=self._better_named(looked.broken) or looked.broken)
        generic = self._generic(groups, looked, settings.seed)
        unlawful = _unlawful(evaluators, generic, REPEATABLE)
        if unlawful:
            return replace(found, unlawful=unlawful)
        found = replace(found, looked=len(looked.looks), judged=tuple(judge_all(evaluators, looked.looks)))
        if not self.claim.forward:
            found = self._asked_differences(found, generic)
        if not looked.looks or any(one.outcome is Outcome.WRONG for one in found.judged):
            return found
        return self._with_conduct(found, looked, groups, generic, settings)

    def _drawn(self, settings: Settings) -> Groups:
        """Return the draws in groups of one shape, the smallest first."""
        points, seed = self.claim.points, settings.seed
        aimed = aimed_draws(points, self.lengths, self.constants, settings.examples - 1, seed)
        draws = [*aimed, *draw(points, settings.examples - len(aimed), seed, self.claim.name)]
        return [list(group) for _, group in itertools.groupby(sorted(draws, key=key_of), key=key_of)]

    def _better_named(self, broken: Broken) -> Broken | None:
        """Return a closer cause of a wrong shape, seen where the axes have different sizes."""
        plain = [one for one in self.claim.points.plain() if not one.empty]
        if broken[0] != "contract-shape" or not plain:
            return None
        try:
            point = point_of(self.claim, plain[-1])
            return missing_sum(self.evaluators.hand(point), self.evaluators.truth(point))
        except Exception:
            # Code with a wrong shape at one size may not run at another: then the shape is the finding.
            return None

    def _generic(self, groups: Groups, looked: Looks, seed: int) -> list[Point]:
        """Return a point of plain numbers at each shape, where the function is finite; the largest last.

        At a large shape it is the point that was evaluated first, so that nothing is measured there twice.
        """
        first, points = dict(looked.first), []
        for one in self.claim.points.plain(seed + 1) or [group[0] for group in groups]:
            if one.size > EFFORT.large:
                points += [first[key_of(one)]] if key_of(one) in first else []
            elif not one.empty:
                point = point_of(self.claim, one, "random")
                points += [point] if self.evaluators.is_finite_at(point) else []
        return points

    def _asked_differences(self, found: Findings, generic: Sequence[Point]) -> Findings:
        """Return the findings with the vote of finite differences on both sides.

        Where the primal holds a `stop_gradient`, a disagreement may be its author's convention.
        """
        excused, truth = self.claim.excused, self.evaluators.truth
        # a difference moves the entries in a declared region as well
        places = [point for point in generic if not (excused and excused(point.args))][-EFFORT.generic :]
        doubt = next(filter(None, (self._doubt(point, truth(point).value) for point in places)), None)
        if doubt and explains_doubt(self.evaluators, places):
            said = "a stop_gradient in the primal changes its derivative, by its author's convention"
            return replace(found, notes=(*found.notes, said))
        doubts = [self._doubt(point, self.evaluators.hand(point).value) for point in places if doubt]
        return replace(found, doubt=doubt, vindicated=bool(doubt) and not any(doubts))

    def _doubt(self, point: Point, gradient: object) -> str | None:
        noise = self.evaluators.truth(point).noise
        return reference_in_doubt(self.evaluators.primal, point, gradient, noise)

    def _with_conduct(
        self, found: Findings, looked: Looks, groups: Groups, generic: Sequence[Point], settings: Settings
    ) -> Findings:
        """Return the findings with those of the checks that run only where no value is wrong."""
        evaluators, looks, second = self.evaluators, looked.looks, SecondOrder()
        everywhere = [look.point for look in looks]
        unlawful = _unlawful(evaluators, generic, LAWFUL) or _forward_apart(evaluators, everywhere)
        rows, refused = self._rows(groups, settings)
        if settings.second_order and not self.claim.forward:
            second = judge_second_order(evaluators, self.second, generic[-1:], settings.seed)
        return replace(
            found,
            unseen=unseen([look.truth for look in looks]),
            leaves=len(jax.tree.leaves(looks[0].truth.value)),
            unlawful=unlawful,
            rows=tuple(rows),
            second=second.wrong,
            notes=(*found.notes, *self._remarks(looks[0].point), *refused, *second.notes),
        )

    def _remarks(self, point: Point) -> list[str]:
        """Return notes on axes that are cut short, and on code that leaves float64 at a point."""
        single = "the code computes in float32 inside, so its formula was judged only to that precision"
        in_float32 = self.evaluators.in_float32(point)
        return cut_short(self.costs, self.lengths) + [single] * in_float32

    def _rows(self, groups: Groups, settings: Settings) -> tuple[list[Row], list[str]]:
        """Return rows that err too much, sums that saturate, and notes on the precisions not judged."""
        menu = [group for group in groups if group[0].kind is None]  # without the draws with a long axis
        full = [group for group in menu if not group[0].empty and group[0].size <= EFFORT.entries]
        fitting = max(1, EFFORT.native_entries // max(full[-1][0].size, 1)) if full else 0
        ordinary = full[-1][: min(EFFORT.native_points, fitting)] if full else []
        low = {dtype: self.evaluators.low_precision(dtype) for dtype in settings.dtypes}
        judged = {dtype: worst_rows(low[dtype], ordinary) for dtype in settings.dtypes}
        rows = [row for several in judged.values() for row in several if row.fails]
        if rows:
            smaller = [group[: EFFORT.native_points] for group in full[:-1]]
            where = low[rows[0].dtype]
            rows = [plainer_row(at_smallest(rows[0], where, smaller), where), *rows]
        for dtype in settings.dtypes:
            rows += self.saturated(dtype) if dtype != "float32" else []
        refused = {dtype: _refused(low[dtype], full) for dtype, found in judged.items() if not found}
        return rows, [f"the code was not judged in {dtype}: {why}" for dtype, why in refused.items() if why]


def _unlawful(evaluators: Evaluators, generic: Sequence[Point], laws: dict[str, Law]) -> Unlawful | None:
    """Return the first law of conduct that is broken at the last of the generic points."""
    for name, law in laws.items():
        for point in generic[-1:]:
            sentence = law(evaluators, point)
            if sentence:
                return Unlawful(name, sentence, point)
    return None


def _forward_apart(evaluators: Evaluators, points: Sequence[Point]) -> Unlawful | None:
    """Return where the value of the rule's own forward is not that of the primal."""
    found = unlike_primal(evaluators, points)
    return Unlawful("contract-forward", *found) if found else None


def _refused(low: LowPrecision, groups: Groups) -> str | None:
    """Return why no row was judged in a precision; None where that needs no note, as for complex numbers."""
    if not groups:
        return "no shape is small enough"
    return low.refused or ("at no point tried are both the function and autodiff finite" if low.ran else None)
