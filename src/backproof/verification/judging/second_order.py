"""The derivative of the derivative: does a hand-written gradient differentiate to the right Hessian?

A residual wrapped in `stop_gradient`, or saved where autodiff cannot see it, leaves the gradient right
and every second derivative wrong. A probe shows it, at a point of plain numbers and at one that holds
zeros: the pullback of the hand-written result with random weights, compared with that of autodiff's result.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.leaves import is_complex, shapes_of
from backproof.numerics.stops import without_stops
from backproof.numerics.tracing import float64, form_of
from backproof.verification.claims.claim import Claim, pullback
from backproof.verification.judging.guards import is_smooth_and_unguarded
from backproof.verification.judging.judge import Judgement, Outcome, judge_alone
from backproof.verification.points.values import Style, zeros
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point, point_of

NOT_JUDGED = "the second derivative was not judged"


class SecondOrder(NamedTuple):
    """Holds the findings about the second derivative.

    Attributes:
        wrong: the judgement where it is wrong at plain numbers, else None.
        notes: sentences on what could not be judged, and on what is wrong at zeros only.
    """

    wrong: Judgement | None = None
    notes: tuple[str, ...] = ()


def second_order(claim: Claim) -> Claim:
    """Return the claim that the hand-written result has the pullback of the gradient.

    An argument with a structure, such as probabilities, is not moved out of it.
    """

    def pulled_back(derivative: Any) -> Any:
        def second(args: tuple[Any, ...], directions: Any) -> Any:
            held, weights = directions
            return pullback(lambda *values: derivative(values, held), claim.points.free(args))(args, weights)

        return second

    return claim._replace(hand=pulled_back(claim.hand), truth=pulled_back(claim.truth), forward=True, order=2)


def probe(claim: Claim, point: Point, seed: int) -> Point:
    """Return `point` with random weights for the entries of its result next to its direction."""
    rng = np.random.default_rng([seed, 3])
    like = form_of(claim.truth, *point)
    weights = jax.tree.map(lambda leaf: _drawn(rng, leaf), like)
    return Point(point.args, (point.direction, weights))


def _drawn(rng: np.random.Generator, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    values = rng.standard_normal(leaf.shape)
    return values + 1j * rng.standard_normal(leaf.shape) if is_complex(leaf) else values


def judge_second_order(
    first: Evaluators, second: Evaluators, generic: Sequence[Point], seed: int
) -> SecondOrder:
    """Return the findings about the second derivative at points of plain numbers, and at some with zeros.

    Args:
        first: the evaluators of the claim.
        second: the evaluators of the claim about its second derivative.
        generic: points of plain numbers; for each, zeros are tried at the same shapes.
        seed: the seed of the zeros.
    """
    if any(point.is_huge for point in generic):
        return SecondOrder(notes=(f"{NOT_JUDGED}: the arrays are too large",))
    notes: tuple[str, ...] = ()
    for number, point in enumerate([*generic, *_with_zeros(first, generic, seed)]):
        try:
            with float64():
                place = probe(first.claim, point, number)
                for side in (second.claim.hand, second.claim.truth):
                    form_of(side, *place)
        except Exception as error:
            # Not every derivative can be differentiated again, and none is required to be.
            return SecondOrder(notes=(*notes, f"{NOT_JUDGED}: it raises {type(error).__name__}"))
        plain = number < len(generic)
        if not plain and not is_smooth_and_unguarded(first, Look(point, None, first.truth(point))):
            # at a kink, and where autodiff differentiates a guard, its second derivative means nothing
            continue
        judged = judge_alone(second, place)
        if judged.outcome is not Outcome.WRONG:
            continue
        if _rests_on_stops(first.claim, place):
            said = f"{NOT_JUDGED}: a stop_gradient in the primal changes it"
            return SecondOrder(notes=(*notes, said))
        if plain:
            return SecondOrder(judged, notes)
        # a guard at 0 that gives the right gradient has a slope of its own, so no verdict depends on it
        notes = (*notes, "differentiating it again gives a wrong second derivative where inputs are 0")
    return SecondOrder(notes=notes)


def _rests_on_stops(claim: Claim, place: Point) -> bool:
    """Return whether autodiff gives another second derivative at `place` once no gradient is stopped.

    Args:
        claim: the first derivative.
        place: a point of the second one, as `probe` makes it.
    """
    passing = without_stops(claim.primal, place.args)
    if passing is None:
        return False
    with float64():
        gradient = form_of(claim.truth, place.args, place.direction[0])
    wrt = [i for i, part in enumerate(gradient) if part is not None]
    both = second_order(claim._replace(hand=pullback(passing, wrt)))
    return judge_alone(Evaluators(both), place).outcome is not Outcome.AGREES


def _with_zeros(first: Evaluators, generic: Sequence[Point], seed: int) -> list[Point]:
    """Return points with zeros among their numbers at the shapes of `generic`, where the primal is finite."""
    shapes = {shapes_of(point.args) for point in generic if not point.is_large}
    draws = [one for one in first.claim.points.styled(Style(zeros), seed) if not one.empty]
    points = [point_of(first.claim, one, "random") for one in draws[-1:]]
    return [point for point in points if shapes_of(point.args) in shapes and first.is_finite_at(point)]
