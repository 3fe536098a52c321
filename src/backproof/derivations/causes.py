"""Names why a line does not follow, by the verifier's list; `unknown` rather than a wrong name.

There are two ways to a name. A symptom is seen in the values: it must show at every failing point that is
looked at, and if it would show at any input, no point may refute it. A mend is found in the source: one small
change makes the line follow everywhere. These causes come in addition to those of the verifier:

| cause | what was found |
|---|---|
| `order` | the factors of a product stand in the wrong order |
| `index` | another index, axis or order of letters makes the line follow |
| `missing-factor` | multiplied by a factor from another line, the line follows |
| `wrong-name` | with one name replaced by another, the line follows |
| `claim` | the line is a claim rather than a value, and it is false |
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from backproof.derivations.example import Look, failing_points
from backproof.derivations.judgement import State, misfit
from backproof.derivations.lines import Kind, LineError
from backproof.derivations.mends import find_mend
from backproof.derivations.places import Args
from backproof.derivations.replay import Replayer
from backproof.derivations.source import Source
from backproof.derivations.table import Table
from backproof.numerics.comparison import agree, ratio_text, units
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.verification.diagnosis.causes import ALWAYS
from backproof.verification.diagnosis.failure import Elsewhere, Failure, Leaf
from backproof.verification.diagnosis.symptoms import AXES, TESTS, axis_hint, ratio_of
from backproof.verification.running.point import Point

Named = tuple[str, str]

# These would show wherever the line is not zero, so a point at which the line is right refutes them.
REFUTABLE = (ALWAYS | {"factor"}) - {"swapped"}
# The sentence for each symptom that a line can show; the verifier's other tests are about cotangents.
SENTENCES = {
    "not-finite": "it is not finite where the line before is",
    "missing": "{leaf} is zero where the line before is not",
    "sign": "{leaf} has the opposite sign",
    "transpose": "{leaf} is the transpose of the line before",
    "swapped": "{leaf} is another leaf of the line before",
    "argument-transposed": "{leaf} is the line before with an argument transposed: W for Wᵀ",
    "convention-half": "it is {ratio} times the line before: there is a ½ or a 2 too many",
    "factor": "{leaf} is {ratio} times the line before{hint}",
    "at-zeros": "{leaf} is wrong only where its input is zero",
    "negative-inputs": "{leaf} is wrong only where its input is negative",
    "positive-inputs": "{leaf} is wrong only where its input is positive",
    "first-row": "{leaf} is wrong only at the first index of an axis",
    "last-row": "{leaf} is wrong only at the last index of an axis",
    "at-ties": "{leaf} is wrong only where inputs tie",
}


def name_cause(
    replayer: Replayer | None, source: Source | None, table: Table, look: Look, small: Args | None
) -> Named:
    """Return the cause and its sentence; the symptoms are sought at `small`, the smallest example, first."""
    if look.number >= len(table.lines) and table.ended:
        return "contract-raises", f"raises {table.ended.text}"
    if look.other is None and not table.is_value(look.number):
        return "claim", table.row(look.number, None).broken or "the claim is false"
    row = table.row(look.number, look.other)
    if row.never_finite:
        return "not-finite", "it is finite nowhere, although the line before is"
    broken = row.broken
    mend = find_mend(source, table, look) if broken else None
    seen = None if mend or replayer is None else _symptom(replayer, table, look, small)
    mend = mend or (None if seen else find_mend(source, table, look))
    if mend:
        how = f"with {mend.after} in place of {mend.before} it follows"
        return mend.cause, f"{broken}; {how}" if broken else how
    if seen:
        return seen
    if broken:
        return _of_form(table, look), broken
    return "unknown", "it differs from the line before"


def _symptom(replayer: Replayer, table: Table, look: Look, small: Args | None) -> Named | None:
    """Return the first symptom that every failing point shows and none refutes; None if there is none."""
    failing = [*([small] if small else []), *failing_points(table, look)]
    failures = [_failure(replayer, table, look, args) for args in _spread(failing)]
    for name, sentence in SENTENCES.items():
        shown = bool(failures) and all(_shows(name, one) for one in failures)
        if shown and not _refuted(name, table, look, failures):
            return name, _said(sentence, failures[0])
    return None


def _of_form(table: Table, look: Look) -> str:
    """Return the cause for a line that raises, or has another tree or shape than the line before."""
    here, before = table.lines[look.number], table.lines[look.other or 0]
    for run in table.runs:
        if run.steps[here].kind is Kind.OPEN:
            return "contract-raises"
        if jax.tree.structure(run.values[here].value) != jax.tree.structure(run.values[before].value):
            return "contract-tree"
        if misfit(run.values[here].value, run.values[before].value):
            return "missing-sum" if _summed(table, here, before) else "contract-shape"
    return "contract-shape"


def _summed(table: Table, here: int, before: int) -> bool:
    """Return whether the line, summed over its extra axes, equals the line before at every shape."""
    for run in table.runs:
        mine, true = run.values[here], run.values[before]
        if run.steps[here].kind is Kind.OPEN:
            return False
        for a, n, b, m in zip(*map(jax.tree.leaves, (*mine, *true)), strict=True):
            extra = tuple(range(1, 1 + a.ndim - b.ndim))
            kept = a.sum(extra) if a.ndim >= b.ndim else None
            if kept is None or kept.shape != b.shape:
                return False
            if not np.all(agree(kept, b, n.sum(extra) + m)):
                return False
    return True


def _shows(name: str, at: Failure) -> bool:
    try:
        if name in AXES:  # the symptom says that the other entries are right, so there must be some
            return any(np.size(rest) for rest in AXES[name](at).values())
        return bool(TESTS[name](at))
    except LineError:
        return False


def _spread(points: Sequence[Args]) -> list[Args]:
    """Return a few of the points: the first one, and others spread over all of them."""
    step = max(1, len(points) // EFFORT.asked)
    return [*points[:1], *points[1::step]][: EFFORT.asked + 1]


def _failure(replayer: Replayer, table: Table, look: Look, args: Args) -> Failure:
    run = replayer.at([args])
    return _failure_in(replayer, table, look, run, 0)


def _failure_in(replayer: Replayer, table: Table, look: Look, run: Any, i: int) -> Failure:
    """Return the failure at point `i` of a replay, in the form that the tests take."""
    here, before = table.lines[look.number], table.lines[look.other or 0]
    mine, true = (jax.tree.map(lambda v: v[i], tuple(run.values[step])) for step in (here, before))
    rest = zip(*map(jax.tree.leaves, (true[0], mine[1], true[1])), strict=True)
    leaves = [
        Leaf(path, _number(a), _number(b), np.asarray(n + m))
        for (path, a), (b, n, m) in zip(leaves_with_paths(mine[0]), rest, strict=True)
    ]
    worst = max(leaves, key=lambda leaf: np.max(units(leaf.mine, leaf.true, leaf.noise), initial=0.0))

    def line_before(point: Point) -> Measured:
        values = replayer.at([point.args]).values[before]
        return Measured(*jax.tree.map(lambda leaf: leaf[0], tuple(values)))

    return Failure(Point(run.points[i], ()), worst, leaves, Elsewhere(line_before))


def _number(value: Any) -> np.ndarray:
    return value if value.dtype.kind in "fc" else np.asarray(value, np.float64)


def _refuted(name: str, table: Table, look: Look, failures: list[Failure]) -> bool:
    """Return whether some point is evidence against a cause that would show everywhere."""
    if name == "factor":
        ratios = [ratio_of(one.leaf) for one in failures]
        same = len(failures) > 1 and all(one.leaf.is_times(ratios[0]) for one in failures)
        if not same and not all(axis_hint(one) for one in failures):
            return True
    path = failures[0].leaf.path
    return name in REFUTABLE and _right_somewhere(table, look, path, distinct=name == "factor")


def _right_somewhere(table: Table, look: Look, path: str, *, distinct: bool) -> bool:
    """Return whether a leaf is right, and not zero, at a point where the cause would show.

    With `distinct`, points where an axis has size 1 do not count: a factor may be the size of that axis.
    """
    for run in table.runs:
        if len(run.lines) <= look.number:
            continue
        seen, here = table.seen(run, look.number, look.other), run.values[table.lines[look.number]]
        leaves = zip(leaves_with_paths(here.value), jax.tree.leaves(here.noise), strict=True)
        value, noise = next((v, n) for (where, v), n in leaves if where == path)
        for i in map(int, np.flatnonzero(seen.states == State.FOLLOWS)):
            visible = not np.all(agree(value[i], np.zeros_like(value[i]), noise[i]))
            if visible and not (distinct and 1 in _sizes(run.points[i])):
                return True
    return False


def _sizes(args: Args) -> set[int]:
    return {n for leaf in jax.tree.leaves(args) for n in np.shape(leaf)}


def _said(sentence: str, at: Failure) -> str:
    ratio = ratio_of(at.leaf) if "{ratio" in sentence else 1.0
    return sentence.format(
        leaf=f"leaf {at.leaf.path}" if at.leaf.path else "it",
        ratio=ratio_text(np.real(ratio if ratio is not None else np.nan)),
        hint=axis_hint(at) if "{hint}" in sentence else "",
    )
