"""Names why a line does not follow, by the verifier's list; `unknown` rather than a wrong name.

A line that has the form of the line before is explained as a backward pass is: by a prediction that comes
true at every point, or by a mend of the derivation's own code. A line of another form is explained by a
small change with which it follows. These causes come in addition to those of the verifier:

| cause | what was found |
|---|---|
| `order` | the factors of a product stand in the wrong order |
| `index` | another index, axis or order of letters makes the line follow |
| `missing-factor` | multiplied by a factor from another line, the line follows |
| `wrong-name` | with one name replaced by another, the line follows |
| `float32-constant` | the line is off by no more than an array of float32 that is read is rounded |
| `claim` | the line is a claim rather than a value, and it is false |
| `lemma-assumption` | the line takes the value of a lemma where the lemma's assumptions do not hold |
"""

import inspect
from typing import Any

import jax
import numpy as np

from backproof.derivations.example import Look
from backproof.derivations.judgement import misfit
from backproof.derivations.lines import Kind
from backproof.derivations.mends import find_mend
from backproof.derivations.source import Source, is_neighbour
from backproof.derivations.table import Table
from backproof.numerics.comparison import agree
from backproof.numerics.tolerance import ROUNDED
from backproof.verification.claims.numpy_code import named
from backproof.verification.judging.judge import Judgement

Named = tuple[str, str]


def coarse_constant(function: Any, found: Judgement) -> Named | None:
    """Return the cause if a line is off by no more than float32 rounds, and an array of float32 is read."""
    if found.worst is None or not np.isfinite(found.worst.hand):
        return None
    off = np.abs(found.worst.hand - found.worst.truth)
    if off > ROUNDED * max(np.abs(found.worst.hand), np.abs(found.worst.truth)):
        return None
    names = [
        name for name, value in _read_by(function).items() if getattr(value, "dtype", None) == np.float32
    ]
    if not names:
        return None
    said = f"it is off by {off:.1g}, as float32 rounds: {', '.join(names)} holds float32"
    return "float32-constant", f"{said}; write it in float64, say with np.array(…)"


def _read_by(function: Any) -> dict[str, Any]:
    """Return what a function reads by its name, and what the functions of its folder that it calls read."""
    function = inspect.unwrap(function)
    found = named(function)
    near = [one for one in found.values() if is_neighbour(one, function)]
    return {name: value for one in (*near, function) for name, value in named(one).items()}


def cause_of_form(source: Source | None, table: Table, look: Look) -> Named | None:
    """Return the cause and its sentence for a line that cannot be compared by its values; else None."""
    if look.number >= len(table.lines) and table.ended:
        return "contract-raises", f"raises {table.ended.text}"
    if look.other is None and not table.is_value(look.number):
        return "claim", table.row(look.number, None).broken or "the claim is false"
    row = table.row(look.number, look.other)
    if row.never_finite:
        return "not-finite", "it is finite nowhere, although the line before is"
    if not row.broken:
        return None
    mend = find_mend(source, table, look)
    if mend:
        return mend.cause, f"{row.broken}; with {mend.after} in place of {mend.before} it follows"
    return _of_form(table, look), row.broken


def _of_form(table: Table, look: Look) -> str:
    """Return the cause for a line that raises, or has another tree or shape than the line before."""
    here, before = table.lines[look.number], table.lines[look.other or 0]
    for run in table.runs:
        if len(run.steps) <= here or run.steps[here].kind is Kind.OPEN:
            return "contract-raises"
        if jax.tree.structure(run.values[here].value) != jax.tree.structure(run.values[before].value):
            return "contract-tree"
        if misfit(run.values[here].value, run.values[before].value):
            return "missing-sum" if _summed(table, here, before) else "contract-shape"
    return "contract-shape"


def _summed(table: Table, here: int, before: int) -> bool:
    """Return whether the line, summed over its extra axes, equals the line before at every shape."""
    for run in table.runs:
        if len(run.steps) <= here or run.steps[here].kind is Kind.OPEN:
            return False
        mine, true = run.values[here], run.values[before]
        for a, n, b, m in zip(*map(jax.tree.leaves, (*mine, *true)), strict=True):
            extra = tuple(range(1, 1 + a.ndim - b.ndim))
            kept = a.sum(extra) if a.ndim >= b.ndim else None
            if kept is None or kept.shape != b.shape:
                return False
            if not np.all(agree(kept, b, n.sum(extra) + m)):
                return False
    return True
