"""Derivations that are none: too few lines, lines that come and go, numbers drawn in passing."""

import random
from types import CodeType, FunctionType
from typing import Any

import jax
import numpy as np

from backproof.derivations.lines import Kind
from backproof.derivations.replay import Replayer, replay_as_it_stands
from backproof.derivations.table import Table

# Names that speak of random numbers.
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


def unrepeatable(replayer: Replayer | None, function: Any, table: Table, moved: bool) -> str | None:
    """Return a sentence if a line has another value when it is computed again at the same point.

    It is computed again only where something speaks of random numbers: a name in the function or in those
    it calls, or a global generator that `moved` meanwhile.
    """
    if not moved and not RANDOM_NAMES & _mentioned(function):
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
    state: Any = np.random.get_state()  # noqa: NPY002 - whether somebody else uses it is the question
    return (random.getstate(), state[0], bytes(state[1]), *state[2:])


def _mentioned(function: Any) -> set[str]:
    """Return the global names in a function, in those it defines and in those of its file that it calls."""
    names: set[str] = set()
    waiting, seen = [function.__code__], set()
    while waiting:
        code = waiting.pop()
        if code in seen:
            continue
        seen.add(code)
        names |= set(code.co_names)
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
        called = (function.__globals__.get(name) for name in code.co_names)
        waiting += [
            f.__code__
            for f in called
            if isinstance(f, FunctionType) and f.__globals__ is function.__globals__
        ]
    return names


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in pairs)
