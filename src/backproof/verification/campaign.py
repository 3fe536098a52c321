"""One verification, from a claim to everything that was found out about it.

Cheapest first: the contract, then every point in float64, then the laws of conduct, low precision, the
second derivative, and the vote of finite differences on the reference. What is broken at the contract
ends the run; the rest is gathered, and `conclusion` turns it into a report.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from backproof.errors import UsageError
from backproof.verification.accuracy import Row, at_smallest, plainer_row, worst_rows
from backproof.verification.chosen import chosen_draws
from backproof.verification.claim import Claim
from backproof.verification.conduct import LAWFUL, REPEATABLE, Law, unlike_primal
from backproof.verification.contract import Broken, broken_contract, missing_sum, no_such_function
from backproof.verification.drawing import draw
from backproof.verification.judge import Judgement, Outcome, first_look, judge
from backproof.verification.native import DTYPES, NativeRunner
from backproof.verification.noise import Measured
from backproof.verification.oracles import LARGE, Point, Runner, point_of, points_of, shapes_of
from backproof.verification.plants import blind_to
from backproof.verification.points import Drawn
from backproof.verification.runners import Runners
from backproof.verification.second_derivative import second_derivative
from backproof.verification.stops import explains_doubt
from backproof.verification.tracing import float64
from backproof.verification.vote import reference_in_doubt

Look = tuple[Point, Any, Measured]
# Wrong points looked at in full: one gives the verdict, a few more keep the cause from being a coincidence.
ENOUGH = 5
# Entries judged in one precision at one shape: large arrays get fewer points, never none.
BUDGET = 2**20
# The same for low precision, which NumPy computes slowly.
NATIVE_BUDGET = 2**17
NATIVE_POINTS = 32


@dataclass(frozen=True)
class Settings:
    """Holds the few settings of a verification.

    Attributes:
        examples: how many points are drawn.
        seed: the seed of every draw; the same seed gives the same points.
        dtypes: the precisions in which the implementation itself is judged, where it runs in them.
        second_order: whether the derivative of the derivative is probed.
    """

    examples: int = 200
    seed: int = 0
    dtypes: tuple[str, ...] = DTYPES
    second_order: bool = True


@dataclass
class Findings:
    """Gathers what one verification finds; the only thing that changes while it runs."""

    drawn: int = 0
    # how many fewer large arrays were looked at than drawn
    left_out: int = 0
    looked: int = 0
    shapes: list[str] = field(default_factory=list)
    judged: list[Judgement] = field(default_factory=list)
    broken: Broken | None = None
    unlawful: tuple[str, str, Point] | None = None
    rows: list[Row] = field(default_factory=list)
    second: Judgement | None = None
    doubt: str | None = None
    vindicated: bool = False
    blind: dict[str, str] = field(default_factory=dict)
    leaves: int = 0
    notes: list[str] = field(default_factory=list)
    # the first point looked at of each large shape
    first: dict[Any, Point] = field(default_factory=dict)

    @property
    def all_zero(self) -> bool:
        """Return whether every leaf is zero within noise at every point: anything near zero would pass."""
        zero = [what for what in self.blind.values() if "zero" in what]
        return 0 < self.leaves == len(zero)


def investigate(runners: Runners, settings: Settings) -> Findings:
    """Return everything that is found out about the claim that `runners` run."""
    claim, runner, found = runners.claim, runners.float64, Findings()
    draws = chosen_draws(runners, settings.examples - 1, settings.seed)
    draws = sorted([*draws, *draw(claim, settings.examples - len(draws), settings.seed)], key=_key)
    groups = [list(group) for _, group in itertools.groupby(draws, key=_key)]
    found.drawn, found.shapes = len(draws), [group[0].shapes for group in groups]
    looks = _looks(claim, runner, groups, found)
    if found.broken:
        return found
    generic = _generic(runner, groups, found, settings.seed)
    found.unlawful = _unlawful(runner, generic, REPEATABLE)
    if found.unlawful:
        return found
    found.looked, found.judged = len(looks), judge_all(runner, looks)
    if not claim.forward:
        _vote(runner, generic, found)
    if not looks or any(one.outcome is Outcome.WRONG for one in found.judged):
        return found
    found.blind = blind_to([truth for _, _, truth in looks])
    found.leaves = len(jax.tree.leaves(looks[0][2].value))
    everywhere = [point for point, _, _ in looks]
    found.unlawful = _unlawful(runner, generic, LAWFUL) or unlike_primal(runner, everywhere)
    found.rows, refused = _rows(runners, groups, settings)
    found.notes += [*runners.remarks(looks[0][0]), *refused]
    if settings.second_order and not claim.forward:
        found.second = second_derivative(runners, generic[-1:], settings.seed, found.notes)
    return found


def _vote(runner: Runner, generic: list[Point], found: Findings) -> None:
    """Ask finite differences of the reference, and whether they side with the hand-written side.

    Where the primal holds a `stop_gradient`, a difference is what its author wants.
    """
    for point in generic[-2:]:
        found.doubt = found.doubt or reference_in_doubt(runner, point, runner.truth(point).value)
    if found.doubt and explains_doubt(runner, generic[-2:]):
        found.doubt = None
        found.notes.append("a stop_gradient in the primal changes its derivative: its author's convention")
    if found.doubt:
        doubts = [reference_in_doubt(runner, point, runner.hand(point).value) for point in generic[-2:]]
        found.vindicated = not any(doubts)


def _looks(claim: Claim, runner: Runner, groups: list[list[Drawn]], found: Findings) -> list[Look]:
    """Return both sides at every point where the function exists and is finite."""
    looks: list[Look] = []
    for group in groups:
        kept = _fitting(claim, group)
        found.left_out += max(0, len(group) - len(kept))
        found.drawn += max(0, len(kept) - len(group))  # of plain numbers, beside what was drawn
        points = _points(claim, kept)
        if points is None:
            continue
        if kept[0].empty and not _differentiable(claim, points[0]):
            continue
        found.broken = broken_contract(claim, kept[0].build())
        if found.broken:
            found.broken = _better_named(claim, runner, found.broken) or found.broken
            return []
        try:
            hands = runner.hand_values(points)
        except Exception as error:
            # It could be traced; what it raises when it runs, a kernel over an empty axis say, is its own.
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            found.broken = "contract-raises", f"run at {kept[0].shapes}, the hand-written side raises {said}"
            return []
        tried = zip(points, hands, runner.truths(points), strict=True)
        kept_looks = [look for look, finite in zip(tried, runner.finite(points), strict=True) if finite]
        if kept[0].size > LARGE and kept_looks:
            found.first[_key(kept[0])] = kept_looks[0][0]
        looks += kept_looks
    return looks


def _fitting(claim: Claim, group: list[Drawn]) -> list[Drawn]:
    """Return as many draws of one shape as the budget holds; of a large one, plain numbers come first."""
    fitting = max(1, BUDGET // max(group[0].size, 1))
    if fitting >= len(group) and group[0].size <= LARGE:
        return group
    return ([one for one in claim.points.plain() if _key(one) == _key(group[0])] + group)[:fitting]


def _points(claim: Claim, group: Sequence[Drawn]) -> list[Point] | None:
    """Return the points of one shape, or None where the function itself does not exist at that shape.

    Raises:
        UsageError: it raises although no argument is empty.
    """
    try:
        large = group[0].size > LARGE  # so few of them that none may have a cotangent that hides something
        return points_of(claim, group, "random" if large else None)
    except Exception as error:
        if group[0].empty:
            return None
        if isinstance(error, UsageError):
            raise
        raise no_such_function(claim, group[0].build(), group[0].shapes, error) from error


def _better_named(claim: Claim, runner: Runner, broken: Broken) -> Broken | None:
    """Return what the wrong shape comes from, seen where the axes have different sizes."""
    plain = [one for one in claim.points.plain() if not one.empty]
    if broken[0] != "contract-shape" or not plain:
        return None
    try:
        return missing_sum(runner, point_of(claim, plain[-1]))
    except Exception:
        # Code with a wrong shape at one size may not run at another; the broken shape is then the finding.
        return None


def _differentiable(claim: Claim, point: Point) -> bool:
    """Return whether autodiff of the primal exists at `point`: on an empty axis it may not."""
    try:
        with float64():
            jax.eval_shape(claim.truth, *point)
    except Exception:
        # What autodiff raises at an empty axis is no finding about the hand-written side.
        return False
    return True


def judge_all(runner: Runner, looks: list[Look]) -> list[Judgement]:
    """Return the judgement of each point: those that agree at once, then the rest, shape by shape in turn.

    Once a few points are WRONG the verdict stands, and what is left would add nothing to it.
    """
    first = [first_look(*look) for look in looks]
    agreeing = [one for one in first if one.outcome is Outcome.AGREES]
    suspects = [look for look, one in zip(looks, first, strict=True) if one.outcome is not Outcome.AGREES]
    second: list[Judgement] = []
    for look in _in_turn(suspects):
        second.append(judge(runner, *look))
        if sum(one.outcome is Outcome.WRONG for one in second) >= ENOUGH:
            break
    return agreeing + second


def _in_turn(looks: list[Look]) -> list[Look]:
    """Return the first look at each shape, then the second at each, and so on."""
    by_shape = [
        list(group) for _, group in itertools.groupby(looks, key=lambda look: shapes_of(look[0].args))
    ]
    rounds = itertools.zip_longest(*by_shape)
    return [look for one_round in rounds for look in one_round if look is not None]


def _generic(runner: Runner, groups: list[list[Drawn]], found: Findings, seed: int) -> list[Point]:
    """Return a point of plain numbers at each shape, where the function is finite; the largest last.

    A large one is the point that was looked at first, so that nothing is measured there twice.
    """
    claim, points = runner.claim, []
    for one in claim.points.plain(seed + 1) or [group[0] for group in groups]:
        if one.size > LARGE:
            points += [found.first[_key(one)]] if _key(one) in found.first else []
        elif not one.empty:
            point = point_of(claim, one, "random")
            points += [point] if all(runner.finite([point])) else []
    return points


def _key(one: Drawn) -> tuple[bool, int, str, str]:
    """Return what draws of one group share, the smallest first and the empty ones last."""
    return one.empty, one.size, one.shapes, one.tree


def _unlawful(runner: Runner, generic: list[Point], laws: dict[str, Law]) -> tuple[str, str, Point] | None:
    """Return the first law of conduct that is broken: name, sentence and point."""
    for name, law in laws.items():
        for point in generic[-1:]:
            sentence = law(runner, point)
            if sentence:
                return name, sentence, point
    return None


def _rows(runners: Runners, groups: list[list[Drawn]], settings: Settings) -> tuple[list[Row], list[str]]:
    """Return rows that err beyond what autodiff does, sums that saturate, and what is not judged."""
    menu = [group for group in groups if group[0].kind is None]  # not the one draw with a long axis
    full = [group for group in menu if not group[0].empty and group[0].size <= BUDGET]
    fitting = max(1, NATIVE_BUDGET // max(full[-1][0].size, 1)) if full else 0
    ordinary = full[-1][: min(NATIVE_POINTS, fitting)] if full else []
    judged = {dtype: worst_rows(runners.native(dtype), ordinary) for dtype in settings.dtypes}
    rows = [row for several in judged.values() for row in several if row.fails]
    if rows:
        smaller = [group[:NATIVE_POINTS] for group in full[:-1]]
        native = runners.native(rows[0].dtype)
        rows = [plainer_row(at_smallest(rows[0], native, smaller), native), *rows]
    for dtype in settings.dtypes:
        rows += runners.saturated(dtype) if dtype != "float32" else []
    refused = {dtype: _refused(runners.native(dtype), full) for dtype, found in judged.items() if not found}
    return rows, [f"not judged in {dtype}: {why}" for dtype, why in refused.items() if why]


def _refused(native: NativeRunner, groups: list[list[Drawn]]) -> str | None:
    """Return why no row was judged in a precision; None where there is none, as of complex numbers."""
    if not groups:
        return "no shape is small enough"
    return native.refused or (
        "at no point are the function and autodiff finite in it" if native.ran else None
    )
