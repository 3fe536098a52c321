"""Names what is wrong, from the points where it is wrong; `unknown` rather than a wrong name.

A cause is named only if its test holds at every failing point that was looked at, and, where it would
show at any input, if the leaf is right nowhere else. The first in this list that passes is named.

| cause | what was seen |
|---|---|
| `contract-raises`, `contract-tree`, `contract-shape`, `contract-dtype` | no result of the right form |
| `missing-sum` | a leaf that is the gradient before its sum over a broadcast axis |
| `contract-forward` | the rule's own forward is not the primal |
| `contract-descend` | the update inside the sweep is not the two-phase step |
| `contract-impure`, `contract-mutates`, `not-deterministic` | it reads or changes more than its inputs |
| `transform-vmap` | under `vmap` it gives something else than alone |
| `not-finite` | the function and its gradient are finite, the hand-written value is not |
| `cotangent-ignored`, `cotangent-nonlinear` | the result is not linear in the cotangent |
| `missing` | the whole leaf is zero where the gradient is not |
| `sign` | the opposite of the gradient |
| `transpose` | the transpose of the gradient, on a square leaf |
| `swapped` | the gradient of another leaf of the same shape |
| `slope-at-output` | the gradient with the output in place of an input: σ′(a) for σ′(z) |
| `argument-transposed` | the gradient with a square argument transposed: W for Wᵀ |
| `convention-mean`, `convention-half` | all of it is the gradient divided by the batch, doubled or halved |
| `factor` | a leaf is the gradient times a constant, or times the size of an axis or its inverse |
| `at-zeros`, `at-ties`, `negative-inputs`, `positive-inputs` | only entries whose input is of that kind |
| `wrong-residual` | a layer's ∂W is taken with z of the layer below in place of its a |
| `shifted` | the gradient, moved by one index along an axis |
| `first-row`, `last-row` | only entries at one end of an axis |
| `dropped-term`, `dropped-factor`, `term-sign` | autodiff's own program with one such slip gives the same |
| `partial-missing`, `partial-sign` | the wrong entries are zero by hand, or the opposite of the gradient |
| `partial-factor` | the wrong entries are one constant times the gradient |
| `second-order` | the gradient is right, its own derivative is not |
| `accuracy` | the formula is right, its arithmetic loses the digits |
| `reference` | autodiff itself is not finite, or disagrees with finite differences |
| `unknown` | none of these |
"""

import jax
import numpy as np

from backproof.verification.edits import explaining_slip
from backproof.verification.judge import Judgement, Outcome
from backproof.verification.kinks import jumps
from backproof.verification.noise import AGREES_WITHIN, units
from backproof.verification.oracles import LARGE, Point, Runner, entries, shapes_of
from backproof.verification.partial import common_to_wrong
from backproof.verification.symptoms import (
    INPUTS,
    TESTS,
    axis_hint,
    inputs_of,
    ratio_of,
    tied_arguments,
)
from backproof.verification.worst import Failure, Leaf

Named = tuple[str, str]


# Right points asked whether they refute a cause, the largest first.
WITNESSES = 40
# These would show at any input: a leaf that is right somewhere, and not zero there, refutes them.
ALWAYS = frozenset({"missing", "sign", "convention-half", "swapped"})

ENDS = frozenset({"first-row", "last-row"})
# These claim more than a few entries of many.
WHOLE = frozenset({"cotangent-ignored", "slope-at-output", "argument-transposed", "at-ties"})


def name_cause(runner: Runner, failing: list[Judgement], small: Judgement, judged: list[Judgement]) -> Named:
    """Return the name of the first test that every failing point passes, and its sentence at the smallest."""
    if small.outcome is Outcome.UNSTABLE:
        return "accuracy", "the formula is right, but evaluated like this it loses its digits here"
    if small.outcome is Outcome.REFERENCE_SUSPECT:
        return "reference", "the hand-written value is right; autodiff of the primal is not finite here"
    others = [one for one in failing if one is not small]
    full = [one for one in others if not _is_empty(one.point)] or others
    seen = _smooth(runner, [small, *full]) or [small, *full]
    failures = [one for one in (failure_at(runner, found) for found in seen) if one]
    right = [one for one in judged if one.outcome is Outcome.AGREES and one.says_something][::-1][:WITNESSES]
    for name, test in TESTS.items():
        if name in WHOLE and any(one.leaf.few for one in failures):
            continue
        sentences = [test(one) for one in failures]
        if failures and all(sentences) and not _refuted(runner, name, failures, right):
            return name, str(sentences[0])
    if failures and entries(small.point) <= LARGE:
        slip = explaining_slip(failures)
        if slip:
            return slip
    return common_to_wrong(failures) or (
        "unknown",
        _counted(failures[0].leaf) if failures else "the values differ",
    )


def _counted(leaf: Leaf) -> str:
    """Return how many entries of the leaf differ, without a name for it."""
    wrong, entries = int(np.sum(leaf.wrong)), leaf.wrong.size
    return f"the values at result{leaf.path} differ in {wrong} of {entries} entries"


def _smooth(runner: Runner, failing: list[Judgement]) -> list[Judgement]:
    """Return the points that are no kinks: at a kink what autodiff chose would hide a plain cause."""
    if runner.claim.forward or any(entries(one.point) > LARGE for one in failing):
        return failing
    return [one for one in failing if not jumps(runner, one.point)]


def failure_at(runner: Runner, found: Judgement) -> Failure | None:
    """Return what the tests look at; None where a result has no entry."""
    if found.worst is None:
        return None
    noises = jax.tree.leaves(runner.truth(found.point).noise)
    with_path = jax.tree_util.tree_leaves_with_path(found.hand)
    leaves = [
        Leaf(jax.tree_util.keystr(path), np.asarray(mine), np.asarray(true), noise)
        for (path, mine), true, noise in zip(with_path, jax.tree.leaves(found.truth), noises, strict=True)
    ]
    worst = next(leaf for leaf in leaves if leaf.path == found.worst.leaf)
    return Failure(runner, found.point, worst, leaves)


def _refuted(runner: Runner, name: str, failures: list[Failure], right: list[Judgement]) -> bool:
    """Return whether the leaf is right, and not zero, at some point where this cause would show as well."""
    path = failures[0].leaf.path
    if name == "factor":
        ratios = [ratio_of(one.leaf) for one in failures]
        entries_seen = sum(int(np.sum(one.leaf.wrong)) for one in failures)
        constant = entries_seen > 1 and all(one.leaf.is_times(ratios[0]) for one in failures)
        if not all(axis_hint(one) for one in failures):
            return not constant or any(_is_right(one, path, runner) for one in right)
        # the size of an axis would show wherever that axis has that size
        shapes = {shapes_of(one.point.args) for one in failures}
        return any(shapes_of(one.point.args) in shapes and _is_right(one, path, runner) for one in right)
    if name == "at-ties":  # numbers tie by chance as well: somewhere nothing ties, and the leaf is right
        return not any(_is_right(one, path, runner) and not tied_arguments(one.point) for one in right)
    if name in ENDS:  # along an axis of size 1 its end is all there is: somewhere the rest must be right
        return not any(not np.all(one.leaf.wrong) for one in failures)
    if name in INPUTS:
        elsewhere = (_right_at(one, path, name, runner, there=False) for one in right)
        seen = any(_right_elsewhere(one, name) for one in failures) or any(elsewhere)
        return not seen or any(_right_at(one, path, name, runner, there=True) for one in right)
    return name in ALWAYS and any(_is_right(one, path, runner) for one in right)


def _is_right(found: Judgement, leaf: str, runner: Runner) -> bool:
    """Return whether the leaf agrees at a point where its opposite would not."""
    failure = failure_at(runner, found)
    same_leaf = [one for one in failure.leaves if one.path == leaf] if failure else []
    return any(bool(np.any(units(-one.mine, one.true, one.noise) > AGREES_WITHIN)) for one in same_leaf)


def _right_elsewhere(failure: Failure, kind: str) -> bool:
    """Return whether, at a failing point, an entry whose input is not of this kind is right and visible."""
    leaf = failure.leaf
    visible = ~leaf.wrong & (units(-leaf.mine, leaf.true, leaf.noise) > AGREES_WITHIN)
    return any(bool(np.any(visible & ~mask)) for mask in inputs_of(failure, kind))


def _right_at(found: Judgement, leaf: str, kind: str, runner: Runner, *, there: bool) -> bool:
    """Return whether the leaf is right, and not zero, at an entry whose input is (not) of this kind."""
    failure = failure_at(runner, found)
    if failure is None:
        return False
    for one in [one for one in failure.leaves if one.path == leaf]:
        masks = inputs_of(failure._replace(leaf=one), kind)
        seen = units(-one.mine, one.true, one.noise) > AGREES_WITHIN
        if any(bool(np.any(seen & (mask if there else ~mask))) for mask in masks):
            return True
    return False


def _is_empty(point: Point) -> bool:
    return any(np.size(leaf) == 0 for leaf in jax.tree.leaves(point.args))
