"""Whether the hand-written code is right once an expression in it is exchanged."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

import jax

from backproof.numerics.comparison import same
from backproof.numerics.effort import EFFORT
from backproof.verification.blame.case import Case
from backproof.verification.judging.judge import GRAVE, Outcome, first_look, has_a_direction, judge
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look, by_shape, in_turn
from backproof.verification.running.point import Point, point_of

# The seed of points at which no mend was looked for.
FRESH = 7


def points_mended(case: Case, number: int, text: str) -> int:
    """Return at how many points the derivative is right with another text for an expression; 0 if at one not.

    They are the points looked at and some more, at which no mend was looked for.

    Args:
        case: the wrong derivative.
        number: the number of the expression.
        text: what stands in its place.
    """
    evaluators, claim = case.evaluators, case.evaluators.claim
    edit = number, ast.parse(text, mode="eval").body
    changed = Evaluators(claim._replace(hand=case.watching.rebuilt(claim.hand, edit), host=None))
    changed.truth, changed.primal = evaluators.truth, evaluators.primal
    pairs = [
        (_of_args(one), _of_args(case.watching.rebuilt(one, edit)))
        for one in (claim.primal, claim.value, *claim.beside)
        if one is not None
    ]
    draws = [one for one in claim.points.plain(FRESH) if not one.empty and one.size <= EFFORT.blamed]
    points = [point_of(claim, one, "random") for one in draws]
    fresh = [point for point in points if evaluators.is_finite_at(point)]
    telling = [look for look in case.looks if has_a_direction(look.point) and not look.point.is_large]
    every = [*(Look(point, None, evaluators.truth(point), tied=True) for point in fresh), *telling]
    try:
        if not all(_are_alike(*pair, point) for pair in pairs for point in fresh[:2]):
            return 0  # the function itself would be another one, or something else that is right
        differing = [_differing(changed, group) for group in by_shape(every)]
        doubtful = in_turn(differing)
        asked = doubtful[: EFFORT.doubtful_mends]
        right = all(judge(changed, look).outcome not in GRAVE for look in asked)
    except Exception:
        # With another expression the code may not run at some shape: then that is no mend.
        return 0
    return (len(every) - len(doubtful) + len(asked)) * right


def _of_args(function: Callable[..., Any]) -> Evaluator:
    return Evaluator(lambda args, _: function(*args))


def _are_alike(one: Evaluator, other: Evaluator, point: Point) -> bool:
    """Return whether two functions have the same value at a point."""
    mine, noise = one(point)
    leaves = zip(*map(jax.tree.leaves, (other(point).value, mine, noise)), strict=True)
    return all(same(*leaf) for leaf in leaves)


def _differing(changed: Evaluators, group: Sequence[Look]) -> list[Look]:
    """Return the points of one shape at which the changed code differs from autodiff at first sight."""
    values = changed.by_hand([look.point for look in group])
    found = [look._replace(hand=value) for look, value in zip(group, values, strict=True)]
    seen = [(look, first_look(look.point, look.hand, look.truth)) for look in found]
    return [look for look, first in seen if first.outcome is not Outcome.AGREES]
