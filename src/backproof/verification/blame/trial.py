"""Whether the hand-written code is right once an expression in it is exchanged."""

import ast
import itertools
from collections.abc import Sequence

from backproof.numerics.comparison import same_within
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import shapes_of
from backproof.numerics.tolerance import CLOSE
from backproof.verification.blame.watched import Watching
from backproof.verification.judging.judge import Judgement, Outcome, judge_alone
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, point_of

# The seed of points at which no mend was looked for.
FRESH = 7
WRONG = (Outcome.WRONG, Outcome.UNSTABLE)
DECIDING = (Outcome.AGREES, Outcome.CONFIRMED, Outcome.SUBGRADIENT, Outcome.UNSTABLE, Outcome.WRONG)


def points_mended(
    evaluators: Evaluators, watching: Watching, number: int, text: str, judged: Sequence[Judgement]
) -> int:
    """Return at how many points the derivative is right with another text for an expression; 0 if at one not.

    They are the judged ones and others, at which no mend was looked for.

    Args:
        evaluators: the evaluators of the claim.
        watching: the expressions of the code by hand.
        number: the number of the expression.
        text: what stands in its place.
        judged: the points.
    """
    edit = number, ast.parse(text, mode="eval").body
    changed = Evaluators(evaluators.claim._replace(hand=watching.rebuilt(evaluators.claim.hand, edit)))
    changed.truth, changed.primal = evaluators.truth, evaluators.primal
    claim = evaluators.claim
    fresh = [one for one in claim.points.plain(FRESH) if not one.empty and one.size <= EFFORT.blamed]
    deciding = [one for one in judged if one.outcome in DECIDING and one.says_something]
    telling = [one for one in deciding if not one.point.is_large]
    # the wrong ones first: they refute most
    ordered = sorted(telling, key=lambda one: (-one.outcome, repr(shapes_of(one.point.args))))
    groups = itertools.groupby(ordered, key=lambda one: (one.outcome, repr(shapes_of(one.point.args))))
    try:
        right = all(_is_right(changed, list(group)) for _, group in groups) and all(
            _is_right_at(changed, point_of(claim, one, "random")) for one in fresh
        )
    except Exception:
        # With another expression the code may not run at some shape: then that is no mend.
        return 0
    return (len(telling) + len(fresh)) * right


def _is_right_at(changed: Evaluators, point: Point) -> bool:
    return not changed.is_finite_at(point) or judge_alone(changed, point).outcome not in WRONG


def _is_right(changed: Evaluators, group: list[Judgement]) -> bool:
    values = changed.by_hand([one.point for one in group])
    pairs = zip(group, values, strict=True)
    unclear = [one for one, value in pairs if not same_within(one.truth, value, CLOSE)]
    return all(judge_alone(changed, one.point).outcome not in WRONG for one in unclear)
