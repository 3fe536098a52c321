"""Generators that are not derivations: too few lines, lines that depend on the input, random numbers."""

import ast
import inspect
import random
from typing import Any

import jax
import numpy as np

from backproof.derivations.lines import Kind
from backproof.derivations.replay import Replayer, replay_as_it_stands
from backproof.derivations.source import is_neighbour, source_of
from backproof.derivations.table import Table

# Without an argument these give other numbers each time; a use of a global generator shows in its state.
UNSEEDED = frozenset({"default_rng", "RandomState", "SystemRandom", "PCG64", "SeedSequence"})


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
                return f"the lines must not depend on the input, but row {here.row} differs at shapes {at}"
    return None


def unrepeatable(replayer: Replayer | None, function: Any, table: Table, moved: bool) -> str | None:
    """Return a sentence if a line has another value when it is computed again at the same point.

    The lines are computed again only if random numbers may be at work: the function, or one that it calls,
    makes a generator without a seed, or the state of a global generator has `moved`.
    """
    if not moved and not _seeds_itself(function):
        return None
    first = table.runs[0]
    if replayer is not None:
        again = Replayer(function, replayer.source).at(first.points)
    else:
        again = replay_as_it_stands(function, None)
    for number, here in enumerate(first.lines):
        same = here < len(again.values) and _equal(first.values[here].value, again.values[here].value)
        if not same:
            return (
                f"line {number} (row {first.steps[here].row}) has another value when the derivation is run "
                "again: it must not draw its own random numbers; make them arguments, or fix the seed"
            )
    return None


def generators() -> tuple[Any, ...]:
    """Return the state of the global random generators."""
    state: Any = np.random.get_state()  # noqa: NPY002 - to see whether a derivation uses it
    return (random.getstate(), state[0], bytes(state[1]), *state[2:])


def _seeds_itself(function: Any) -> bool:
    """Return whether a function, or one that it calls in its folder, makes a generator without a seed."""
    waiting, seen = [function], set()
    while waiting:
        one = inspect.unwrap(waiting.pop())
        source = None if one in seen else source_of(one)
        seen.add(one)
        if source is None:
            continue
        calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
        if any(not call.args and not call.keywords and _name(call.func) in UNSEEDED for call in calls):
            return True
        named = (one.__globals__.get(node.id) for node in ast.walk(source.tree) if isinstance(node, ast.Name))
        waiting += [found for found in named if is_neighbour(found, one)]
    return False


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in pairs)
