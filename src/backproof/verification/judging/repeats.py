"""Repeats: a derivative that gives another result when it runs again cannot be judged by its values."""

from backproof.numerics.comparison import difference, same_bits
from backproof.verification.judging.laws import vmap_is_a_loop
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point

DIFFERENT_BITS = "run again on the same input, it gives different bits"
DIFFERENT_RESULTS = "run again on the same input, it gives another result"


def is_the_same_again(evaluators: Evaluators, point: Point, repeats: int) -> bool:
    """Return whether so many runs of the compiled derivative on the same input give the same bits."""
    first = evaluators.compiled(point)
    return all(same_bits(first, evaluators.compiled(point)) for _ in range(repeats - 1))


def is_right_again(evaluators: Evaluators, point: Point, repeats: int) -> bool:
    """Return whether a derivative that was wrong at a point is right there in some of so many runs."""
    truth = evaluators.truth(point).with_noise_of(evaluators.hand(point))
    alone = [evaluators.compiled(point) for _ in range(repeats)]
    right = [difference(one, truth) is None for one in alone]
    if all(right):  # it was wrong among other points
        return vmap_is_a_loop(evaluators, point) is None
    return any(right)
