"""Points that the assumptions admit, reached from drawn ones that they do not.

An equality is met by no random point, and a bound on many numbers by few. So a drawn point is moved by
Newton's steps, each the shortest, until no assumption is missed. In floats an equality that is almost met is
not met: the numbers are then rounded to a grid, on which sums are exact, and a few of them take up the rest.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.admitted import is_degenerate
from backproof.derivations.judgement import admitted
from backproof.derivations.moving import Moving, moving
from backproof.derivations.places import Args, entries
from backproof.derivations.replay import Replay
from backproof.derivations.shortfall import WAYS, Inside, shortfall
from backproof.derivations.table import Table
from backproof.derivations.walk import assumed, conditions_in, walk
from backproof.errors import UsageError
from backproof.numerics.effort import EFFORT
from backproof.numerics.own_arrays import with_own_arrays
from backproof.numerics.tolerance import GRID, INSIDE
from backproof.numerics.tracing import float64
from backproof.verification.points.draws import Points


class Way(NamedTuple):
    """Holds the compiled functions of a row of numbers, and of leaves that stay, at one shape.

    Attributes:
        missed: by how much the assumptions are missed, and the slopes of that.
        holds: whether all of them hold.
    """

    missed: Callable[..., tuple[Any, Any]]
    holds: Callable[..., Any]


def projected(
    function: Callable[..., Any], points: Points, table: Table
) -> tuple[list[list[Args]], list[str]]:
    """Return points that the assumptions admit, by shape, where they admit few of the drawn ones, and notes.

    Args:
        function: the derivation.
        points: the points at which it can be tried.
        table: its lines at the drawn points.
    """
    if not any(not step.is_line for step in table.steps):
        return [], []
    function = with_own_arrays(function)
    try:
        return [found for run in table.runs if (found := _reached(function, points, run))], []
    except Exception as error:
        # JAX cannot differentiate every condition: then only what was drawn is looked at.
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        return [], [f"no point was moved to where the assumptions hold, for they have no slopes: {said}"]


def _reached(function: Callable[..., Any], points: Points, run: Replay) -> list[Args]:
    """Return points of one shape that are reached from its drawn points; none if enough are admitted."""
    held = admitted(run)
    several = [not is_degenerate(args) for args in run.points]
    wanted = EFFORT.projected - int(np.sum(held & several))
    refused = [args for args, ok in zip(run.points, held, strict=True) if not ok]
    if wanted <= 0 or not refused or entries(refused[0]) > EFFORT.projected_entries:
        return []
    form = moving(points, refused[0])
    if form.is_fixed:
        return []
    for inside in WAYS:
        way = way_to(function, form, inside, run)
        found = []
        for args in reversed(refused):
            start = moving(points, args)
            flat = nearest(way, start, start.flat)
            if flat is not None and points.admits(start.at(flat)):
                found.append(start.at(flat))
            if len(found) == wanted:
                break
        if found:
            return found
    return []


def way_to(function: Callable[..., Any], form: Moving, inside: Inside, run: Replay) -> Way:
    """Return the compiled functions that lead to where the assumptions of a derivation hold, at one shape."""
    count = sum(not step.is_line for step in run.steps)

    def conditions(flat: jax.Array, leaves: Any) -> list[Any]:
        walked = walk(function, form.at(flat, leaves), assumptions=count)
        found = conditions_in(walked.steps)
        if walked.ended and len(found) < count:
            raise UsageError(walked.ended.text)
        return found

    def missed(flat: jax.Array, leaves: Any) -> jax.Array:
        return shortfall(lambda flat: conditions(flat, leaves), (flat,), inside)

    def both(flat: jax.Array, leaves: Any) -> tuple[jax.Array, jax.Array]:
        def twice(flat: jax.Array) -> tuple[jax.Array, jax.Array]:
            found = missed(flat, leaves)
            return found, found

        slopes, found = jax.jacrev(twice, has_aux=True)(flat)
        return found, slopes

    def holds(flat: jax.Array, leaves: Any) -> jax.Array:
        return assumed(walk(function, form.at(flat, leaves), assumptions=count).steps)

    return Way(jax.jit(both), jax.jit(holds))


def _is_met(way: Way, start: Moving, flat: np.ndarray) -> bool:
    with float64():
        return bool(np.all(np.isfinite(flat))) and bool(way.holds(flat, start.leaves))


def nearest(way: Way, start: Moving, flat: np.ndarray) -> np.ndarray | None:
    """Return a row of numbers near a given one at which all assumptions hold; None if none is found."""
    return next((row for row in _tried(way, start, flat) if _is_met(way, start, row)), None)


def _tried(way: Way, start: Moving, flat: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows of numbers that may be as assumed: after Newton's steps, and rounded to a grid."""
    missed, slopes = np.zeros(0), np.zeros((0, 0))
    last = np.zeros_like(flat)
    for _ in range(EFFORT.projecting):
        missed, slopes = missed_at(way, start, flat)
        if not np.any(missed) or not np.all(np.isfinite(slopes)):
            break
        step = np.linalg.lstsq(slopes, missed)[0]
        length = np.max(np.abs(step))
        if length == 0:
            break
        last = -step * min(1, max(INSIDE, np.max(np.abs(flat))) / length)
        flat = flat + last
    # the last step may have gone further inside of a bound than it had to, where formulas saturate
    yield from (flat - last * (1 - part) for part in (0.125, 0.25, 0.5))
    yield flat
    if np.any(slopes) and np.all(np.isfinite(flat)):
        yield from _settled(way, start, np.round(flat / GRID) * GRID)


def _settled(way: Way, start: Moving, rounded: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows of rounded numbers of which a few, one for each thing that is missed, take up the rest."""
    yield rounded
    missed, slopes = missed_at(way, start, rounded)
    used: list[int] = []
    for _ in range(EFFORT.projected):
        places = _pivots(slopes[missed != 0], used)
        used += places
        settled, left, slope = rounded.copy(), missed, slopes
        for _ in range(EFFORT.projecting if places else 0):
            settled[places] -= np.linalg.lstsq(slope[:, places], left)[0]
            left, slope = missed_at(way, start, settled)
            if not np.any(left) or not np.all(np.isfinite(slope)):
                break
        for place in places:
            for nudge in range(-EFFORT.nudges, EFFORT.nudges + 1):
                nudged = settled.copy()
                nudged[place] += nudge * np.spacing(settled[place])
                yield nudged


def _pivots(slopes: np.ndarray, used: list[int]) -> list[int]:
    """Return for each row of slopes the place of the steepest that no other row and nothing before has."""
    found: list[int] = []
    for row in np.abs(slopes):
        free = [place for place in np.argsort(-row) if row[place] > 0 and place not in (*used, *found)]
        found += free[:1]
    return found


def missed_at(way: Way, start: Moving, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the assumptions are missed at a row of numbers, and the slopes of that."""
    with float64():
        missed, slopes = way.missed(flat, start.leaves)
    return np.asarray(missed), np.asarray(slopes)
