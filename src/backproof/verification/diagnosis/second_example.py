"""The plainest example of a wrong second derivative: small sizes, plain numbers, weights among them."""

import itertools

from backproof.numerics.effort import EFFORT
from backproof.verification.diagnosis.smallest import with_plain_numbers
from backproof.verification.judging.judge import Judgement, Outcome, judge_alone
from backproof.verification.judging.second_order import probe
from backproof.verification.points.draws import Drawn
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, point_of


def plainest_second(first: Evaluators, second: Evaluators, found: Judgement) -> Judgement:
    """Return a judgement that a second derivative is wrong at a smaller and plainer point, or `found` itself.

    Args:
        first: the evaluators of the claim.
        second: the evaluators of the claim about its second derivative.
        found: the judgement where it was seen.
    """
    draws = [one for one in first.claim.points.small() if not one.empty][: EFFORT.small_draws]
    smaller = (_judged_at(first, second, drawn) for drawn in draws)
    found = next((one for one in smaller if one is not None), found)
    if found.point.is_large:
        return found

    tries = itertools.count()

    def still_wrong(point: Point) -> bool:
        return next(tries) < EFFORT.careful and judge_alone(second, point).outcome is Outcome.WRONG

    points = first.claim.points
    return judge_alone(second, with_plain_numbers(found.point, points.admits, still_wrong, points.plainer))


def _judged_at(first: Evaluators, second: Evaluators, drawn: Drawn) -> Judgement | None:
    """Return the judgement at a draw if the second derivative is wrong there."""
    try:
        point = point_of(first.claim, drawn, "random")
        if not first.is_finite_at(point):
            return None
        judged = judge_alone(second, probe(first.claim, point, 0))
    except Exception:
        # At these sizes the function, or its second derivative, does not exist: nothing can be wrong there.
        return None
    return judged if judged.outcome is Outcome.WRONG else None
