"""A cause as a prediction: what the hand-written side would give at a point if it were so.

A prediction is believed if it comes true at every point looked at, right ones included. No cause needs a
list of what would refute it: any point does at which the hand-written side gives something else.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from backproof.numerics.comparison import same
from backproof.verification.diagnosis.compared import Compared

Points = Sequence[Compared]


def _nothing(_: Points) -> bool:
    return True


class Prediction(NamedTuple):
    """Holds what one cause predicts.

    Attributes:
        words: the cause in a sentence.
        holds: whether it predicts what the hand-written side gives at a point, in the leaf in question.
        is_seen: whether the points together can tell it from an accident.
    """

    words: str
    holds: Callable[[Compared], bool]
    is_seen: Callable[[Points], bool] = _nothing


# Yields what a cause may predict, from a point at which the result is wrong.
Cause = Callable[[Compared], Iterable[Prediction]]


def value_is(words: str, value: Callable[[Compared], tuple[Any, Any] | None]) -> Prediction:
    """Return the prediction of the value of the leaf, which is given with its noise; None if it has none."""

    def holds(at: Compared) -> bool:
        found = value(at)
        fits = found is not None and np.shape(found[0]) == np.shape(at.leaf.mine)
        return found is not None and fits and same(at.leaf.mine, found[0], at.leaf.noise + found[1])

    return Prediction(words, holds)


def confirmed(cause: Cause, wrong: Points, right: Callable[[], Points]) -> str | None:
    """Return the sentence of the first prediction of a cause that comes true at every point, else None.

    Args:
        cause: the cause.
        wrong: points at which the leaf is wrong.
        right: gives the points at which it may be right; they are compared only where they are needed.
    """
    for one in cause(wrong[0]):
        if all(one.holds(at) for at in wrong):
            every = [*wrong, *right()]
            if all(one.holds(at) for at in every[len(wrong) :]) and one.is_seen(every):
                return one.words
    return None


def first_confirmed(
    causes: dict[str, Cause], wrong: Points, right: Callable[[], Points]
) -> tuple[str, str] | None:
    """Return the name and the sentence of the first cause of a table that is confirmed, else None."""
    found = ((name, confirmed(cause, wrong, right)) for name, cause in causes.items())
    return next(((name, words) for name, words in found if words), None)
