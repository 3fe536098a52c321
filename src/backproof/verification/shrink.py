"""The plainest example: generic small numbers that still show the same failure.

The points come sorted by size, so the first that fails has the smallest shape that shows it. Here each
of its numbers is replaced by a plain one where the failure, with its outcome and leaf, survives that;
1, −1 and 2 come before 0, so that nothing slides onto a kink that was not the failure.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.judge import Judgement, judge_alone, worst_entry
from backproof.verification.noise import AGREES_WITHIN
from backproof.verification.oracles import Point, Runner

PLAIN = (1.0, -1.0, 2.0, 0.5, -2.0, 3.0, -3.0, 0.0)


def plainer(runner: Runner, found: Judgement) -> Judgement:
    """Return a judgement with the same outcome at a plainer point, or `found` itself."""
    quick = _replaced(runner, found, _differs_in(runner, found))
    judged = judge_alone(runner, quick)
    if _same_failure(judged, found):
        return judged
    careful = _replaced(runner, found, lambda point: _same_failure(judge_alone(runner, point), found))
    judged = judge_alone(runner, careful)
    return judged if _same_failure(judged, found) else found


def _same_failure(one: Judgement, other: Judgement) -> bool:
    return one.outcome is other.outcome and (one.worst and one.worst.leaf) == (
        other.worst and other.worst.leaf
    )


def _differs_in(runner: Runner, found: Judgement) -> Any:
    """Return a quick test: do the two sides differ most in the same leaf? Kinks are not looked at."""

    def differs(point: Point) -> bool:
        entry = worst_entry(runner.hand(point).value, runner.truth(point))
        return bool(
            entry and found.worst and entry.distance > AGREES_WITHIN and entry.leaf == found.worst.leaf
        )

    return differs


def _replaced(runner: Runner, found: Judgement, still_fails: Any) -> Point:
    """Return the point with each number, in turn, replaced by the first plain one that `still_fails`."""
    leaves, tree = jax.tree.flatten(found.point)
    for which, leaf in enumerate(leaves):
        if leaf.dtype == jax.dtypes.float0 or not jnp.issubdtype(leaf.dtype, jnp.floating):
            continue
        for index in np.ndindex(np.shape(leaf)):
            for value in _plainer_than(leaves[which][index]):
                changed = np.array(leaves[which])
                changed[index] = value
                candidate = [*leaves[:which], changed, *leaves[which + 1 :]]
                if still_fails(Point(*tree.unflatten(candidate))):
                    leaves = candidate
                    break
    return Point(*tree.unflatten(leaves))


def _plainer_than(value: float) -> tuple[float, ...]:
    return PLAIN[: PLAIN.index(value)] if value in PLAIN else PLAIN
