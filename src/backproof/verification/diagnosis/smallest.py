"""The plainest example: generic small numbers that still show the same failure.

The points come sorted by size, so the first that fails has the smallest shape that shows it. Here an
argument with a structure is replaced by its plainest member (a positive-definite matrix by the identity), and
each number by a plain one, or rounded to fewer digits, if the failure survives that with the same outcome and
leaf. 1, −1 and 2 are tried before 0, so that no number is moved onto a kink that has nothing to do with the
failure.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import Entry, difference, units, worst_entry
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_floating, is_inexact, largest, leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN, FAR, HALF_THE_DIGITS
from backproof.verification.claims.contract import broken_contract
from backproof.verification.judging.judge import Judgement, Outcome, is_right_at_kink, judge_alone
from backproof.verification.points.draws import Drawn
from backproof.verification.points.sizes import FILLED, LARGER, LENGTHS
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, point_of

# The part of the value by hand, and of the direction, that the right value must have in order to be seen.
VISIBLE = 0.01
PLAIN = (1.0, -1.0, 2.0, 0.5, -2.0, 3.0, -3.0, 0.0)
PLAIN_COMPLEX = (1j, -1j, 1 + 1j, 1 - 1j, 1 + 2j)


def plainer(evaluators: Evaluators, found: Judgement) -> Judgement:
    """Return a judgement with the same outcome at a smaller and plainer point, or `found` itself.

    If possible, the value that is right is a number to be seen beside the wrong one: neither 0 nor tiny.
    """
    found = _shorter(evaluators, _smaller(evaluators, found))
    if found.point.is_large:
        return _all_ones(evaluators, found)
    points = evaluators.claim.points
    quick = with_plain_numbers(found.point, points.admits, _differs_in(evaluators, found), points.plainer)
    same = _same_failure(evaluators, judge_alone(evaluators, quick), found)
    if same and (visible_entry(evaluators, same) or not visible_entry(evaluators, found)):
        return _shown(evaluators, same)
    budget = itertools.count()
    careful = with_plain_numbers(
        found.point,
        points.admits,
        lambda point: (
            next(budget) < min(EFFORT.careful, evaluators.affordable(point))
            and bool(_same_failure(evaluators, judge_alone(evaluators, point), found))
        ),
        points.plainer,
    )
    return _shown(evaluators, _same_failure(evaluators, judge_alone(evaluators, careful), found) or found)


def visible_entry(evaluators: Evaluators, found: Judgement, noise: Any = None) -> Entry | None:
    """Return the entry furthest apart among those of the failing leaf whose right value can be seen.

    It can be seen beside the value by hand, and beside the direction.

    Args:
        evaluators: the evaluators of the claim.
        found: the judgement of a point.
        noise: the noise there, if it is known.
    """
    if found.outcome is not Outcome.WRONG or found.worst is None:
        return None
    paths = [path for path, _ in leaves_with_paths(found.hand)]
    which = paths.index(found.worst.leaf)
    noises = evaluators.noise_of_both(found.point) if noise is None else noise
    mine, true, noise = (np.asarray(jax.tree.leaves(one)[which]) for one in (found.hand, found.truth, noises))
    if not is_inexact(true):
        return None
    with np.errstate(all="ignore"):
        apart = units(mine, true, noise)
        least = VISIBLE * np.maximum(np.abs(mine), min(1.0, largest(found.point.direction)))
        telling = (apart > AGREES_WITHIN) & np.isfinite(mine) & np.isfinite(true) & (np.abs(true) >= least)
    if not np.any(telling):
        return None
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.where(telling, apart, -1))), apart.shape))
    return Entry(found.worst.leaf, at, mine[at], true[at], float(noise[at]), float(apart[at]))


def _shown(evaluators: Evaluators, found: Judgement) -> Judgement:
    """Return a judgement with the entry to be shown: one whose right value can be seen, if there is one."""
    entry = visible_entry(evaluators, found)
    return found._replace(worst=entry) if entry else found


def _all_ones(evaluators: Evaluators, found: Judgement) -> Judgement:
    """Return a judgement with the same failure where every number of a large point is 1, or `found`."""

    def one(leaf: Any) -> Any:
        return np.ones_like(leaf) if is_floating(leaf) else leaf

    point = Point(*jax.tree.map(one, tuple(found.point)))
    if (
        found.worst is None
        or not evaluators.claim.points.admits(point.args)
        or not evaluators.is_finite_at(point)
    ):
        return found
    (hand,), truth = evaluators.by_hand([point]), evaluators.truth(point)
    worst = worst_entry(hand, truth)
    if worst is None or worst.leaf != found.worst.leaf or worst.distance < FAR:
        return found
    kinked = found.outcome is Outcome.WRONG and is_right_at_kink(evaluators, point, hand) is not False
    return found if kinked else Judgement(found.outcome, point, hand, truth.value, worst)


def _smaller(evaluators: Evaluators, found: Judgement) -> Judgement:
    """Return a judgement with the same failure at the smallest sizes that show it, or `found` itself."""
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(found.point.args))
    first, is_visible = None, visible_entry(evaluators, found) is not None
    draws = [one for one in evaluators.claim.points.small() if one.size < size or not is_visible]
    for drawn in draws[: EFFORT.small_draws]:
        judged = _judged_at(evaluators, drawn)
        same = _same_failure(evaluators, judged, found) if judged else None
        if same and visible_entry(evaluators, same):
            return same
        first = first or (same if drawn.size < size else None)
    return found if is_visible else first or found


def _shorter(evaluators: Evaluators, found: Judgement) -> Judgement:
    """Return a judgement with the same failure where the one long axis is shortest, or `found` itself."""
    points = evaluators.claim.points
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
            judged = _judged_at(evaluators, points.longer(axis, middle, 1))
            same = _same_failure(evaluators, judged, found) if judged else None
            found, shows, hides = (same, middle, hides) if same else (found, shows, middle)
    return found


def _judged_at(evaluators: Evaluators, drawn: Drawn | None) -> Judgement | None:
    """Return the judgement at a draw; None where the function does not exist or the form is broken."""
    if drawn is None:
        return None
    try:
        point = point_of(evaluators.claim, drawn)
        broken = broken_contract(evaluators.claim, drawn.build())
    except Exception:
        # The function does not exist at these sizes: nothing can fail there.
        return None
    return judge_alone(evaluators, point) if broken is None and evaluators.is_finite_at(point) else None


def _same_failure(evaluators: Evaluators, one: Judgement, other: Judgement) -> Judgement | None:
    """Return `one` with its worst entry in the leaf that fails in `other`; None if that does not fail."""
    if one.outcome is not other.outcome:
        return None
    if one.worst is None or other.worst is None or one.worst.leaf == other.worst.leaf:
        return one if (one.worst is None) == (other.worst is None) else None
    # another leaf may be a little worse there, by the luck of rounding
    both = Measured(one.truth, evaluators.noise_of_both(one.point))
    entry = difference(one.hand, both, other.worst.leaf)
    return one._replace(worst=entry) if entry else None


def _differs_in(evaluators: Evaluators, found: Judgement) -> Any:
    """Return a quick test of whether the two sides differ in the same leaf; it ignores kinks."""
    is_visible = visible_entry(evaluators, found) is not None

    def differs(point: Point) -> bool:
        leaf = found.worst.leaf if found.worst else None
        if evaluators.affordable(point) < EFFORT.careful:  # a long program, which is compiled once
            hand, value = evaluators.compiled(point), evaluators.compiled_truth(point)
            truth = Measured(value, jax.tree.map(_half_the_digits, value))
        else:
            hand, truth = evaluators.hand(point).value, evaluators.truth(point)
        entry = difference(hand, truth, leaf)
        if not (entry and found.worst):
            return False
        seen = Judgement(Outcome.WRONG, point, hand, truth.value, entry)
        return not is_visible or visible_entry(evaluators, seen, truth.noise) is not None

    return differs


def _half_the_digits(value: Any) -> Any:
    return np.full(np.shape(value), HALF_THE_DIGITS * max(1.0, np.max(np.abs(value), initial=0.0)))


def with_plain_numbers(
    point: Point,
    admits: Callable[..., bool],
    still_fails: Callable[..., bool],
    members: Callable[..., Iterable[tuple[int, list[np.ndarray]]]] | None = None,
) -> Point:
    """Return the point with each number, in turn, replaced by the first plain one that `still_fails`.

    Args:
        point: where it fails.
        admits: whether an argument tuple lies in the declared domain.
        still_fails: whether the same failure is seen at another point.
        members: gives the plainest members of the domain for those leaves of the arguments that have a
            structure, by their number; they are tried first.
    """
    leaves, tree = jax.tree.flatten(point)

    def try_all(which: int, candidates: Iterable[np.ndarray]) -> None:
        """Replace leaf `which` by the first candidate that still fails."""
        for changed in candidates:
            tried = Point(*tree.unflatten([*leaves[:which], changed, *leaves[which + 1 :]]))
            if admits(tried.args) and still_fails(tried):
                leaves[which] = changed
                return

    for which, plainest in members(point.args) if members else ():
        same = [i for i, one in enumerate(plainest) if np.array_equal(one, leaves[which])]
        try_all(which, plainest[: same[0]] if same else plainest)
    numbers = [i for i, leaf in enumerate(leaves) if is_inexact(leaf)]
    for which in [i for i in numbers if leaves[i].size <= EFFORT.by_entry]:
        for index in np.ndindex(np.shape(leaves[which])):
            plain = _plainer_than(leaves[which][index])
            try_all(which, [_with_entry(leaves[which], index, value) for value in plain])
    for which in [i for i in numbers if leaves[i].size]:
        # large leaves, and those whose entries belong together: a tie breaks if one of them moves
        leaf = leaves[which]
        tied = leaf.flat[0] if np.all(leaf == leaf.flat[0]) else leaf.dtype.type(np.nan)
        plain = () if np.all(np.isin(leaf, PLAIN)) and np.isnan(tied) else _plainer_than(tied)
        try_all(which, [np.full_like(leaf, value) for value in plain])
    return Point(*tree.unflatten(leaves))


def _with_entry(leaf: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    changed = np.array(leaf)
    changed[index] = value
    return changed


def _plainer_than(value: Any) -> tuple[Any, ...]:
    """Return the plain numbers that come before `value`, then `value` rounded to one and to two digits."""
    plain = (*PLAIN, *PLAIN_COMPLEX) if np.iscomplexobj(value) else PLAIN
    if value in plain:
        return plain[: plain.index(value)]
    rounded = [_rounded(value, digits) for digits in (1, 2)] if np.isfinite(value) else []
    return (*plain, *(one for one in rounded if one != value))


def _rounded(value: Any, digits: int) -> Any:
    if np.iscomplexobj(value):
        return complex(_rounded(value.real, digits), _rounded(value.imag, digits))
    return float(f"{value:.{digits}g}")
