"""Names what is wrong, from the points where it is wrong; `unknown` rather than a wrong name.

A cause is named only if its test holds at every failing point that was looked at (`not-finite`: at the
smallest and at most of them), and, where it would show at any input, if the leaf is right nowhere else. The
first in this list that passes is named.

| cause | what was seen |
|---|---|
| `contract-raises`, `contract-tree`, `contract-shape`, `contract-dtype` | no result of the right form |
| `missing-sum` | a leaf that is the gradient before its sum over a broadcast axis |
| `contract-forward` | the rule's own forward is not the primal |
| `contract-descend` | the update inside the sweep is not the two-phase step |
| `contract-impure`, `contract-mutates`, `not-deterministic` | it reads or changes more than its inputs |
| `symbolic-zeros` | for one argument, or of one output, alone it gives something else than as a part |
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

from typing import Any

import jax
import numpy as np

from backproof.verification.differences import is_number
from backproof.verification.edits import explaining_slip
from backproof.verification.judge import Judgement, Outcome, judge_alone
from backproof.verification.kinks import jumps
from backproof.verification.oracles import LARGE, Point, Runner, entries, shapes_of
from backproof.verification.partial import common_to_wrong
from backproof.verification.symptoms import (
    AXES,
    INPUTS,
    TESTS,
    along,
    axis_hint,
    batch_size,
    explaining_inputs,
    inputs_of,
    ratio_of,
    tied_arguments,
)
from backproof.verification.worst import Failure, Leaf

Named = tuple[str, str]


# Right points asked whether they refute a cause, the largest first.
WITNESSES = 40
# So many different entries must have moved before it is no coincidence.
MOVED = 3
# What is wrong at a place stays wrong there when the numbers move by at most this part of them.
NUDGE = 2.0**-8
# These would show at any input: a leaf that is right somewhere, and not zero there, refutes them.
ALWAYS = frozenset({"missing", "sign", "convention-half", "swapped"})

# These say where it is right: they must hold at a kink too.
ENDS = frozenset({"first-row", "last-row"})
ONLY = frozenset({*INPUTS, *ENDS, "at-ties"})
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
    smallest = failure_at(runner, small)
    agreeing = [one for one in judged if one.outcome is Outcome.AGREES and one.says_something]
    right = sorted(agreeing, key=lambda one: -entries(one.point))
    for name, test in TESTS.items():
        if name in WHOLE and any(one.leaf.few for one in failures):
            continue
        sentences = [test(one) for one in failures]
        held = all(sentences) and (name not in ONLY or smallest is None or bool(test(smallest)))
        if name == "not-finite" and seen[0] is small:  # elsewhere the same formula may be finite, and wrong
            held = bool(sentences[0]) and 2 * sum(map(bool, sentences)) > len(sentences)
        if failures and held and not _refuted(runner, name, failures, right):
            axis = _common_axis(name, failures) if name in AXES else None
            return name, str(sentences[0]) if axis is None else along(name, failures[0], axis)
    if failures and entries(small.point) <= LARGE:
        slip = explaining_slip(failures, _seen_right(runner, failures, right))
        if slip:
            return slip
    # what is said of the wrong entries must be so where they are shown
    shown = [*([smallest] if smallest else []), *(one for one in failures if one.point is not small.point)]
    return common_to_wrong(shown) or ("unknown", _counted(shown[0].leaf) if shown else "the values differ")


def _counted(leaf: Leaf) -> str:
    """Return how many entries of the leaf differ, without a name for it."""
    wrong, entries = int(np.sum(leaf.wrong)), leaf.wrong.size
    if entries == 1:
        return f"the value at result{leaf.path} differs"
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
    noises = jax.tree.leaves(runner.noise_of_both(found.point))
    with_path = jax.tree_util.tree_leaves_with_path(found.hand)
    leaves = [
        Leaf(jax.tree_util.keystr(path), np.asarray(mine), np.asarray(true), noise)
        for (path, mine), true, noise in zip(with_path, jax.tree.leaves(found.truth), noises, strict=True)
    ]
    worst = next(leaf for leaf in leaves if leaf.path == found.worst.leaf)
    return Failure(runner, found.point, worst, leaves)


def _refuted(runner: Runner, name: str, failures: list[Failure], judged: list[Judgement]) -> bool:
    """Return whether the leaf is right, and not zero, at some point where this cause would show as well."""
    path, right = failures[0].leaf.path, judged[:WITNESSES]
    # at the shapes of the failing points
    alike = _of_same_shape(failures, judged)
    if name == "factor":
        ratios = [ratio_of(one.leaf) for one in failures]
        entries_seen = sum(int(np.sum(one.leaf.wrong)) for one in failures)
        constant = entries_seen > 1 and all(one.leaf.is_times(ratios[0]) for one in failures)
        if not all(axis_hint(one) for one in failures):
            return not constant or any(_is_right(one, path, runner) for one in right)
        # the size of an axis would show wherever that axis has that size
        return any(_is_right(one, path, runner) for one in alike)
    if name == "convention-mean":
        return any(batch_size(one.point) > 1 and _is_right(one, path, runner) for one in right)
    if name == "at-ties":  # numbers tie by chance as well: somewhere nothing ties, and the leaf is right
        return not any(_is_right(one, path, runner) and not tied_arguments(one.point) for one in alike)
    if name in AXES and _common_axis(name, failures) is None:
        return True
    if name in ENDS:  # what happens at a place happens there at other values too
        return any(_vanishes(runner, one) for one in failures)
    if name in INPUTS:
        common = set.intersection(*(explaining_inputs(one, name) for one in failures))
        return all(_refuted_input(runner, name, which, failures, right) for which in common)
    return name in ALWAYS and any(_is_right(one, path, runner) for one in right)


def _common_axis(name: str, failures: list[Failure]) -> int | None:
    """Return the axis along which every failure shows this cause, and some by no coincidence.

    Where leaves have different ranks, axes are the same if they are as far from the first, or from the last.
    """
    seen = [AXES[name](one) for one in failures]
    ranks = [one.leaf.wrong.ndim for one in failures]
    enough = MOVED if name == "shifted" else 1
    for axis in seen[0]:
        for axes in ([axis for _ in ranks], [axis - ranks[0] + rank for rank in ranks]):
            pairs = list(zip(axes, seen, strict=True))
            if all(which in found for which, found in pairs):
                values = np.concatenate([found[which] for which, found in pairs])
                if len(np.unique(values)) >= enough:
                    return axis
    return None


def _refuted_input(
    runner: Runner, kind: str, which: int, failures: list[Failure], right: list[Judgement]
) -> bool:
    """Return whether entries are right where argument `which` is of this kind, or none is seen elsewhere."""
    found = [_leaf_at(runner, one, failures[0].leaf.path) for one in right]
    witnesses = [(one.leaf.seen & ~one.leaf.wrong, inputs_of(one, kind).get(which)) for one in found if one]
    if any(mask is not None and np.any(seen & mask) for seen, mask in witnesses):
        return True
    witnesses += [(one.leaf.seen & ~one.leaf.wrong, inputs_of(one, kind)[which]) for one in failures]
    return not any(mask is not None and np.any(seen & ~mask) for seen, mask in witnesses)


def _vanishes(runner: Runner, failure: Failure) -> bool:
    """Return whether what is wrong is right, and not zero, where every number is a little off."""
    args = jax.tree.map(lambda arg: _nudged(arg) if is_number(arg) else arg, failure.point.args)
    point = Point(args, failure.point.direction)
    near = failure_at(runner, judge_alone(runner, point)) if all(runner.finite([point])) else None
    there = [one for one in near.leaves if one.path == failure.leaf.path] if near else []
    return any(bool(np.any(one.seen & ~one.wrong & failure.leaf.wrong)) for one in there)


def _nudged(arg: Any) -> Any:
    """Return the numbers, each a little nearer zero by another part of it, and zeros a little above it."""
    part = NUDGE * np.arange(1, np.size(arg) + 1).reshape(np.shape(arg)) / (np.size(arg) + 1)
    return np.where(np.asarray(arg) == 0, part, arg * (1 - part)).astype(arg.dtype)


def _of_same_shape(failures: list[Failure], judged: list[Judgement]) -> list[Judgement]:
    """Return the judged points whose arguments have the shapes of a failing one."""
    shapes = {shapes_of(one.point.args) for one in failures}
    return [one for one in judged if shapes_of(one.point.args) in shapes][:WITNESSES]


def _seen_right(runner: Runner, failures: list[Failure], judged: list[Judgement]) -> list[Failure]:
    """Return the points at which an entry is right, and not zero, that is wrong at one of the same shape."""
    shown = []
    for one in _of_same_shape(failures, judged):
        there = _leaf_at(runner, one, failures[0].leaf.path)
        wrong = [
            fail.leaf.wrong
            for fail in failures
            if shapes_of(fail.point.args) == shapes_of(one.point.args)
            and there is not None
            and fail.leaf.path == there.leaf.path
        ]
        if there is not None and any(bool(np.any(there.leaf.seen & mask)) for mask in wrong):
            shown.append(there)
    return shown


def _leaf_at(runner: Runner, found: Judgement, path: str) -> Failure | None:
    """Return what is seen of the leaf with this path at a point, right or wrong; None where it is not."""
    failure = failure_at(runner, found)
    same_leaf = [one for one in failure.leaves if one.path == path] if failure else []
    return failure._replace(leaf=same_leaf[0]) if failure and same_leaf else None


def _is_right(found: Judgement, path: str, runner: Runner) -> bool:
    """Return whether the leaf agrees at a point where its opposite would not."""
    there = _leaf_at(runner, found, path)
    return there is not None and bool(np.any(there.leaf.seen))


def _is_empty(point: Point) -> bool:
    return any(np.size(leaf) == 0 for leaf in jax.tree.leaves(point.args))
