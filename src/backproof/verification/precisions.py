"""The precisions in which the code is judged, those in which it runs for advice, and what is lost in them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import dtype_of, is_inexact
from backproof.verification.diagnosis.smallest_row import at_smallest, plainer_row
from backproof.verification.findings import Settings
from backproof.verification.judging.accuracy import Row, advice, worst_rows
from backproof.verification.points.draws import Drawn, Points
from backproof.verification.points.values import STYLES
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import key_of
from backproof.verification.running.low_precision import DTYPES, LowPrecision

Groups = Sequence[Sequence[Drawn]]


class Precisions(NamedTuple):
    """Holds the precisions that are judged, and those that are advice: None where the caller chose."""

    judged: tuple[str, ...]
    advised: tuple[str, ...] | None


class Accuracy(NamedTuple):
    """Holds what errs too much in the precisions that are judged, notes, and the precisions not reached."""

    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


def precisions_of(groups: Groups, settings: Settings) -> Precisions:
    """Return the precisions in which the code is judged, and those in which it runs for advice.

    Where the caller chose, there is no advice; else the declared dtypes are judged. Where every array is
    large, nothing is run for advice alone.
    """
    if settings.dtypes is not None:
        return Precisions(settings.dtypes, None)
    leaves = jax.tree.leaves(next(iter(groups))[0].build())
    declared = {str(np.zeros(0, dtype_of(leaf)).real.dtype) for leaf in leaves if is_inexact(leaf)}
    judged = tuple(dtype for dtype in DTYPES if dtype in declared)
    large = all(group[0].empty or group[0].size > EFFORT.large for group in groups)
    return Precisions(judged, () if large else tuple(dtype for dtype in DTYPES if dtype not in judged))


def accuracy_in(
    evaluators: Evaluators,
    groups: Groups,
    precisions: Precisions,
    saturated: Callable[[LowPrecision], list[Row]],
    clock: Clock,
) -> Accuracy:
    """Return what is lost in low precision at draws of the largest shape that is affordable.

    Args:
        evaluators: the evaluators of the claim.
        groups: the draws, in groups of one shape.
        precisions: which precisions count, and how.
        saturated: gives the sums that saturate in a precision.
        clock: the time that is left.
    """
    declared = () if precisions.advised is None else precisions.judged
    judged = [dtype for dtype in precisions.judged if not clock.over(dtype, required=True)]
    advised = (
        None if precisions.advised is None else [one for one in precisions.advised if not clock.over(one)]
    )
    menu = [group for group in groups if group[0].kind is None]  # without the draws with a long axis
    filled = [group for group in menu if not group[0].empty]
    full = [group for group in filled if group[0].size <= EFFORT.entries] or filled[:1]
    fitting = max(1, EFFORT.native_entries // max(full[-1][0].size, 1)) if full else 0
    every = _every_kind(evaluators.claim.points, full[-1]) if full else []
    ordinary = every[: min(EFFORT.native_points, fitting)]
    low = {
        dtype: evaluators.low_precision(dtype, compiles=dtype in judged)
        for dtype in (*judged, *(advised or ()))
    }
    seen = {dtype: worst_rows(one, ordinary) for dtype, one in low.items()}
    lost = {dtype: _lost(low[dtype], rows, saturated) for dtype, rows in seen.items()}
    found = [row for dtype in judged for row in lost[dtype]]
    if found and not found[0].saturated:
        smaller = [group[: EFFORT.native_points] for group in full[:-1]]
        where = low[found[0].dtype]
        found = [plainer_row(at_smallest(found[0], where, smaller), where), *found]
    why = {dtype: _refused(low[dtype], full) for dtype, rows in seen.items() if not rows}
    refused = {dtype: f"the code was not judged in {dtype}: {said}" for dtype, said in why.items() if said}
    notes = [advice(lost[dtype][0]) for dtype in advised or () if lost[dtype]]
    notes += [said for dtype, said in refused.items() if dtype not in declared]
    unreached = [refused[dtype] for dtype in declared if dtype in refused]
    return Accuracy(tuple(found), tuple(notes), tuple(unreached))


def _every_kind(points: Points, draws: Sequence[Drawn]) -> list[Drawn]:
    """Return draws of one shape, and one more of each kind of numbers."""
    styled = (points.styled(style, seed) for seed, style in enumerate(STYLES))
    return [*draws, *(one for made in styled for one in made if key_of(one) == key_of(draws[0]))]


def _lost(
    low: LowPrecision, rows: Sequence[Row], saturated: Callable[[LowPrecision], list[Row]]
) -> list[Row]:
    """Return the entries that err too much in a precision, and then the sums that saturate in it."""
    return [row for row in rows if row.fails] + (saturated(low) if low.dtype != "float32" else [])


def _refused(low: LowPrecision, groups: Groups) -> str | None:
    """Return why no row was judged in a precision; None where that needs no note, as for complex numbers."""
    if not groups:
        return "no shape is small enough"
    return low.refused or ("at no point tried are both the function and autodiff finite" if low.ran else None)
