"""The second derivative, probed: at a point of plain numbers, and at one that holds zeros."""

from collections.abc import Sequence

import jax

from backproof.verification.judge import Judgement, Outcome, judge_alone
from backproof.verification.oracles import Point, point_of, shapes_of
from backproof.verification.runners import Runners
from backproof.verification.second_order import probe
from backproof.verification.stops import matters_at_second_order
from backproof.verification.tracing import float64
from backproof.verification.values import Style, zeros


def second_derivative(
    runners: Runners, generic: Sequence[Point], seed: int, notes: list[str]
) -> Judgement | None:
    """Return the judgement of the second derivative where it is wrong at plain numbers, else None.

    Args:
        runners: what runs the claim.
        generic: points of plain numbers; beside each, zeros are tried at the same shapes.
        seed: the seed of the zeros.
        notes: what could not be judged is added here, and what is wrong at zeros only.
    """
    for number, point in enumerate([*generic, *_with_zeros(runners, generic, seed)]):
        try:
            with float64():
                place = probe(runners.claim, point, number)
                for side in (runners.second.claim.hand, runners.second.claim.truth):
                    jax.eval_shape(side, *place)
        except Exception as error:
            # Not every derivative can be differentiated again; that is not asked of it.
            notes.append(f"second order not judged: {type(error).__name__}")
            return None
        judged = judge_alone(runners.second, place)
        if judged.outcome is Outcome.SKIPPED and runners.second.in_float32(place):
            notes.append("second order not judged: computed in float32")
            return None
        if judged.outcome is Outcome.WRONG:
            if matters_at_second_order(runners.claim, place):
                notes.append("second order not judged: a stop_gradient in the primal changes it")
                return None
            if number < len(generic):
                return judged
            # a guard at 0 that gives the right gradient has a slope of its own: no verdict rests on it
            notes.append("differentiated again, it gives a wrong second derivative where inputs are 0")
    return None


def _with_zeros(runners: Runners, generic: Sequence[Point], seed: int) -> list[Point]:
    """Return points with zeros among their numbers at the shapes of `generic`, where the primal is finite."""
    shapes = {shapes_of(point.args) for point in generic}
    draws = [one for one in runners.claim.points.styled(Style(zeros), seed) if not one.empty]
    points = [point_of(runners.claim, one, "random") for one in draws[-1:]]
    alike = [point for point in points if shapes_of(point.args) in shapes]
    return [point for point in alike if all(runners.float64.finite([point]))]
