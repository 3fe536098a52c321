"""Names what is wrong, from the two results at the smallest example; `unknown` rather than a guess.

| cause | what was seen |
|---|---|
| `contract-raises`, `contract-tree`, `contract-shape`, `contract-dtype` | no result of the right form |
| `not-finite` | the function and its gradient are finite, the hand-written value is not |
| `missing` | the whole leaf is zero where the gradient is not |
| `sign` | the opposite of the gradient |
| `transpose` | the transpose of the gradient, on a square leaf |
| `cotangent-ignored` | the result does not change with the cotangent |
| `convention-mean`, `convention-half` | all of it is the gradient divided by the batch, doubled or halved |
| `factor` | a leaf is the gradient times a constant |
| `accuracy` | the formula is right, its arithmetic loses the digits |
| `reference` | autodiff itself is not finite or loses its digits; the hand-written value is right |
| `unknown` | none of these |
"""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from backproof.verification.judge import Judgement, Outcome
from backproof.verification.noise import AGREES_WITHIN, units
from backproof.verification.oracles import Point, Runner

Named = tuple[str, str]
ALWAYS = frozenset({"sign", "missing", "convention-half"})


def name_cause(runner: Runner, failing: list[Judgement], small: Judgement, judged: list[Judgement]) -> Named:
    """Return the name that fits every failing point, and a sentence about the smallest of them.

    A cause that would show at every point (`ALWAYS`) is not named where the leaf agrees elsewhere.
    """
    leaf = small.worst.leaf if small.worst else ""
    unknown = ("unknown", f"the values at result{leaf} differ")
    full = [found for found in failing if not _is_empty(found.point)] or failing
    names = {_name_one(runner, found)[0] for found in (*full, small)}
    if len(names) != 1:
        return unknown
    right = [found for found in judged if found.outcome is Outcome.AGREES and found.says_something]
    if names <= ALWAYS and any(_is_right_and_not_zero(found, leaf) for found in right):
        return unknown
    return _name_one(runner, small)


def _is_empty(point: Point) -> bool:
    return any(np.size(leaf) == 0 for leaf in jax.tree.leaves(point.args))


def _is_right_and_not_zero(found: Judgement, leaf: str) -> bool:
    by_path = {jax.tree_util.keystr(path): v for path, v in jax.tree_util.tree_leaves_with_path(found.hand)}
    return bool(np.any(np.asarray(by_path[leaf]) != 0))


def _name_one(runner: Runner, found: Judgement) -> Named:
    if found.outcome is Outcome.UNSTABLE:
        return "accuracy", "the formula is right, but evaluated like this it loses its digits here"
    if found.outcome is Outcome.REFERENCE_SUSPECT:
        return "reference", "the hand-written value is right; autodiff of the primal is not finite here"
    if not found.worst:
        return "unknown", "the results differ"
    leaf = found.worst.leaf
    mine, true, noise = _leaves(runner, found)[leaf]
    if not np.all(np.isfinite(mine)):
        return (
            "not-finite",
            f"the function and its gradient are finite here, the value by hand at result{leaf} is not",
        )
    named = _ignored(runner, found)
    for test in (_missing, _sign, _transpose):
        named = named or test(leaf, mine, true, noise)
    return named or _factor(runner, found, leaf) or ("unknown", f"the values at result{leaf} differ")


def _leaves(runner: Runner, found: Judgement) -> dict[str, tuple[Any, Any, Any]]:
    """Return, by leaf path, the two values and the noise."""
    noise = jax.tree.leaves(runner.truth(found.point).noise)
    ours = jax.tree_util.tree_leaves_with_path(found.hand)
    theirs = jax.tree.leaves(found.truth)
    return {
        jax.tree_util.keystr(path): (np.asarray(mine), np.asarray(true), extra)
        for (path, mine), true, extra in zip(ours, theirs, noise, strict=True)
    }


def _same(a: Any, b: Any, noise: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.all(units(a, b, noise) <= AGREES_WITHIN))


def _missing(leaf: str, mine: Any, true: Any, noise: Any) -> Named | None:
    if np.all(mine == 0) and not _same(true, np.zeros_like(true), noise):
        return "missing", f"result{leaf} is zero by hand where the gradient is not"
    return None


def _sign(leaf: str, mine: Any, true: Any, noise: Any) -> Named | None:
    return ("sign", f"result{leaf} has the opposite sign") if _same(-mine, true, noise) else None


def _transpose(leaf: str, mine: Any, true: Any, noise: Any) -> Named | None:
    if mine.ndim >= 2 and _same(np.swapaxes(mine, -1, -2), true, noise):
        return "transpose", f"result{leaf} is the transpose of the gradient"
    return None


def _ignored(runner: Runner, found: Judgement) -> Named | None:
    point = found.point
    doubled = Point(
        point.args, jax.tree.map(lambda c: 2 * c if c.dtype != jax.dtypes.float0 else c, point.direction)
    )
    again, before = runner.hand(doubled), runner.hand(point)
    leaves = zip(
        jax.tree.leaves(again.value),
        jax.tree.leaves(before.value),
        jax.tree.leaves(before.noise),
        strict=True,
    )
    if all(_same(a, b, n) for a, b, n in leaves) and np.any(
        [np.any(v != 0) for v in jax.tree.leaves(before.value)]
    ):
        return "cotangent-ignored", "the result does not change when the cotangent is doubled"
    return None


def _factor(runner: Runner, found: Judgement, leaf: str) -> Named | None:
    leaves = _leaves(runner, found)
    mine, true, _ = leaves[leaf]
    if not np.any(true):
        return None
    at = np.unravel_index(np.argmax(np.abs(true)), true.shape)
    ratio = mine[at] / true[at]
    if not _is_times(ratio, [leaves[leaf]]):
        return None
    batch = _batch_size(found.point)
    if batch > 1 and _is_times(1 / batch, leaves.values()):
        return "convention-mean", "differs by convention, not by mistake: a mean over the batch for a sum"
    for half in (0.5, 2.0):
        if _is_times(half, leaves.values()):
            text = f"differs by convention, not by mistake: {half:g} times the gradient, a ½ in the loss"
            return "convention-half", text
    hint = _axis_hint(found.point, leaves[leaf])
    return "factor", f"result{leaf} is {ratio:.6g} times the gradient{hint}"


def _is_times(ratio: Any, leaves: Iterable[tuple[Any, Any, Any]]) -> bool:
    """Return whether each leaf by hand is `ratio` times the gradient, within the noise of both."""
    return all(_same(mine, ratio * true, noise * (1 + 4 * np.abs(ratio))) for mine, true, noise in leaves)


def _batch_size(point: Point) -> int:
    shaped = [np.shape(leaf) for leaf in jax.tree.leaves(point.args) if np.ndim(leaf)]
    return int(shaped[-1][0]) if shaped else 0


def _axis_hint(point: Point, leaf: tuple[Any, Any, Any]) -> str:
    sizes = {n for arg in jax.tree.leaves(point.args) for n in np.shape(arg) if n > 1}
    for n in sorted(sizes):
        for value, text in ((n, f"an axis has size {n}"), (1 / n, f"1/{n}, and an axis has size {n}")):
            if _is_times(value, [leaf]):
                return f" ({text})"
    return ""
