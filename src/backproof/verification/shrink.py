"""The plainest example: generic small numbers that still show the same failure.

The points come sorted by size, so the first that fails has the smallest shape that shows it. Here each
of its numbers is replaced by a plain one, or by itself with fewer digits, where the failure, with its
outcome and leaf, survives that; 1, −1 and 2 come before 0, so that nothing slides onto a kink that was
not the failure.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.contract import broken_contract
from backproof.verification.judge import FAR, Judgement, Outcome, judge_alone, worst_entry
from backproof.verification.kinks import is_subgradient
from backproof.verification.lengths import FILLED, LENGTHS
from backproof.verification.noise import AGREES_WITHIN, Measured
from backproof.verification.oracles import LARGE, Point, Runner, entries, point_of
from backproof.verification.points import Drawn
from backproof.verification.sizes import LARGER

TRIES = 40
# How many points are judged in full while their numbers are made plain.
CAREFUL = 150
# A leaf larger than this is made plain as a whole, not entry by entry.
ENTRIES_AT_MOST = 64
PLAIN = (1.0, -1.0, 2.0, 0.5, -2.0, 3.0, -3.0, 0.0)


def plainer(runner: Runner, found: Judgement) -> Judgement:
    """Return a judgement with the same outcome at a smaller and plainer point, or `found` itself."""
    found = _shorter(runner, _smaller(runner, found))
    if entries(found.point) > LARGE:
        return _all_ones(runner, found)
    admits = runner.claim.points.admits
    quick = with_plain_numbers(found.point, admits, _differs_in(runner, found))
    same = _same_failure(runner, judge_alone(runner, quick), found)
    if same:
        return same
    budget = itertools.count()
    careful = with_plain_numbers(
        found.point,
        admits,
        lambda point: (
            next(budget) < CAREFUL and bool(_same_failure(runner, judge_alone(runner, point), found))
        ),
    )
    return _same_failure(runner, judge_alone(runner, careful), found) or found


def _all_ones(runner: Runner, found: Judgement) -> Judgement:
    """Return a judgement with the same failure where every number of a large point is 1, or `found`."""

    def one(leaf: Any) -> Any:
        return np.ones_like(leaf) if jnp.issubdtype(_dtype(leaf), jnp.floating) else leaf

    point = Point(*jax.tree.map(one, tuple(found.point)))
    if found.worst is None or not runner.claim.points.admits(point.args) or not all(runner.finite([point])):
        return found
    hand, truth = runner.compiled(point), runner.truth(point)
    worst = worst_entry(hand, truth)
    if worst is None or worst.leaf != found.worst.leaf or worst.distance < FAR:
        return found
    kinked = found.outcome is Outcome.WRONG and is_subgradient(runner, point, hand) is not False
    return found if kinked else Judgement(found.outcome, point, hand, truth.value, worst)


def _smaller(runner: Runner, found: Judgement) -> Judgement:
    """Return a judgement with the same failure at the smallest sizes that show it, or `found` itself."""
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(found.point.args))
    for drawn in [one for one in runner.claim.points.small() if one.size < size][:TRIES]:
        judged = _judged_at(runner, drawn)
        same = _same_failure(runner, judged, found) if judged else None
        if same:
            return same
    return found


def _shorter(runner: Runner, found: Judgement) -> Judgement:
    """Return a judgement with the same failure where the one long axis is shortest, or `found` itself."""
    points = runner.claim.points
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(found.point.args)]
    if max((size for shape in shapes for size in shape), default=0) <= max(LARGER):
        return found
    for axis, length in itertools.product(points.axes, (*LENGTHS, *FILLED.values())):
        drawn = points.longer(axis, length, 1)
        if drawn is None or [np.shape(leaf) for leaf in jax.tree.leaves(drawn.build())] != shapes:
            continue
        shows, hides = length, max(LARGER)
        while shows - hides > 1:
            middle = (shows + hides) // 2
            judged = _judged_at(runner, points.longer(axis, middle, 1))
            same = _same_failure(runner, judged, found) if judged else None
            found, shows, hides = (same, middle, hides) if same else (found, shows, middle)
    return found


def _judged_at(runner: Runner, drawn: Drawn | None) -> Judgement | None:
    """Return the judgement at a draw; None where the code does not exist, or gives no result of its form."""
    if drawn is None:
        return None
    try:
        point = point_of(runner.claim, drawn)
        broken = broken_contract(runner.claim, drawn.build())
    except Exception:
        # The function does not exist at these sizes: nothing can fail there.
        return None
    return judge_alone(runner, point) if broken is None and all(runner.finite([point])) else None


def _same_failure(runner: Runner, one: Judgement, other: Judgement) -> Judgement | None:
    """Return `one`, its worst entry in the leaf that fails in `other`; None where that does not fail."""
    if one.outcome is not other.outcome:
        return None
    if one.worst is None or other.worst is None or one.worst.leaf == other.worst.leaf:
        return one if (one.worst is None) == (other.worst is None) else None
    # another leaf is a little worse there, by the luck of the rounding
    both = Measured(one.truth, runner.noise_of_both(one.point))
    entry = worst_entry(one.hand, both, other.worst.leaf)
    return one._replace(worst=entry) if entry and entry.distance > AGREES_WITHIN else None


def _differs_in(runner: Runner, found: Judgement) -> Any:
    """Return a quick test: do the two sides differ in the same leaf? Kinks are not looked at."""

    def differs(point: Point) -> bool:
        leaf = found.worst.leaf if found.worst else None
        entry = worst_entry(runner.hand(point).value, runner.truth(point), leaf)
        return bool(entry and found.worst and entry.distance > AGREES_WITHIN)

    return differs


def with_plain_numbers(point: Point, admits: Callable[..., bool], still_fails: Callable[..., bool]) -> Point:
    """Return the point with each number, in turn, replaced by the first plain one that `still_fails`.

    Args:
        point: where it fails.
        admits: whether an argument tuple lies in the declared domain.
        still_fails: whether the same failure is seen at another point.
    """
    leaves, tree = jax.tree.flatten(point)

    def try_all(which: int, candidates: Iterable[np.ndarray]) -> None:
        """Replace leaf `which` by the first candidate that still fails."""
        for changed in candidates:
            tried = Point(*tree.unflatten([*leaves[:which], changed, *leaves[which + 1 :]]))
            if admits(tried.args) and still_fails(tried):
                leaves[which] = changed
                return

    numbers = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(_dtype(leaf), jnp.floating)]
    for which in [i for i in numbers if leaves[i].size <= ENTRIES_AT_MOST]:
        for index in np.ndindex(np.shape(leaves[which])):
            plain = _plainer_than(leaves[which][index])
            try_all(which, [_with_entry(leaves[which], index, value) for value in plain])
    for which in [i for i in numbers if leaves[i].size]:
        # large leaves, and those whose entries hang together: a tie breaks if one of them moves
        leaf = leaves[which]
        tied = float(leaf.flat[0]) if np.all(leaf == leaf.flat[0]) else np.nan
        plain = () if np.all(np.isin(leaf, PLAIN)) and np.isnan(tied) else _plainer_than(tied)
        try_all(which, [np.full_like(leaf, value) for value in plain])
    return Point(*tree.unflatten(leaves))


def _dtype(leaf: Any) -> Any:
    return getattr(leaf, "dtype", np.asarray(0).dtype)


def _with_entry(leaf: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    changed = np.array(leaf)
    changed[index] = value
    return changed


def _plainer_than(value: Any) -> tuple[float, ...]:
    """Return the plain numbers that come before `value`, then `value` rounded to one and to two digits."""
    if value in PLAIN:
        return PLAIN[: PLAIN.index(value)]
    exact = float(value)
    rounded = [float(f"{exact:.{digits}g}") for digits in (1, 2)] if np.isfinite(exact) else []
    return (*PLAIN, *(one for one in rounded if one != exact))
