"""Both sides at every drawn point where the function exists and is finite, shape by shape."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from backproof.errors import UsageError
from backproof.numerics.effort import EFFORT
from backproof.numerics.noise import Measured
from backproof.numerics.tracing import float64
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.contract import Broken, broken_contract, no_such_function
from backproof.verification.points.draws import Drawn
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, points_of

Key = tuple[bool, int, str, str]


class Look(NamedTuple):
    """Holds both sides at one point: the value by hand, and autodiff with its noise."""

    point: Point
    hand: Any
    truth: Measured


class Looks(NamedTuple):
    """Holds the results of both sides at the drawn points.

    Attributes:
        looks: the points that can be judged.
        left_out: how many draws of large arrays were left out.
        added: how many points of plain numbers were added to the drawn ones.
        first: the first point that was evaluated at each large shape.
        broken: the cause and the sentence where the result has the wrong form, which ends the run.
    """

    looks: tuple[Look, ...] = ()
    left_out: int = 0
    added: int = 0
    first: tuple[tuple[Key, Point], ...] = ()
    broken: Broken | None = None


def key_of(one: Drawn) -> Key:
    """Return the key of a draw's group; keys sort the smallest groups first and the empty ones last."""
    return one.empty, one.size, one.shapes, one.tree


def look_at(evaluators: Evaluators, groups: Sequence[Sequence[Drawn]]) -> Looks:
    """Return both sides at the draws, given in groups of one shape; a broken form ends the evaluation.

    Raises:
        UsageError: the function itself raises although no argument is empty.
    """
    claim, found = evaluators.claim, Looks()
    for group in groups:
        kept = _fitting(claim, group)
        found = found._replace(
            left_out=found.left_out + max(0, len(group) - len(kept)),
            added=found.added + max(0, len(kept) - len(group)),
        )
        points = _points(claim, kept)
        if points is None or (kept[0].empty and not _differentiable(claim, points[0])):
            continue
        broken = broken_contract(claim, kept[0].build())
        if broken:
            return found._replace(looks=(), broken=broken)
        try:
            hands = evaluators.compiled.each(points)
        except Exception as error:
            # The code could be traced, so what it raises at run time, say in a kernel over an empty axis, is
            # its own.
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            text = f"run at {kept[0].shapes}, the hand-written side raises {said}"
            return found._replace(looks=(), broken=("contract-raises", text))
        looks = map(Look, points, hands, evaluators.truth.each(points))
        finite = [look for look, there in zip(looks, evaluators.finite(points), strict=True) if there]
        is_first = kept[0].size > EFFORT.large and bool(finite)
        found = found._replace(
            looks=(*found.looks, *finite),
            first=(*found.first, (key_of(kept[0]), finite[0].point)) if is_first else found.first,
        )
    return found


def _fitting(claim: Claim, group: Sequence[Drawn]) -> Sequence[Drawn]:
    """Return as many draws of one shape as are affordable; at a large shape, plain numbers come first."""
    fitting = max(1, EFFORT.entries // max(group[0].size, 1))
    if fitting >= len(group) and group[0].size <= EFFORT.large:
        return group
    plain = [one for one in claim.points.plain() if key_of(one) == key_of(group[0])]
    return [*plain, *group][:fitting]


def _points(claim: Claim, group: Sequence[Drawn]) -> list[Point] | None:
    """Return the points of one shape, or None where the function itself does not exist at that shape."""
    try:
        # few large points are evaluated, so none may have a cotangent that hides a slip
        return points_of(claim, group, "random" if group[0].size > EFFORT.large else None)
    except Exception as error:
        if group[0].empty:
            return None
        if isinstance(error, UsageError):
            raise
        raise no_such_function(claim, group[0].build(), group[0].shapes, error) from error


def _differentiable(claim: Claim, point: Point) -> bool:
    """Return whether autodiff of the primal exists at `point`: on an empty axis it may not."""
    try:
        with float64():
            jax.eval_shape(claim.truth, *point)
    except Exception:
        # An exception of autodiff at an empty axis is no finding about the hand-written side.
        return False
    return True
