"""Names why a line does not follow, by the verifier's list; `unknown` rather than a wrong name.

A cause is named only if its test holds at every failing point that was looked at and, where it would show
at any input, if no point refutes it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.derivations.example import Look, failing_points
from backproof.derivations.judgement import State
from backproof.derivations.lines import LineError
from backproof.derivations.places import Args
from backproof.derivations.replay import Replayer
from backproof.derivations.table import Table
from backproof.verification.causes import ALWAYS
from backproof.verification.noise import AGREES_WITHIN, Measured, units
from backproof.verification.oracles import Point
from backproof.verification.symptoms import TESTS, Failure, Leaf, axis_hint, ratio_of

# Failing points that are asked for a cause; every one must show it.
ASKED = 8
# What these tests see in a line, in words; the other tests of the verifier speak of cotangents.
SENTENCES = {
    "not-finite": "it is not finite where the line before is",
    "missing": "{leaf} is zero where the line before is not",
    "sign": "{leaf} has the opposite sign",
    "transpose": "{leaf} is the transpose of the line before",
    "swapped": "{leaf} is another leaf of the line before",
    "argument-transposed": "{leaf} is the line before with an argument transposed: W for Wᵀ",
    "convention-half": "it is {ratio:g} times the line before: a ½ or a 2 too many",
    "factor": "{leaf} is {ratio:.6g} times the line before{hint}",
    "at-zeros": "{leaf} is wrong only where its input is zero",
    "negative-inputs": "{leaf} is wrong only where its input is negative",
    "positive-inputs": "{leaf} is wrong only where its input is positive",
    "first-row": "{leaf} is wrong only at the first index of an axis",
    "last-row": "{leaf} is wrong only at the last index of an axis",
    "at-ties": "{leaf} is wrong only where inputs tie",
}


class Lines(NamedTuple):
    """Answers what the verifier's tests ask of a runner: the line before, at other arguments."""

    replayer: Replayer
    step: int

    def truth(self, point: Point) -> Measured:
        """Return the value of the line before, at one point."""
        run = self.replayer.at([point.args])
        return Measured(*jax.tree.map(lambda leaf: leaf[0], tuple(run.values[self.step])))


def name_cause(replayer: Replayer, table: Table, look: Look, small: Args | None) -> tuple[str, str]:
    """Return the name of the first test that every failing point passes, and its sentence."""
    failing = [*([small] if small else []), *failing_points(table, look)]
    if look.other is None:
        return "claim", "the claim is false here"
    failures = [_failure(replayer, table, look, args) for args in _spread(failing)]
    for name, sentence in SENTENCES.items():
        if (
            failures
            and all(_shows(name, one) for one in failures)
            and not _refuted(name, table, look, failures)
        ):
            return name, _said(sentence, failures[0])
    return "unknown", "it differs from the line before"


def _shows(name: str, at: Failure) -> bool:
    try:
        return bool(TESTS[name](at))
    except LineError:
        return False


def _spread(points: Sequence[Args]) -> list[Args]:
    """Return a few of the points, the first one and others of every shape."""
    step = max(1, len(points) // ASKED)
    return [*points[:1], *points[1::step]][: ASKED + 1]


def _failure(replayer: Replayer, table: Table, look: Look, args: Args) -> Failure:
    run = replayer.at([args])
    return _failure_in(replayer, table, look, run, 0)


def _failure_in(replayer: Replayer, table: Table, look: Look, run: Any, i: int) -> Failure:
    """Return what the tests look at, at point `i` of a replay."""
    here, before = table.lines[look.number], table.lines[look.other or 0]
    mine, true = (jax.tree.map(lambda v: v[i], tuple(run.values[step])) for step in (here, before))
    rest = zip(*map(jax.tree.leaves, (true[0], mine[1], true[1])), strict=True)
    leaves = [
        Leaf(jax.tree_util.keystr(path), _number(a), _number(b), np.asarray(n + m))
        for (path, a), (b, n, m) in zip(jax.tree_util.tree_leaves_with_path(mine[0]), rest, strict=True)
    ]
    worst = max(leaves, key=lambda leaf: np.max(units(leaf.mine, leaf.true, leaf.noise), initial=0.0))
    runner: Any = Lines(replayer, before)
    return Failure(runner, Point(run.points[i], ()), worst, leaves)


def _number(value: Any) -> np.ndarray:
    return value if value.dtype.kind in "fc" else np.asarray(value, np.float64)


def _refuted(name: str, table: Table, look: Look, failures: list[Failure]) -> bool:
    """Return whether some point speaks against a cause that would show everywhere."""
    if name == "factor":
        ratios = [ratio_of(one.leaf) for one in failures]
        same = len(failures) > 1 and all(one.leaf.is_times(ratios[0]) for one in failures)
        if not same and not all(axis_hint(one) for one in failures):
            return True
    return (
        name in ALWAYS | {"transpose", "factor"} and name != "swapped" and _right_somewhere(table, look, name)
    )


def _right_somewhere(table: Table, look: Look, name: str) -> bool:
    """Return whether the line is right, and not zero, where this cause would be seen."""
    if name == "transpose":  # a symmetric value is right, and shows nothing
        return False
    for run in table.runs:
        if len(run.lines) <= look.number:
            continue
        seen = table.seen(run, look.number, look.other)
        for i in map(int, np.flatnonzero(seen.states == State.FOLLOWS)):
            here = run.values[table.lines[look.number]]
            visible = jax.tree.map(
                lambda v, n, i=i: np.any(2 * np.abs(v[i]) > 2 * AGREES_WITHIN * n[i]), *here
            )
            if any(jax.tree.leaves(visible)) and not (name == "factor" and 1 in _sizes(run.points[i])):
                return True
    return False


def _sizes(args: Args) -> set[int]:
    return {n for leaf in jax.tree.leaves(args) for n in np.shape(leaf)}


def _said(sentence: str, at: Failure) -> str:
    ratio = ratio_of(at.leaf) if "{ratio" in sentence else 1.0
    return sentence.format(
        leaf=f"leaf {at.leaf.path}" if at.leaf.path else "it",
        ratio=np.real(ratio if ratio is not None else np.nan),
        hint=axis_hint(at) if "{hint}" in sentence else "",
    )
