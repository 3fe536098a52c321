"""Derivations that are none: too few lines, lines that come and go, numbers drawn in passing."""

from typing import Any

import jax
import numpy as np

from backproof.derivations.lines import Kind
from backproof.derivations.replay import Replayer, replay_as_it_stands
from backproof.derivations.table import Table

# A function without arguments is run twice only if it mentions one of these: it may be slow.
RANDOM_NAMES = frozenset({"random", "default_rng", "rand", "randn", "shuffle"})


def malformed(table: Table) -> str | None:
    """Return what is wrong with the form of the lines, at any shape; None if nothing is."""
    if table.ended:
        return None
    if not table.lines:
        return "it yields no line; a derivation has at least two, or one claim"
    if len(table.lines) == 1 and table.is_value(0):
        return "line 0 is its only line, and a derivation has at least two: what equals it?"
    for run in table.runs:
        at = " ".join(str(np.shape(leaf)) for leaf in jax.tree.leaves(run.points[0]))
        if len(run.steps) != len(table.steps):
            return (
                f"the number of lines must not depend on the input, but it is {len(run.lines)} at shapes "
                f"{at} and {len(table.lines)} elsewhere"
            )
        for here, there in zip(run.steps, table.steps, strict=True):
            same = here.kind in (Kind.OPEN, there.kind) and here.latex == there.latex
            if not same:
                return f"the lines must not depend on the input, but at shapes {at} row {here.row} is another"
    return None


def unrepeatable(replayer: Replayer | None, function: Any, table: Table) -> str | None:
    """Return a sentence if a line has another value when it is computed again at the same point."""
    first = table.runs[0]
    if replayer is not None:
        again = Replayer(function, replayer.source).at(first.points)
    elif RANDOM_NAMES & set(function.__code__.co_names):
        again = replay_as_it_stands(function, None)
    else:
        return None
    for number, here in enumerate(first.lines):
        same = here < len(again.values) and _equal(first.values[here].value, again.values[here].value)
        if not same:
            return (
                f"line {number} (row {first.steps[here].row}) has another value when the derivation is run "
                "again: it must not draw its own random numbers; make them arguments, or fix the seed"
            )
    return None


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in pairs)
