"""Names the cause of a wrong result from the points where it is wrong; `unknown` rather than a wrong name.

A cause is named only if its test holds at every failing point that was examined (`not-finite`: at the
smallest and at more than half of them). A cause that would show at any input is refuted by a point at which
the leaf is right. The first cause in this list that passes is named.

| cause | what was seen |
|---|---|
| `contract-raises`, `contract-tree`, `contract-shape`, `contract-dtype` | no result of the right form |
| `missing-sum` | a leaf that is the gradient before its sum over a broadcast axis |
| `contract-forward` | the rule's own forward is not the primal |
| `contract-descend` | the update inside the sweep is not the two-phase step |
| `contract-impure`, `contract-mutates`, `not-deterministic` | it reads or changes more than its inputs |
| `symbolic-zeros` | for one argument or one output alone it gives another value than as a part |
| `transform-vmap` | under `vmap` it gives another value than alone |
| `not-finite` | the function and its gradient are finite, the hand-written value is not |
| `cotangent-ignored`, `cotangent-nonlinear` | the result is not linear in the cotangent |
| `missing` | the whole leaf is zero where the gradient is not |
| `sign` | the opposite of the gradient |
| `transpose` | the transpose of the gradient, on a square leaf |
| `swapped` | the gradient of another leaf of the same shape |
| `slope-at-output` | the gradient with the output in place of an input: σ′(a) for σ′(z) |
| `argument-transposed` | the gradient with a square argument transposed: W for Wᵀ |
| `convention-mean`, `convention-half` | the whole is the gradient divided by the batch, doubled or halved |
| `factor` | a leaf is the gradient times a constant, or times the size of an axis or its inverse |
| `at-zeros`, `at-ties`, `negative-inputs`, `positive-inputs` | only entries whose input is of that kind |
| `wrong-residual` | a layer's ∂W is taken with z of the layer below in place of its a |
| `shifted` | the gradient, moved by one index along an axis |
| `first-row`, `last-row` | only entries at one end of an axis |
| `dropped-term`, `dropped-factor`, `term-sign` | autodiff's own program with one such slip gives the same |
| `partial-missing`, `partial-sign` | the wrong entries are zero by hand, or the opposite of the gradient |
| `partial-factor` | the wrong entries are one constant times the gradient |
| `second-order` | the gradient is right, its own derivative is not |
| `copied-guard` | autodiff differentiates a guard there, and so does the hand-written side |
| `accuracy` | the formula is right, its arithmetic loses the digits |
| `reference` | autodiff itself is not finite, or disagrees with finite differences |
| `surplus`, `wrong-value`, `wrong-function`, `wrong-number`, `wrong-count`, `wrong-axis`, \
`wrong-operator`, `swapped-operands`, `sum-for-mean`, `mean-for-sum`, `dropped-mask`, `conjugate` | the line \
in the report, mended so, gives the right result at every point looked at |
| `unknown` | none of these |
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.comparison import Entry
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_floating, leaves_with_paths, shapes_of
from backproof.numerics.tolerance import MOVED, NUDGE
from backproof.verification.diagnosis.failure import Failure, Leaf, failure_at
from backproof.verification.diagnosis.pattern import common_to_wrong
from backproof.verification.diagnosis.program_slips import explaining_slip
from backproof.verification.diagnosis.symptoms import (
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
from backproof.verification.judging.judge import Judgement, Outcome, judge_alone
from backproof.verification.judging.kinks import jumps
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point

Named = tuple[str, str]


# These would show at any input: a leaf that is right somewhere, and not zero there, refutes them.
ALWAYS = frozenset({"missing", "sign", "convention-half", "swapped"})

# These also say where the leaf is right, so they must hold at a kink too.
ENDS = frozenset({"first-row", "last-row"})
ONLY = frozenset({*INPUTS, *ENDS, "at-ties"})
# These concern the whole leaf, so they are not named where only a few of many entries are wrong.
WHOLE = frozenset({"cotangent-ignored", "slope-at-output", "argument-transposed", "at-ties"})


def name_cause(
    evaluators: Evaluators, failing: Sequence[Judgement], small: Judgement, judged: Sequence[Judgement]
) -> Named:
    """Return the name of the first test that every failing point passes, and its sentence at the smallest."""
    if small.outcome is Outcome.UNSTABLE:
        return "accuracy", "the formula is right, but evaluated as it is written it loses its digits here"
    if small.worst is not None and (small.guarded or not np.all(np.isfinite(small.worst.truth))):
        refuted = _refuted_value(evaluators, small, small.worst)
        if refuted:
            return refuted
    others = [one for one in failing if one is not small]
    full = [one for one in others if not one.point.is_empty] or others
    seen = _smooth(evaluators, [small, *full]) or [small, *full]
    failures = [one for one in (failure_at(evaluators, found) for found in seen) if one]
    smallest = failure_at(evaluators, small)
    agreeing = [one for one in judged if one.outcome is Outcome.AGREES and one.says_something]
    right = sorted(agreeing, key=lambda one: -one.point.entries)
    for name, test in TESTS.items():
        if name in WHOLE and any(one.leaf.few for one in failures):
            continue
        sentences = [test(one) for one in failures]
        held = all(sentences) and (name not in ONLY or smallest is None or bool(test(smallest)))
        if name == "not-finite" and seen[0] is small:  # elsewhere the same formula may be finite, and wrong
            held = bool(sentences[0]) and 2 * sum(map(bool, sentences)) > len(sentences)
        if failures and held and not _refuted(evaluators, name, failures, right):
            axis = _common_axis(name, failures) if name in AXES else None
            return name, str(sentences[0]) if axis is None else along(name, failures[0], axis)
    if failures and not small.point.is_large:
        slip = explaining_slip(evaluators.truth, failures, _seen_right(evaluators, failures, right))
        if slip:
            return slip
    # the sentence about the wrong entries must hold at the example that is shown
    shown = [*([smallest] if smallest else []), *(one for one in failures if one.point is not small.point)]
    return common_to_wrong(shown) or ("unknown", _counted(shown[0].leaf) if shown else "the values differ")


def _refuted_value(evaluators: Evaluators, small: Judgement, worst: Entry) -> Named | None:
    """Return the cause where differences, or the sides of a kink, refute a value that is NaN or a guard's."""
    if not np.isfinite(worst.hand):
        said = f"the function is finite here and has slopes on its sides, but result{worst.leaf} by hand is"
        return "not-finite", f"{said} {worst.hand}"
    if not small.guarded:
        return None
    paths = [path for path, _ in leaves_with_paths(small.truth)]
    guard = jax.tree.leaves(evaluators.truth(small.point).value)[paths.index(worst.leaf)][worst.at]
    if guard != worst.hand:
        return None
    return (
        "copied-guard",
        f"autodiff is not the derivative here: its guard gives {guard:g}, as the value by hand does",
    )


def _counted(leaf: Leaf) -> str:
    """Return how many entries of the leaf differ, without a name for it."""
    wrong, entries = int(np.sum(leaf.wrong)), leaf.wrong.size
    if entries == 1:
        return f"the value at result{leaf.path} differs from the gradient"
    verb = "differs" if wrong == 1 else "differ"
    return f"{wrong} of {entries} entries of result{leaf.path} {verb} from the gradient"


def _smooth(evaluators: Evaluators, failing: list[Judgement]) -> list[Judgement]:
    """Return the points that are no kinks: at a kink autodiff's choice of a side would hide a plain cause."""
    if evaluators.claim.forward or any(one.point.is_large for one in failing):
        return failing
    return [one for one in failing if not jumps(evaluators.truth, one.point)]


def _refuted(evaluators: Evaluators, name: str, failures: list[Failure], judged: list[Judgement]) -> bool:
    """Return whether the leaf is right, and not zero, at some point where this cause would show as well."""
    path, right = failures[0].leaf.path, judged[: EFFORT.witnesses]
    # at the shapes of the failing points
    alike = _of_same_shape(failures, judged)
    if name == "factor":
        ratios = [ratio_of(one.leaf) for one in failures]
        entries_seen = sum(int(np.sum(one.leaf.wrong)) for one in failures)
        constant = entries_seen > 1 and all(one.leaf.is_times(ratios[0]) for one in failures)
        if not all(axis_hint(one) for one in failures):
            return not constant or any(_is_right(evaluators, one, path) for one in right)
        # a factor that is the size of an axis would show wherever the axis has that size
        return any(_is_right(evaluators, one, path) for one in alike)
    if name == "convention-mean":
        return any(batch_size(one.point) > 1 and _is_right(evaluators, one, path) for one in right)
    if name == "at-ties":  # numbers tie by chance too: the leaf must be right where none does
        return not any(_is_right(evaluators, one, path) and not tied_arguments(one.point) for one in alike)
    if name in AXES and _common_axis(name, failures) is None:
        return True
    if name in ENDS:  # a slip at one index shows there at other values too
        return any(_vanishes(evaluators, one) for one in failures)
    if name in INPUTS:
        common = set.intersection(*(explaining_inputs(one, name) for one in failures))
        return all(_refuted_input(evaluators, name, which, failures, right) for which in common)
    return name in ALWAYS and any(_is_right(evaluators, one, path) for one in right)


def _common_axis(name: str, failures: list[Failure]) -> int | None:
    """Return the axis along which every failure shows this cause, beyond coincidence; None if there is none.

    Where leaves have different ranks, axes are matched by their distance from the first axis, or from the
    last.
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
    evaluators: Evaluators, kind: str, which: int, failures: list[Failure], right: list[Judgement]
) -> bool:
    """Return whether an entry is right where argument `which` is of this kind, or none is elsewhere."""
    found = [_leaf_at(evaluators, one, failures[0].leaf.path) for one in right]
    witnesses = [(one.leaf.seen & ~one.leaf.wrong, inputs_of(one, kind).get(which)) for one in found if one]
    if any(mask is not None and np.any(seen & mask) for seen, mask in witnesses):
        return True
    witnesses += [(one.leaf.seen & ~one.leaf.wrong, inputs_of(one, kind)[which]) for one in failures]
    return not any(mask is not None and np.any(seen & ~mask) for seen, mask in witnesses)


def _vanishes(evaluators: Evaluators, failure: Failure) -> bool:
    """Return whether a wrong entry becomes right, and is not zero, when every number moves a little."""
    args = jax.tree.map(lambda arg: _nudged(arg) if is_floating(arg) else arg, failure.point.args)
    point = Point(args, failure.point.direction)
    near = failure_at(evaluators, judge_alone(evaluators, point)) if evaluators.is_finite_at(point) else None
    there = [one for one in near.leaves if one.path == failure.leaf.path] if near else []
    return any(bool(np.any(one.seen & ~one.wrong & failure.leaf.wrong)) for one in there)


def _nudged(arg: Any) -> Any:
    """Return the numbers moved a little towards 0, each by another part of it, and zeros moved above 0."""
    part = NUDGE * np.arange(1, np.size(arg) + 1).reshape(np.shape(arg)) / (np.size(arg) + 1)
    return np.where(np.asarray(arg) == 0, part, arg * (1 - part)).astype(arg.dtype)


def _of_same_shape(failures: list[Failure], judged: list[Judgement]) -> list[Judgement]:
    """Return the judged points whose arguments have the shapes of a failing one."""
    shapes = {shapes_of(one.point.args) for one in failures}
    return [one for one in judged if shapes_of(one.point.args) in shapes][: EFFORT.witnesses]


def _seen_right(evaluators: Evaluators, failures: list[Failure], judged: list[Judgement]) -> list[Failure]:
    """Return points where an entry is right, and not zero, that is wrong at a failing one of that shape."""
    shown = []
    for one in _of_same_shape(failures, judged):
        there = _leaf_at(evaluators, one, failures[0].leaf.path)
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


def _leaf_at(evaluators: Evaluators, found: Judgement, path: str) -> Failure | None:
    """Return both results at a point, right or wrong, with `leaf` of this path; None if there is none."""
    failure = failure_at(evaluators, found)
    return failure and failure.at_leaf(path)


def _is_right(evaluators: Evaluators, found: Judgement, path: str) -> bool:
    """Return whether the leaf agrees at a point where its opposite would not."""
    there = _leaf_at(evaluators, found, path)
    return there is not None and bool(np.any(there.leaf.seen))
