"""Which expressions may be the wrong ones, and which edits of them make the result right."""

import ast
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.tolerance import CLOSE, NEAR, SOLVED, UNMOVED
from backproof.verification.blame.edits import Edit, Making, Scope, edits_of
from backproof.verification.blame.seen import Seen
from backproof.verification.blame.vocabulary import Term
from backproof.verification.blame.watched import Expression, Watching


class Suspect(NamedTuple):
    """Holds an expression whose value, if it were another, could make the whole result right.

    Attributes:
        number: its number.
        effects: at each point, how the result changes with each entry of the value; None where it does not
            change in proportion.
        spared: how many right entries of the result it changes.
        is_narrow: whether no value of its shape makes the result right, but a larger one might.
    """

    number: int
    effects: tuple[np.ndarray | None, ...]
    spared: int
    is_narrow: bool = False


def suspects(watching: Watching, points: Sequence[Seen]) -> list[Suspect]:
    """Return the expressions that feed every wrong entry and could make it right, by what else they feed."""
    found = []
    for number, one in watching.expressions.items():
        looks = [_suspected(seen, number) for seen in points if not one.name]
        if looks and all(looks):
            effects, spared, narrow = zip(*(look for look in looks if look), strict=True)
            found.append(Suspect(number, effects, sum(spared), any(narrow)))
    return sorted(found, key=lambda one: one.spared)


def _suspected(seen: Seen, number: int) -> tuple[np.ndarray | None, int, bool] | None:
    """Return the effect of an expression, what it spares, and whether it is too narrow to be right.

    None if its value cannot be what is wrong.
    """
    values = seen.values_of(number)
    if not values or not all(np.issubdtype(np.asarray(v).dtype, np.inexact) for v in values):
        return None
    rng = np.random.default_rng(number)
    steps = [rng.standard_normal(np.shape(v)) * (1 + np.abs(v)) for v in values]
    moved = [[v + factor * step for v, step in zip(values, steps, strict=True)] for factor in (0.5, 1.0)]
    half, whole = seen.results(number, moved)
    with np.errstate(all="ignore"):
        changed = ~(np.abs(whole - seen.hand) <= seen.scale * UNMOVED)
    if np.any(seen.wrong & ~changed):
        return None
    spared = int(np.sum(changed & ~seen.wrong))
    size = sum(np.size(v) for v in values)
    with np.errstate(all="ignore"):
        bend = np.abs((whole - seen.hand) - 2 * (half - seen.hand))
        straight = np.all(bend <= NEAR * (1 + np.abs(whole) + np.abs(seen.hand)))
    if not straight or len(values) > 1 or size > EFFORT.effects:
        return (None, spared, False) if np.any(changed) else None
    (value,) = values
    units = np.eye(value.size).reshape(-1, *value.shape)
    effect = (seen.results(number, [[value + unit] for unit in units]) - seen.hand).T
    residual = seen.right - seen.hand
    best, *_ = np.linalg.lstsq(effect, residual, rcond=CLOSE)
    if np.any(np.abs(effect @ best - residual) > SOLVED * np.max(np.abs(residual), initial=0)):
        return (None, spared, True) if value.size < seen.largest else None
    return effect, spared, False


def edits_that_mend(
    watching: Watching, points: Sequence[Seen], suspect: Suspect, scope: Scope, making: Making
) -> list[Edit]:
    """Return the edits of an expression that make the result right at the points, the plainest first."""
    own = _own(watching.expressions[suspect.number], points, suspect.number)
    if own is None:
        return []
    edits = list(edits_of(own, scope, making))
    for which, seen in enumerate(points):
        edits = _mending(seen, suspect, edits, own, which)
    return sorted(edits, key=lambda one: one.rank)


def _own(at: Expression, points: Sequence[Seen], number: int) -> Term | None:
    values = [seen.values_of(number) for seen in points]
    if any(len(one) != 1 for one in values):
        return None
    return Term(ast.unparse(at.node), tuple(one[0] for one in values), 0.0)


def _mending(seen: Seen, suspect: Suspect, edits: Sequence[Edit], own: Term, which: int) -> list[Edit]:
    """Return the edits with which the result is right at one point."""
    good = [one for one in edits if np.all(np.isfinite(one.values[which]))]
    effect = suspect.effects[which]
    if not good:
        return []
    if effect is None:
        rows = seen.results(suspect.number, [[one.values[which]] for one in good])
    else:
        moves = np.stack([np.ravel(one.values[which] - own.values[which]) for one in good])
        rows = seen.hand + moves @ effect.T
    with np.errstate(all="ignore"):
        right = np.all(np.abs(rows - seen.right) <= seen.scale, axis=1)
    return [one for one, is_right in zip(good, right, strict=True) if is_right]


def can_be_right(points: Sequence[Seen], suspect: Suspect) -> bool:
    """Return whether some value of an expression is seen to make the whole result right at every point."""
    if suspect.is_narrow:
        return False
    pairs = zip(points, suspect.effects, strict=True)
    return all(effect is not None or _solved(seen, suspect.number) for seen, effect in pairs)


def _solved(seen: Seen, number: int) -> bool:
    """Return whether Newton's method finds a value with which the result is right."""
    values = seen.values_of(number)
    if len(values) > 1 or values[0].size > EFFORT.effects:
        return False
    value, step = values[0], np.sqrt(np.finfo(np.float64).eps)
    near = SOLVED * np.max(np.abs(seen.right), initial=0)
    for _ in range(EFFORT.newton):
        steps = step * (1 + np.abs(value))
        moved = [value, *(value + unit.reshape(value.shape) for unit in np.diag(np.ravel(steps)))]
        here, *rows = seen.results(number, [[one] for one in moved])
        with np.errstate(all="ignore"):
            residual = seen.right - here
            if np.all(np.abs(residual) <= near):
                return True
            effect = (np.stack(rows) - here).T / np.ravel(steps)
        if not (np.all(np.isfinite(effect)) and np.all(np.isfinite(residual))):
            return False
        best, *_ = np.linalg.lstsq(effect, residual, rcond=None)
        value = value + best.reshape(value.shape)
    return False
