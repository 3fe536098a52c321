"""Where the lines of a derivation take the values of lemmas, and whether the assumptions of these hold there.

A lemma shows nothing where its assumptions do not hold, so a line that takes its value there does not follow.
The arguments of a lemma are known only while the lines run, so they are run once more, point by point.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.example import Look, shown
from backproof.derivations.judgement import admitted
from backproof.derivations.latex import readable
from backproof.derivations.places import Args
from backproof.derivations.replay import Replayer
from backproof.derivations.source import Source, reached_by
from backproof.derivations.table import Table
from backproof.derivations.walk import walk
from backproof.derivations.watching import Lemma, Truth
from backproof.numerics.effort import EFFORT
from backproof.numerics.tracing import float64


class Beyond(NamedTuple):
    """Holds a line that takes the value of a lemma where an assumption of that does not hold, and a point."""

    truth: Truth
    args: Args


def explained(
    beyond: Beyond, function: Callable[..., Any], replayer: Replayer | None, table: Table
) -> tuple[str, str, dict[str, Any]]:
    """Return cause, sentence and example for a line that takes a lemma's value where that shows nothing."""
    line, lemma, latex, _ = beyond.truth
    text = f"{lemma} is shown only where {readable(latex)}, and the line takes its value elsewhere too"
    run = replayer.at([beyond.args]) if replayer else table.runs[0]
    names = tuple(inspect.signature(function).parameters)
    example = shown(table, run, names, Look(line, table.before(line)))
    return "lemma-assumption", f"{text}; assume the same, or use another lemma", {"example": example}


def lemmas_of(source: Source | None, table: Table) -> list[Lemma]:
    """Return the derivations whose values the lines take, as they ran or as the source names them.

    A compiled helper takes a value when it is traced, and never again.
    """
    run = [lemma for step in table.steps for lemma in step.cites]
    named = [found for found in reached_by(source) if isinstance(found, Lemma)] if source else []
    return list(dict.fromkeys([*run, *named]))


def first_beyond(function: Callable[..., Any], table: Table) -> Beyond | None:
    """Return the first line that takes the value of a lemma where that shows nothing; None if none does."""
    found: list[Beyond] = []
    for run in table.runs:
        kept = [args for args, ok in zip(run.points, admitted(run), strict=True) if ok]
        for args in _spread(kept):
            truths = _truths_at(function, args)
            if not truths:  # at this shape the lemmas assume nothing
                break
            found += [Beyond(one, args) for one in truths if not one.holds]
    return min(found, key=lambda one: one.truth.line, default=None)


def _truths_at(function: Callable[..., Any], args: Args) -> list[Truth]:
    truths: list[Truth] = []
    with float64(), jax.disable_jit():
        walk(function, jax.tree.map(np.asarray, args), truths=truths)
        jax.effects_barrier()
    return truths


def _spread(points: Sequence[Args]) -> Sequence[Args]:
    """Return some of the points of one shape: the first, and the last."""
    half = EFFORT.lemma_points // 2
    return points if len(points) <= 2 * half else [*points[:half], *points[-half:]]
