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
from backproof.numerics.leaves import all_finite, leaves_with_paths
from backproof.numerics.tracing import independent_of
from backproof.verification.aiming.aimed import aimed_draws
from backproof.verification.aiming.constants import constants_of, integers_of
from backproof.verification.aiming.lengths import Costs, affordable, costs_of, cut_short, longest
from backproof.verification.blindness import unseen
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.contract import Broken
from backproof.verification.diagnosis.missing_sum import missing_sum
from backproof.verification.diagnosis.second_example import plainest_second
from backproof.verification.evidence import (
    coarse,
    on_one_device,
    reach_of,
    unasked,
    unjudged,
    unreached,
    unrelated,
    without_varied,
)
from backproof.verification.findings import Findings, Settings, Unlawful
from backproof.verification.judging.accuracy import Row, saturated_sums
from backproof.verification.judging.judge import Outcome, judge_all
from backproof.verification.judging.laws import LAWFUL, REPEATABLE, Law, unlike_primal
from backproof.verification.judging.reference import Vote, explains_doubt, vote_along
from backproof.verification.judging.repeats import (
    DIFFERENT_BITS,
    DIFFERENT_RESULTS,
    is_right_again,
    is_the_same_again,
)
from backproof.verification.judging.second_order import SecondOrder, judge_second_order, second_order
from backproof.verification.points.draws import Drawn, Long
from backproof.verification.points.hypothesis_draws import draw
from backproof.verification.precisions import accuracy_in, precisions_of
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look, Looks, does_not_compile, key_of, look_at
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.one_sided import is_pole
from backproof.verification.running.oracle import require_oracle
from backproof.verification.running.point import Point, point_of

Groups = Sequence[Sequence[Drawn]]


class Campaign:
    """Verifies one claim; it is a class because all seeds share what was traced and compiled."""

    def __init__(self, claim: Claim) -> None:
        """Prepare to verify `claim`; nothing is traced yet."""
        self.claim = claim
        self.evaluators: Evaluators = Evaluators(claim)
        self._saturated: dict[tuple[str, bool], list[Row]] = {}

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
    def integers(self) -> tuple[int, ...]:
        """The whole numbers with which the code of both sides compares others."""
        return integers_of(self.evaluators)

    @functools.cached_property
    def large(self) -> list[Long]:
        """Draws with an axis so long that sums over it saturate, as far as that is affordable."""
        return self.claim.points.large(functools.partial(affordable, self.costs))

    @functools.cached_property
    def second(self) -> Evaluators:
        """The evaluators of the derivative of the derivative."""
        return Evaluators(second_order(self.claim))

    def release(self) -> None:
        """Free the results that are kept; the programs stay."""
        self.evaluators.release()
        if "second" in vars(self):
            self.second.release()

    def saturated(self, low: LowPrecision) -> list[Row]:
        """Return the sums that saturate in a low precision; their numbers do not depend on the seed."""
        key = low.dtype, low.compiles
        if key not in self._saturated:
            self._saturated[key] = saturated_sums(low, self.large)
        return self._saturated[key]

    def investigate(self, settings: Settings, clock: Clock) -> Findings:
        """Return the findings about the claim."""
        evaluators, groups = self.evaluators, self._drawn(settings)
        looked = look_at(evaluators, groups, clock)
        groups = groups[: looked.tried]
        found = Findings(
            drawn=sum(map(len, groups)) + looked.added,
            left_out=looked.left_out,
            shapes=tuple(group[0].shapes for group in groups),
            refused=looked.refused,
        )
        if looked.broken:
            return replace(found, broken=self._better_named(looked.broken) or looked.broken)
        generic = self._generic(groups, looked, settings.seed)
        broken = does_not_compile(evaluators, generic)
        if broken:
            return replace(found, broken=broken)
        unlawful = self._unrepeatable(generic, settings.repeats)
        if unlawful:
            return replace(found, unlawful=unlawful)
        for point in generic[-1:]:
            require_oracle(evaluators, point)
        if looked.long is not None:
            require_oracle(evaluators, looked.long, by_hand_only=True)
        clock.says(f"judging {len(looked.looks)} points")
        judged = tuple(judge_all(evaluators, looked.looks, clock))
        if self.claim.points.related:
            judged = without_varied(judged, [look.point for look in looked.looks if look.varied])
        late = (*unrelated(judged), *unasked(judged))
        found = replace(found, looks=looked.looks, judged=judged, unjudged=unjudged(looked), unreached=late)
        wrong = [one.point for one in found.judged if one.outcome is Outcome.WRONG]
        if wrong and is_right_again(evaluators, wrong[0], settings.repeats):
            return replace(found, unlawful=Unlawful("not-deterministic", DIFFERENT_RESULTS, wrong[0]))
        if not (self.claim.forward or clock.over("finite differences", required=True)):
            found = self._asked_differences(found, generic)
        if looked.looks and not wrong:
            found = self._with_conduct(found, looked, groups, generic, settings, clock)
        reach = reach_of(self.claim, found, looked, settings.repeats, precisions_of(groups, settings), clock)
        late = [f"there was no time left for {', '.join(clock.missing)}"] * bool(clock.missing)
        return replace(found, reach=reach, unreached=(*found.unreached, *unreached(reach), *late))

    def _unrepeatable(self, generic: Sequence[Point], repeats: int) -> Unlawful | None:
        """Return the law that is broken where the derivative cannot be repeated."""
        for point in generic[-1:]:
            if not is_the_same_again(self.evaluators, point, repeats):
                return Unlawful("not-deterministic", DIFFERENT_BITS, point)
        return _unlawful(self.evaluators, generic, REPEATABLE, repeats)

    def _has_value(self, point: Point) -> bool:
        """Return whether the value of the rule's own forward is compared where the function is infinite.

        That is where the caller brings infinities, and at poles, where a refusal stands for an infinity.
        """
        if self.claim.value is None or not (not all_finite(point.args) or is_pole(self.evaluators, point)):
            return False
        try:
            self.evaluators.forward.value(point)
        except Exception:
            # What it raises says that there is no finite value.
            return False
        return True

    def _drawn(self, settings: Settings) -> Groups:
        """Return the draws in groups of one shape, the smallest first."""
        points, seed = self.claim.points, settings.seed
        aimed = aimed_draws(points, self.lengths, self.constants, self.integers, settings.examples - 1, seed)
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
        votes = [self._vote(point, truth(point).value) for point in places]
        doubt = next((said for vote, said in votes if vote is Vote.REFUTES), None)
        if not doubt:
            return replace(found, flat=bool(places) and all(vote is Vote.CONFIRMS for vote, _ in votes))
        if explains_doubt(self.evaluators, places):
            said = "a stop_gradient in the primal changes its derivative, by its author's convention"
            return replace(found, notes=(*found.notes, said))
        others = [self._vote(point, self.evaluators.hand(point).value)[0] for point in places]
        return replace(found, doubt=doubt, vindicated=Vote.REFUTES not in others)

    def _vote(self, point: Point, gradient: object) -> tuple[Vote, str]:
        return vote_along(self.evaluators.primal, point, gradient, self.evaluators.truth(point).noise)

    def _with_conduct(
        self,
        found: Findings,
        looked: Looks,
        groups: Groups,
        generic: Sequence[Point],
        settings: Settings,
        clock: Clock,
    ) -> Findings:
        """Return the findings with those of the checks that run only where no value is wrong."""
        evaluators, looks, second = self.evaluators, looked.looks, SecondOrder()
        silent = {id(one.point) for one in found.judged if one.outcome is Outcome.NO_EVIDENCE}
        everywhere = [look.point for look in looks]
        # the value is compared where the caller brings infinities, and where the function has a pole
        given = [point for point in looked.infinite if self._has_value(point)]
        clock.says(f"{len(everywhere)} points agree or are subgradients; laws of conduct and low precision")
        unlawful = None
        if not clock.over("the laws of conduct", required=True):
            broken = _unlawful(evaluators, generic, LAWFUL, settings.repeats)
            unlawful = broken or _forward_apart(evaluators, [*everywhere, *given])
        accuracy = accuracy_in(evaluators, groups, precisions_of(groups, settings), self.saturated, clock)
        if settings.second_order and not self.claim.forward and not clock.over("the second derivative"):
            second = judge_second_order(evaluators, self.second, generic[-1:], settings.seed)
        program = evaluators.truth.program(looks[0].point)
        paths = [path for path, _ in leaves_with_paths(looks[0].truth.value)]
        fixed = independent_of(program, len(jax.tree.leaves(looks[0].point.args)))
        return replace(
            found,
            unseen=unseen([look.truth for look in looks if id(look.point) not in silent], program.units),
            symbolic=tuple(path for path, known in zip(paths, fixed, strict=True) if known),
            leaves=len(jax.tree.leaves(looks[0].truth.value)),
            unlawful=unlawful,
            rows=accuracy.rows,
            unreached=(*found.unreached, *accuracy.unreached),
            second=second.wrong and plainest_second(evaluators, self.second, second.wrong),
            notes=(*found.notes, *self._notes(looks[0], paths), *accuracy.notes, *second.notes),
        )

    def _notes(self, look: Look, paths: Sequence[str]) -> list[str]:
        """Return notes on axes that were cut short, coarse leaves, and meshes of one device."""
        return [
            *cut_short(self.costs, self.lengths),
            *coarse(paths, self.evaluators.units(look.point)),
            *on_one_device(self.evaluators.hand.program(look.point)),
        ]


def _unlawful(
    evaluators: Evaluators, generic: Sequence[Point], laws: dict[str, Law], repeats: int
) -> Unlawful | None:
    """Return the first law of conduct that is broken at the last of the generic points.

    A law that holds when it is asked again is broken by an error that comes and goes.
    """
    for name, law in laws.items():
        for point in generic[-1:]:
            sentence = law(evaluators, point)
            if not sentence:
                continue
            if any(law(evaluators, point) is None for _ in range(repeats - 1)):
                return Unlawful("not-deterministic", DIFFERENT_RESULTS, point)
            return Unlawful(name, sentence, point)
    return None


def _forward_apart(evaluators: Evaluators, points: Sequence[Point]) -> Unlawful | None:
    """Return where the value of the rule's own forward is not that of the primal."""
    found = unlike_primal(evaluators, points)
    return Unlawful("contract-forward", *found) if found else None
