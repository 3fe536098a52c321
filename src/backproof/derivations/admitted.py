"""Which of the drawn points the assumptions of a derivation admit, and whether they say enough."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from backproof.derivations.judgement import admitted, assumptions
from backproof.derivations.places import Args
from backproof.derivations.replay import Replay
from backproof.derivations.table import Table
from backproof.numerics.leaves import is_floating
from backproof.verification.points.draws import Points


def reach_in_words(table: Table, points: Points | None) -> str:
    """Return at how many points and sizes the lines were tried, and how many of them are as assumed."""
    if points is None:
        return ""
    drawn = sum(len(run.points) for run in table.runs)
    said = f"at {drawn} points{_in_words(_sizes(table.runs, points))}"
    if table.points == drawn:
        return said
    admits = _sizes([run for run in table.runs if np.any(admitted(run))], points)
    return f"{said}; {table.points} of them are as assumed{_in_words(admits)}"


def unadmitted(table: Table, points: Points | None) -> str | None:
    """Return which axis the assumptions admit at its least size only, in words; None if there is none.

    A point at which all entries of every array are alike in size counts as no point of a larger size: it
    says no more than one number does.
    """
    if points is None:
        return None
    admits = _sizes([run for run in table.runs if _is_admitted(run)], points)
    for name, sizes in _sizes(table.runs, points).items():
        if len(sizes) > 1 and admits.get(name, set()) <= {min(sizes)}:
            return (
                f"the assumptions admit no drawn point with {name} > {min(sizes)} whose entries differ; give "
                "the arguments a specification that satisfies them, as backproof.simplex or backproof.spd, "
                "or make them of free ones, as x = v/|v|"
            )
    return None


def kept_as_assumed(run: Replay) -> Replay | None:
    """Return a replay at the points alone that the assumptions admit; None if they admit none."""
    held = admitted(run)
    if not np.any(held):
        return None
    points = [args for args, ok in zip(run.points, held, strict=True) if ok]
    values = [jax.tree.map(lambda leaf: leaf[held], one) for one in run.values]
    wide = [jax.tree.map(lambda leaf: leaf[held], one) for one in run.wide()]
    return replace(run, points=points, values=values, _wide=wide)


def _is_admitted(run: Replay) -> bool:
    """Return whether the assumptions admit a point of one shape that is not degenerate."""
    held = admitted(run)
    return not assumptions(run) or any(
        ok and not is_degenerate(args) for args, ok in zip(run.points, held, strict=True)
    )


def is_degenerate(args: Args) -> bool:
    """Return whether all entries of each array are alike in size, and some array has several."""
    several = [np.abs(leaf) for leaf in jax.tree.leaves(args) if is_floating(leaf) and np.size(leaf) > 1]
    return bool(several) and all(np.ptp(leaf) == 0 for leaf in several)


def _sizes(runs: Sequence[Replay], points: Points) -> dict[str, set[Any]]:
    """Return the sizes that each named axis has in some replays."""
    sizes: dict[str, set[Any]] = {}
    for run in runs:
        for name, size in points.sizes_at(run.points[0]).items():
            sizes.setdefault(name, set()).add(size)
    return sizes


def _in_words(sizes: dict[str, set[Any]]) -> str:
    parts = [" ".join([name, *map(str, sorted(held))]) for name, held in sizes.items()]
    return f", sizes {', '.join(parts)}" if parts else ""
