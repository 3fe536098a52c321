"""Names the cause of a wrong result from the points where it is wrong; `unknown` rather than a wrong name.

A cause is a prediction of what the hand-written side gives, or of where it is wrong. It is named only if the
prediction comes true at every point looked at, right ones included, and of several the first in this table.
What breaks the form of the result, or a law of it, is seen at the failing points alone (`not-finite`: at the
smallest and at more than half of them).

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
| `missing-psum`, `surplus-psum` | right on one device; on several, one `psum` more or less makes it right |
| `missing` | the whole leaf is zero where the gradient is not |
| `sign` | the opposite of the gradient |
| `transpose` | the transpose of the gradient, on a square leaf |
| `swapped` | the gradient of another leaf of the same shape |
| `slope-at-output` | the gradient with the output in place of an input: σ′(a) for σ′(z) |
| `argument-transposed` | the gradient with a square argument transposed: W for Wᵀ |
| `convention-mean`, `convention-half` | the whole is the gradient divided by the batch, doubled or halved |
| `factor` | a leaf is the gradient times a constant, a size, its root or inverse, a ratio of two sizes, or \
Bessel's correction |
| `shifted`, `reversed`, `cotangent-moved` | the gradient, or the cotangent, in another order along an axis |
| `too-many-axes` | the gradient summed or averaged over an axis along which it differs |
| `at-zeros`, `negative-inputs`, `positive-inputs` | exactly the entries whose input is of that kind |
| `masked` | exactly the entries at which a condition or whole number among the arguments is 0, or is not |
| `first-row`, `last-row` | exactly the entries at one end of an axis, at every size of it |
| `at-ties` | only entries whose input ties with another |
| `at-constant` | exactly the entries whose input equals, passes or stays within a constant of the code |
| `wrong-residual` | a layer's ∂W is taken with z of the layer below in place of its a |
| `dropped-term`, `doubled-term`, `dropped-factor`, `term-sign` | autodiff's own program with one such slip \
gives the same |
| `some-sizes` | every point with some sizes of an axis, and none with others |
| `partial-missing`, `partial-sign` | the wrong entries are zero by hand, or the opposite of the gradient |
| `partial-factor` | the wrong entries are one constant times the gradient |
| `second-order` | the gradient is right, its own derivative is not |
| `copied-guard` | autodiff differentiates a guard there, and so does the hand-written side |
| `accuracy` | the formula is right, its arithmetic loses the digits |
| `reference` | autodiff itself is not finite, or disagrees with finite differences |
| `surplus`, `wrong-value`, `wrong-function`, `wrong-number`, `wrong-count`, `wrong-index`, `wrong-axis`, \
`wrong-operator`, `swapped-operands`, `sum-for-mean`, `mean-for-sum`, `dropped-mask`, `conjugate` | the line \
in the report, mended so, gives the right result at every point looked at |
| `unknown` | none of these |
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from backproof.numerics.comparison import Entry, same
from backproof.numerics.leaves import all_finite, has_direction, leaves_with_paths
from backproof.numerics.tolerance import SCALES
from backproof.verification.diagnosis.collectives import explaining_collective
from backproof.verification.diagnosis.compared import Compared
from backproof.verification.diagnosis.masks import MASKS, wrong_sizes
from backproof.verification.diagnosis.pattern import common_to_wrong, what_wrong_entries_are
from backproof.verification.diagnosis.prediction import Points, first_confirmed
from backproof.verification.diagnosis.program_slips import explaining_slip
from backproof.verification.diagnosis.whole import WHOLE
from backproof.verification.diagnosis.witnesses import Witnesses
from backproof.verification.judging.judge import Judgement, Outcome
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look
from backproof.verification.running.point import Point

Named = tuple[str, str]


def name_cause(
    evaluators: Evaluators,
    failing: Sequence[Judgement],
    small: Judgement,
    judged: Sequence[Judgement],
    looks: Sequence[Look] = (),
    known: Named | None = None,
) -> Named:
    """Return the name of the first cause that explains every point, and its sentence at the smallest.

    Args:
        evaluators: the evaluators of the claim.
        failing: the judgements of points at which the result is wrong.
        small: that at the smallest of them.
        judged: the judgements of all points.
        looks: both sides at every point that was looked at.
        known: the slip that a mend of the code by hand turns back, or that explains a layer.
    """
    if small.outcome is Outcome.UNSTABLE:
        return "accuracy", "the formula is right, but evaluated as it is written it loses its digits here"
    if small.worst is not None and (small.guarded or not np.all(np.isfinite(small.worst.truth))):
        refuted = _refuted_value(evaluators, small, small.worst)
        if refuted:
            return refuted
    at = Witnesses(evaluators, failing, small, judged, looks)
    if not at.failures:
        return "unknown", "the values differ"
    causes: tuple[Callable[[], Named | None], ...] = (
        lambda: _not_finite(at.failures),
        lambda: _unlawful(at.failures) if evaluators.claim.is_directed else None,
        lambda: _collective("surplus-psum", evaluators, at.wrong, lambda: at.agreeing),
        lambda: first_confirmed(WHOLE, at.wrong, lambda: at.right),
        lambda: _collective("missing-psum", evaluators, at.wrong, lambda: at.agreeing),
        lambda: _where([*at.wrong, *at.shown], lambda: at.everywhere),
        lambda: known or _slip(evaluators, at.wrong, lambda: at.right),
        lambda: _some_sizes([*at.wrong, *at.right]),
        lambda: common_to_wrong([*at.shown, *at.failures]),
    )
    unknown = "unknown", _counted((at.shown or at.failures)[0])
    return next(filter(None, (cause() for cause in causes)), unknown)


def _where(wrong: Points, right: Callable[[], Points]) -> Named | None:
    """Return the cause that says where the result is wrong, and what the wrong entries have in common."""
    found = first_confirmed(MASKS, wrong, right)
    common = found and what_wrong_entries_are(wrong)
    return (found[0], f"{found[1]}; there it is {common[1]}") if found and common else found


def _not_finite(failures: Points) -> Named | None:
    """Return the cause if the value by hand is not finite; elsewhere the same formula may only be wrong."""
    lost = [not np.all(np.isfinite(one.leaf.mine)) and all_finite(one.leaf.true) for one in failures]
    if not lost[0] or 2 * sum(lost) <= len(lost):
        return None
    named = failures[0].name
    return "not-finite", f"the function and its gradient are finite here, but {named} by hand is not"


def _unlawful(failures: Points) -> Named | None:
    """Return the cause if the result is not linear in the cotangent at any failing point."""
    if all(np.any(one.leaf.mine) and all(_scales(one, by, 1.0) for by in (2.0, -2.0)) for one in failures):
        said = "the result does not change when the cotangent is multiplied by 2 or by −2"
        return "cotangent-ignored", said
    if all(not _scales(one, SCALES[0], SCALES[0]) for one in failures):
        said = f"{SCALES[0]:g} times the cotangent does not give {SCALES[0]:g} times the result"
        return "cotangent-nonlinear", said
    return None


def _scales(at: Compared, factor: float, expected: float) -> bool:
    """Return whether `factor` times the cotangent gives `expected` times the result."""
    hand, quick = at.elsewhere.hand, at.elsewhere.quick
    scaled = jax.tree.map(lambda c: factor * c if has_direction(c) else c, at.point.direction)
    place = Point(at.point.args, scaled)
    if factor == expected:  # linear within autodiff's noise, which may be larger, is linear enough
        values = (jax.tree.leaves(quick(point)) for point in (place, at.point))
        parts = zip(*values, at.leaves, strict=True)
        if all(same(after, factor * value, (1 + abs(factor)) * leaf.noise) for after, value, leaf in parts):
            return True
    before, again = hand(at.point), hand(place)
    parts = zip(*map(jax.tree.leaves, (before.value, before.noise, again.value, again.noise)), strict=True)
    return all(
        same(after, expected * value, own + abs(expected) * noise) for value, noise, after, own in parts
    )


def _slip(evaluators: Evaluators, wrong: Points, right: Callable[[], Points]) -> Named | None:
    """Return the slip in autodiff's own program that gives the same, at small points."""
    if wrong[0].point.is_large:
        return None
    return explaining_slip(evaluators.truth, wrong, right)


def _collective(
    cause: str, evaluators: Evaluators, wrong: Points, right: Callable[[], Points]
) -> Named | None:
    """Return the collective with which the hand-written side is right, at small points."""
    return None if wrong[0].point.is_large else explaining_collective(cause, evaluators.hand, wrong, right)


def _some_sizes(points: Points) -> Named | None:
    sizes = wrong_sizes(points)
    return ("some-sizes", f"{points[0].name} depends on a size, {sizes}") if sizes else None


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


def _counted(at: Compared) -> str:
    """Return how many entries of the leaf differ, without a name for it."""
    wrong, entries = int(np.sum(at.leaf.wrong)), at.leaf.wrong.size
    if entries == 1:
        return f"the value at {at.name} differs from {at.meant}"
    verb = "differs" if wrong == 1 else "differ"
    return f"{wrong} of {entries} entries of {at.name} {verb} from {at.meant}"
