"""The failing points at which a mend is looked for."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import same
from backproof.numerics.effort import EFFORT
from backproof.verification.blame.seen import Seen, flat, seen_at
from backproof.verification.blame.watched import Watching
from backproof.verification.judging.judge import Judgement, Outcome
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, point_of


def failing_points(
    evaluators: Evaluators, watching: Watching, hand: Callable[..., Any], judged: Sequence[Judgement]
) -> list[Seen]:
    """Return the code by hand at one or two failing points, which differ in every size if there are such.

    Args:
        evaluators: the evaluators of the claim.
        watching: the expressions of the code by hand.
        hand: that code with marks.
        judged: the judgement of each point that was looked at.

    Raises:
        ValueError: rebuilt, the code is not what it was.
    """
    claim = evaluators.claim
    draws = [one for one in claim.points.plain(1) if not one.empty and one.size <= EFFORT.blamed]
    plain = [point_of(claim, one, "random") for one in draws]
    failing = [one.point for one in judged if one.outcome is Outcome.WRONG]
    wrong = [point for point in failing if point.entries <= EFFORT.blamed]
    found: list[Seen] = []
    for point in (*sorted(plain, key=_generic), *sorted(wrong, key=_generic)):
        if found and _sizes(point) == _sizes(found[0].point):
            continue
        if not evaluators.is_finite_at(point):
            continue
        seen = seen_at(evaluators, watching, hand, point)
        if not _is_the_same(evaluators, seen):
            raise ValueError("rebuilt from its source, the code by hand gives another result")
        if np.any(seen.wrong) and np.all(np.isfinite(seen.right)):
            found.append(seen)
    alike = [seen for seen in found[1:] if _axes(seen.point) == _axes(found[0].point)]
    return found[:1] + sorted(alike, key=lambda seen: -_apart(seen.point, found[0].point))[:1]


def _is_the_same(evaluators: Evaluators, seen: Seen) -> bool:
    """Return whether the rebuilt code gives what the code by hand gives."""
    own = evaluators.hand(seen.point)
    value, noise = (flat(jax.tree.leaves(one)) for one in own)
    if value.shape != seen.hand.shape:
        return False
    known = ~(np.isnan(value) & np.isnan(seen.hand))
    return same(seen.hand[known], value[known], noise[known])


def _axes(point: Point) -> list[int]:
    return [np.ndim(leaf) for leaf in jax.tree.leaves(point.args)]


def _sizes(point: Point) -> list[int]:
    return [size for leaf in jax.tree.leaves(point.args) for size in np.shape(leaf)]


def _generic(point: Point) -> tuple[int, bool, int]:
    """Return how telling the sizes of a point are: different ones first, none of them 1, then small ones."""
    sizes = _sizes(point)
    return -len({*sizes} - {1}), 1 in sizes, sum(sizes)


def _apart(one: Point, other: Point) -> int:
    return sum(a != b for a, b in zip(_sizes(one), _sizes(other), strict=False)) - (1 in _sizes(one))
