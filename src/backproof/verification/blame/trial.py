"""Whether the hand-written code is right once an expression in it is exchanged."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

import jax

from backproof.numerics.comparison import same
from backproof.numerics.effort import EFFORT
from backproof.verification.blame.watched import Watching
from backproof.verification.judging.judge import Outcome, first_look, has_a_direction, judge
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look, by_shape
from backproof.verification.running.point import Point, point_of

# The seed of points at which no mend was looked for.
FRESH = 7
WRONG = (Outcome.WRONG, Outcome.UNSTABLE)


def points_mended(
    evaluators: Evaluators, watching: Watching, number: int, text: str, looks: Sequence[Look]
) -> int:
    """Return at how many points the derivative is right with another text for an expression; 0 if at one not.

    They are the points looked at and some more, at which no mend was looked for.

    Args:
        evaluators: the evaluators of the claim.
        watching: the expressions of the code by hand.
        number: the number of the expression.
        text: what stands in its place.
        looks: both sides at the points.
    """
    claim = evaluators.claim
    edit = number, ast.parse(text, mode="eval").body
    changed = Evaluators(claim._replace(hand=watching.rebuilt(claim.hand, edit)))
    changed.truth, changed.primal = evaluators.truth, evaluators.primal
    forward = [one for one in (claim.primal, claim.value) if one is not None]
    pairs = [(_of_args(one), _of_args(watching.rebuilt(one, edit))) for one in forward]
    draws = [one for one in claim.points.plain(FRESH) if not one.empty and one.size <= EFFORT.blamed]
    points = [point_of(claim, one, "random") for one in draws]
    fresh = [point for point in points if evaluators.is_finite_at(point)]
    telling = [look for look in looks if has_a_direction(look.point) and not look.point.is_large]
    every = [*(Look(point, None, evaluators.truth(point), tied=True) for point in fresh), *telling]
    doubtful: list[Look] = []
    try:
        if not all(_are_alike(*pair, point) for pair in pairs for point in fresh[:2]):
            return 0  # the function itself would be another one
        for group in by_shape(every):
            found = [one for one in _with_values(changed, group) if _differs(one)]
            doubtful += found
            if any(judge(changed, one).outcome in WRONG for one in found[:1]):
                return 0
        rest = doubtful[:: -(-len(doubtful) // EFFORT.doubtful_mends)] if doubtful else []
        right = all(judge(changed, one).outcome not in WRONG for one in rest)
    except Exception:
        # With another expression the code may not run at some shape: then that is no mend.
        return 0
    return (len(every) - len(doubtful) + len(rest)) * right


def _of_args(function: Callable[..., Any]) -> Evaluator:
    return Evaluator(lambda args, _: function(*args))


def _are_alike(one: Evaluator, other: Evaluator, point: Point) -> bool:
    """Return whether two functions have the same value at a point."""
    mine, noise = one(point)
    leaves = zip(*map(jax.tree.leaves, (other(point).value, mine, noise)), strict=True)
    return all(same(*leaf) for leaf in leaves)


def _with_values(changed: Evaluators, group: Sequence[Look]) -> list[Look]:
    values = changed.by_hand([look.point for look in group])
    return [look._replace(hand=value) for look, value in zip(group, values, strict=True)]


def _differs(look: Look) -> bool:
    return first_look(look.point, look.hand, look.truth).outcome is not Outcome.AGREES
