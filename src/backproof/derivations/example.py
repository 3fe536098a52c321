"""The smallest example: the smallest shape and the plainest numbers at which a line still fails."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.judgement import State
from backproof.derivations.lines import Kind, LineError
from backproof.derivations.places import Args, entries
from backproof.derivations.replay import Replay, Replayer
from backproof.derivations.report import Example
from backproof.derivations.table import Table
from backproof.numerics.comparison import agree
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import leaves_with_paths, shapes_of
from backproof.numerics.tracing import float64
from backproof.verification.diagnosis.diagnosis import Diagnosis
from backproof.verification.diagnosis.smallest import with_plain_numbers
from backproof.verification.points.draws import Points
from backproof.verification.running.point import Point


class Look(NamedTuple):
    """Holds the aim of a search: a line, the line that it is compared with, and the wanted judgement."""

    number: int
    other: int | None
    wanted: State = State.FAILS


def failing_points(table: Table, look: Look) -> list[Args]:
    """Return the drawn points at which the line fails by its values, the smallest shape first."""
    found: list[Args] = []
    for run in table.runs:
        if len(run.lines) > look.number:
            seen = table.seen(run, look.number, look.other)
            if seen.broken is None:
                found += [p for p, state in zip(run.points, seen.states, strict=True) if state == look.wanted]
    return found


def smallest(replayer: Replayer, points: Points, found: list[Args], look: Look) -> Args | None:
    """Return a small and plain argument tuple at which the line fails by its values; None if none does."""
    fails = _failing(replayer, look)
    start = _smaller(points, found[0] if found else None, fails) or (found[0] if found else None)
    if start is None:
        return None
    plain = with_plain_numbers(Point(start, ()), points.admits, lambda at: fails(at.args), points.plainer)
    return plain.args


def _failing(replayer: Replayer, look: Look) -> Callable[[Args], bool]:
    def fails(args: Args) -> bool:
        try:
            run = replayer.at([args])
        except LineError:
            return False
        if len(run.lines) <= look.number:
            return False
        seen = Table([run]).seen(run, look.number, look.other)
        return seen.broken is None and bool(seen.states[0] == look.wanted)

    return fails


def _smaller(points: Points, found: Args | None, fails: Callable[[Args], bool]) -> Args | None:
    """Return the smallest drawn tuple that fails, with fewer entries than `found`."""
    for drawn in points.small()[: EFFORT.smaller_shapes]:
        if found is not None and drawn.size >= entries(found):
            return None
        with float64():
            args = drawn.widened()
        if points.admits(args) and fails(args):
            return args
    return None


def shown(table: Table, run: Replay, names: tuple[str, ...], look: Look) -> Example:
    """Return both sides at the one point of `run`, and the entry in which they differ most."""
    here = table.lines[look.number]
    if table.is_value(look.number) and look.other is None:
        return Example(
            names, run.points[0], (f"line {look.number}",), (_alone(run.values[here].value),), "", 0.0
        )
    if look.other is None:
        kind, value = run.steps[here].kind, run.values[here].value
        sides = ("condition",) if kind is Kind.HOLDS else ("left", "right")
        values = tuple(_alone(side) for side in value)
        noise = run.values[here].noise
    else:
        before = table.lines[look.other]
        sides = (f"line {look.other}", f"line {look.number}")
        values = tuple(_alone(run.values[i].value) for i in (before, here))
        noise = tuple(run.values[i].noise for i in (before, here))
    if len(values) != 2:
        return Example(names, run.points[0], sides, values, "", 0.0)
    both = tuple(map(_alone, noise))
    return Example(
        names, run.points[0], sides, values, *_worst(values, both), differs=_differing(values, both)
    )


def shown_judgement(names: tuple[str, ...], diagnosis: Diagnosis, look: Look) -> Example:
    """Return both sides at the smallest failing point, and the entry that tells most."""
    found = diagnosis.small
    sides = (f"line {look.other}", f"line {look.number}")
    at = found.worst
    place = f"[{', '.join(map(str, at.at))}]" if at and at.at else ""
    entry, distance = (f"{at.leaf}{place}", at.distance) if at else ("", 0.0)
    differs = {at.leaf: diagnosis.differs} if at and diagnosis.differs is not None else {}
    return Example(names, found.point.args, sides, (found.truth, found.hand), entry, distance, differs)


def _differing(values: tuple[Any, Any], noise: tuple[Any, Any]) -> dict[str, Any]:
    """Return for each leaf, by its path, which entries differ beyond the noise of both sides."""
    rest = zip(*map(jax.tree.leaves, (values[1], *noise)), strict=True)
    pairs = zip(leaves_with_paths(values[0]), rest, strict=True)
    return {path: ~agree(b, a, n + m) for (path, a), (b, n, m) in pairs if np.shape(a) == np.shape(b)}


def _alone(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], tree)


def _worst(values: tuple[Any, Any], noise: tuple[Any, Any]) -> tuple[str, float]:
    """Return the path and index of the entry furthest apart, and its distance in noise units."""
    entry, largest = "", 0.0
    with_path = leaves_with_paths(values[0])
    rest = zip(*map(jax.tree.leaves, (values[1], *noise)), strict=True)
    for (path, a), (b, n, m) in zip(with_path, rest, strict=True):
        with np.errstate(all="ignore"):
            units = np.nan_to_num(np.abs(np.asarray(a, float) - np.asarray(b, float)) / (n + m), nan=np.inf)
        if units.size and np.max(units) > largest:
            index = np.unravel_index(int(np.argmax(units)), units.shape)
            place = f"[{', '.join(map(str, index))}]" if units.ndim else ""
            entry, largest = f"{path}{place}", float(np.max(units))
    return entry, largest


def same_shape(points: list[Args], like: Args) -> list[Args]:
    """Return those of `points` that have the shapes of `like`."""
    return [one for one in points if shapes_of(one) == shapes_of(like)]
