"""Both sides at every drawn point where the function exists and is finite, shape by shape."""

import itertools
import types
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from backproof.errors import UsageError
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import shapes_of
from backproof.numerics.noise import Measured
from backproof.numerics.tracing import float64, form_of
from backproof.verification.claims.claim import Claim
from backproof.verification.claims.contract import Broken, broken_contract, no_such_function
from backproof.verification.points.draws import Drawn, text_of_shapes
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point, points_of
from backproof.verification.running.sides import Answers, answers_of

T = TypeVar("T")
Key = tuple[bool, int, str, str]
NOTHING: Answers = types.MappingProxyType({})


class Look(NamedTuple):
    """Holds both sides at one point.

    Attributes:
        point: where.
        hand: the value by hand.
        truth: autodiff with its noise.
        tied: whether a decision of autodiff's program may be a tie here.
        varied: whether integers of an example are not as given.
    """

    point: Point
    hand: Any
    truth: Measured
    tied: bool = False
    varied: bool = False


class Refused(NamedTuple):
    """Holds a shape with an empty axis that the hand-written side refuses, and what is wrong there."""

    drawn: Drawn
    broken: Broken


class Seen(NamedTuple):
    """Holds both sides at points of one shape.

    Attributes:
        looks: the points that can be judged.
        infinite: points at which the function is not finite.
        met: what was met at the points that can be judged.
        missed: what was met where the function is not finite.
        unasked: how many points are not finite for integers that nobody asked for.
        broken: the cause and the sentence where the result has the wrong form.
    """

    looks: Sequence[Look] = ()
    infinite: Sequence[Point] = ()
    met: Sequence[Witness] = ()
    missed: Sequence[Witness] = ()
    unasked: int = 0
    broken: Broken | None = None


class Looks(NamedTuple):
    """Holds the results of both sides at the drawn points.

    Attributes:
        looks: the points that can be judged.
        infinite: points at which the function is not finite.
        absent: how many points were drawn at which the function does not exist.
        left_out: how many draws of large arrays were left out.
        added: how many points of plain numbers were added to the drawn ones.
        first: the first point that was evaluated at each large shape.
        long: a point with the longest axis that was tried.
        tried: how many shapes were looked at.
        broken: the cause and the sentence where the result has the wrong form, which ends the run.
        refused: shapes with an empty axis that the hand-written side alone refuses.
        answers: the answers of each comparison in either program at the points that can be judged.
        elsewhere: the answers of the primal's comparisons where the function is not finite.
    """

    looks: tuple[Look, ...] = ()
    infinite: tuple[Point, ...] = ()
    absent: int = 0
    left_out: int = 0
    added: int = 0
    first: tuple[tuple[Key, Point], ...] = ()
    long: Point | None = None
    tried: int = 0
    broken: Broken | None = None
    refused: tuple[Refused, ...] = ()
    answers: Answers = NOTHING
    elsewhere: Answers = NOTHING


def key_of(one: Drawn) -> Key:
    """Return the key of a draw's group; keys sort the smallest groups first and the empty ones last."""
    return one.empty, one.size, one.shapes, one.tree


def by_shape(looks: Sequence[Look]) -> list[list[Look]]:
    """Return the looks in groups of neighbours at points of one shape."""
    groups = itertools.groupby(looks, key=lambda look: shapes_of(look.point.args))
    return [list(group) for _, group in groups]


def in_turn(groups: Sequence[Sequence[T]]) -> list[T]:
    """Return the first of each group, then the second of each, and so on."""
    rounds = itertools.zip_longest(*groups)
    return [one for one_round in rounds for one in one_round if one is not None]


def look_at(evaluators: Evaluators, groups: Sequence[Sequence[Drawn]], clock: Clock) -> Looks:
    """Return both sides at the draws, given in groups of one shape; a broken form ends the evaluation.

    The hand-written side is asked only where the function exists and is finite.

    Raises:
        UsageError: the function itself raises although no argument is empty.
    """
    claim, found = evaluators.claim, Looks()
    seen: list[Seen] = []
    for number, group in enumerate(groups):
        rest = groups[number:]
        # a long axis, or an empty one, is more than every verdict needs
        required = any(one[0].kind is None and not one[0].empty for one in rest)
        if seen and clock.over(f"{len(rest)} of {len(groups)} shapes", required=required):
            break
        found = found._replace(tried=number + 1)
        clock.says(f"shape {number + 1} of {len(groups)}: {group[0].shapes}")
        kept = _fitting(claim, group)
        found = found._replace(
            left_out=found.left_out + max(0, len(group) - len(kept)),
            added=found.added + max(0, len(kept) - len(group)),
        )
        points = _points(claim, kept)
        one = None if points is None else _asked(evaluators, points, kept)
        if one is None:
            found = found._replace(absent=found.absent + len(kept))
            continue
        if one.broken and not kept[0].empty:
            return found._replace(broken=one.broken)
        if one.broken:
            found = found._replace(refused=(*found.refused, Refused(kept[0], one.broken)))
            continue
        seen.append(one)
        if one.looks and kept[0].size > EFFORT.large:
            found = found._replace(first=(*found.first, (key_of(kept[0]), one.looks[0].point)))
        if one.looks and kept[0].kind:
            found = found._replace(long=one.looks[0].point)
    return found._replace(
        looks=tuple(look for one in seen for look in one.looks),
        infinite=tuple(point for one in seen for point in one.infinite),
        absent=found.absent + sum(one.unasked for one in seen),
        answers=answers_of(witness for one in seen for witness in one.met),
        elsewhere=answers_of(witness for one in seen for witness in one.missed),
    )


def _asked(evaluators: Evaluators, points: list[Point], draws: Sequence[Drawn]) -> Seen | None:
    """Return both sides at points of one shape; None where the function itself does not exist there.

    Raises:
        UsageError: the function itself raises although no argument is empty.
    """
    claim, is_empty = evaluators.claim, draws[0].empty
    if is_empty and not _differentiable(claim, points[0]):
        return None
    try:
        found = _seen(evaluators, points, draws)
    except UsageError:
        raise
    except Exception as error:
        # What the code by hand raises is a finding, so that this comes from the function itself.
        if is_empty:
            return None
        raise no_such_function(claim, draws[0].build(), draws[0].shapes, error) from error
    return None if found.broken and is_empty and evaluators.runs_on_several(points[0]) else found


def _seen(evaluators: Evaluators, points: list[Point], draws: Sequence[Drawn]) -> Seen:
    """Return both sides at points of one shape."""
    there = _finite(evaluators, points, draws)
    finite = [point for point, is_there in zip(points, there, strict=True) if is_there]
    beyond = [(point, one) for point, one, ok in zip(points, draws, there, strict=True) if not ok]
    # nobody asked for other integers than those of an example
    infinite = [point for point, one in beyond if not one.varied]
    hands, own, witness = [], Witness(), Witness()
    broken = broken_contract(evaluators.claim, draws[0].build())
    if finite and not broken:
        broken, hands = _by_hand(evaluators, finite, draws[0].shapes, own)
    if broken:
        return Seen(broken=broken)
    missed = [_watched(evaluators.truth, infinite)] if infinite else []
    if not finite:
        return Seen((), infinite, missed=missed, unasked=len(beyond) - len(infinite))
    truths = evaluators.truth.each(finite, witness)
    varied = [one.varied for one, ok in zip(draws, there, strict=True) if ok]
    sides = zip(finite, hands, truths, strict=True)
    looks = [Look(*one, witness.tied, is_varied) for one, is_varied in zip(sides, varied, strict=True)]
    met = [witness, _watched(evaluators.hand, finite) if evaluators.claim.host else own]
    return Seen(looks, infinite, met, missed, len(beyond) - len(infinite))


def _finite(evaluators: Evaluators, points: list[Point], draws: Sequence[Drawn]) -> list[bool]:
    """Return where the function is finite; with other integers than an example's it may not even run."""
    try:
        return evaluators.finite(points)
    except Exception:
        if not any(one.varied for one in draws):
            raise
    given = [point for point, one in zip(points, draws, strict=True) if not one.varied]
    there = iter(evaluators.finite(given) if given else ())
    return [False if one.varied else next(there) for one in draws]


def _by_hand(
    evaluators: Evaluators, points: list[Point], shapes: str, witness: Witness
) -> tuple[Broken | None, list[Any]]:
    """Return the values by hand at points of one shape, or how the code fails where it runs."""
    try:
        return None, evaluators.by_hand(points, witness)
    except Exception as error:
        # The code could be traced, so what it raises at run time, say in a kernel, is its own.
        return _does_not_run(error, shapes), []


def does_not_compile(evaluators: Evaluators, generic: Sequence[Point]) -> Broken | None:
    """Return the finding that the hand-written side can be traced, but not compiled and run at a point."""
    for point in generic[-1:]:
        try:
            evaluators.compiled(point)
        except Exception as error:
            # The code could be traced, so what it raises now is its own.
            return _does_not_run(error, text_of_shapes(point.args))
    return None


def _does_not_run(error: Exception, shapes: str) -> Broken:
    """Return the finding that the hand-written side raises where it runs."""
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    return "contract-raises", f"run at {shapes}, the hand-written side raises {said}"


def _watched(evaluator: Evaluator, points: list[Point]) -> Witness:
    witness = Witness()
    evaluator.watch(points, witness)
    return witness


def _fitting(claim: Claim, group: Sequence[Drawn]) -> Sequence[Drawn]:
    """Return as many draws of one shape as are affordable; at a large shape, plain numbers come first."""
    fitting = max(1, EFFORT.entries // max(group[0].size, 1))
    if claim.differences:  # every entry is moved on a ladder, and the code may be slow
        fitting = min(fitting, max(1, EFFORT.differenced // (2 * EFFORT.rungs * (2 + group[0].size))))
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
            form_of(claim.truth, *point)
    except Exception:
        # An exception of autodiff at an empty axis is no finding about the hand-written side.
        return False
    return True
