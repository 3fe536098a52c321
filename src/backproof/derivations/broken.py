"""Derivations that are none: too few lines, lines that come and go, numbers drawn in passing."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from backproof.derivations.lines import Kind
from backproof.derivations.replay import Replayer, replay_as_it_stands
from backproof.derivations.table import Table

RANDOM_NAMES = {"random", "default_rng", "rand", "randn", "shuffle"}


def malformed(table: Table) -> str | None:
    """Return what is wrong with the form of the lines, at any shape; None if nothing is."""
    kinds = [step.kind for step in table.steps if step.kind is not Kind.ASSUMED]
    if any(run.raised for run in table.runs):
        return None
    if not kinds:
        return "it yields no line; a derivation has at least two, or one claim"
    if kinds == [Kind.VALUE]:
        return "line 0 is its only line, and a derivation has at least two: what equals it?"
    for run in table.runs:
        forms = [(step.kind, step.latex) for step in run.steps]
        if len(forms) != len(table.steps):
            return (
                f"the number of lines must not depend on the input, but it is {len(run.lines)} at "
                f"{_shapes(run.points[0])} and {len(table.lines)} elsewhere"
            )
        if forms != [(step.kind, step.latex) for step in table.steps]:
            return f"the lines must not depend on the input, but they are others at {_shapes(run.points[0])}"
    return None


def unrepeatable(function: Callable[..., Any], replayer: Replayer | None, table: Table) -> str | None:
    """Return a sentence if the lines differ when they are computed again at the same point."""
    first = table.runs[0]
    if replayer is not None:
        again = Replayer(function).at(first.points)
    elif RANDOM_NAMES & set(names_of(function)):
        again = replay_as_it_stands(function)
    else:
        return None
    for number, here in enumerate(first.lines):
        if here >= len(again.values):
            return f"line {number} is not there when the derivation is run again: it must not draw numbers"
        before, after = (jax.tree.leaves(run.values[here].value) for run in (first, again))
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True)):
            row = first.steps[here].row
            return (
                f"line {number} (row {row}) has another value when the derivation is run again: it must not "
                "draw its own random numbers; make them arguments, or fix the seed"
            )
    return None


def names_of(function: Any) -> tuple[str, ...]:
    """Return the global names and attributes that a function mentions."""
    return function.__code__.co_names


def _shapes(args: Any) -> str:
    return " ".join(str(np.shape(leaf)) for leaf in jax.tree.leaves(args))
