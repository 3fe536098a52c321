"""The third voice: where autodiff and finite differences disagree, the reference itself is in doubt."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification import differences
from backproof.verification.noise import AGREES_WITHIN
from backproof.verification.oracles import Point, Runner

# Differences whose own error estimate is this small, relative to the summed terms, may accuse autodiff,
# and only of this much: their estimate is an estimate.
TRUSTED = 1e-7
ACCUSED = 1e-4
ENTRIES = 16


def reference_in_doubt(runner: Runner, point: Point, truth: Any) -> str | None:
    """Return how a gradient, autodiff's say, disagrees with differences of the primal along a direction."""
    rng = np.random.default_rng(1)
    drawn = jax.tree.map(lambda leaf: _random_step(rng, leaf), point.args)
    step = tuple(
        jax.tree.map(np.zeros_like, part) if grads is None else part
        for part, grads in zip(drawn, truth, strict=True)
    )
    sized = jax.tree.map(lambda part, arg: part * differences.size_of(arg), step, point.args)
    terms = [np.sum(g * d) for g, d in _matched(truth, sized)]
    # with complex arguments the derivative of Re⟨cotangent, primal⟩ along s is Re Σ g s
    slope, size = float(np.real(np.sum(terms))), float(np.sum(np.abs(terms)))
    if not np.isfinite(slope) or not size:
        return None
    found = differences.along(runner, point, step)
    noise = _matched(runner.truth(point).noise, sized)
    rounding = AGREES_WITHIN * sum(float(np.sum(n * np.abs(d))) for n, d in noise)
    scale = max(size, abs(found.value))
    if found.error > TRUSTED * scale or abs(found.value - slope) <= ACCUSED * scale + rounding:
        return None
    return (
        f"along one direction autodiff of the primal gives {slope:.6g}, finite differences {found.value:.6g}"
    )


def _random_step(rng: np.random.Generator, leaf: Any) -> np.ndarray:
    if not differences.is_movable(leaf):
        return np.zeros(())
    step = rng.standard_normal(np.shape(leaf))
    return step + 1j * rng.standard_normal(np.shape(leaf)) if np.iscomplexobj(leaf) else step


def confirmed_by_differences(runner: Runner, point: Point, hand: Any) -> bool:
    """Return whether differences give the hand-written value at every entry where autodiff is not finite.

    Only entries whose difference converges count as confirmed.
    """
    truth = runner.truth(point).value
    for leaf, (mine, true) in enumerate(zip(jax.tree.leaves(hand), jax.tree.leaves(truth), strict=True)):
        doubtful = np.argwhere(~np.isfinite(true))[:ENTRIES]
        for index in map(tuple, doubtful):
            which = _inexact_leaf(point.args, truth, leaf)
            found = _entry_slope(runner, point, which, index)
            scale = max(abs(found.value), abs(float(mine[index])), 1e-300)
            limit = max(found.error * AGREES_WITHIN, TRUSTED * scale)
            if not np.isfinite(found.value) or abs(found.value - mine[index]) > limit:
                return False
    return True


def difference_at(runner: Runner, point: Point, leaf: str, index: tuple[int, ...]) -> float | None:
    """Return the difference quotient for one entry of the result of a pullback; None for a jvp."""
    if runner.claim.forward:
        return None
    truth = runner.truth(point).value
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(truth)]
    which = _inexact_leaf(point.args, truth, paths.index(leaf))
    if jnp.iscomplexobj(jax.tree.leaves(point.args)[which]):
        return None
    return _entry_slope(runner, point, which, index).value


def _entry_slope(runner: Runner, point: Point, which: int, index: tuple[int, ...]) -> differences.Slope:
    """Return the slope along one entry of leaf `which` of the arguments."""
    found = differences.along(runner, point, differences.one_entry(point.args, which, index))
    size = float(differences.size_of(jax.tree.leaves(point.args)[which])[index])
    return differences.Slope(found.value / size, found.error / size)


def _matched(truth: Any, step: Any) -> list[tuple[Any, Any]]:
    """Return each leaf of the gradient with the part of the step that belongs to it."""
    return [
        (grad, move)
        for part, moves in zip(truth, step, strict=True)
        if part is not None
        for grad, move in zip(_with_none(part), _with_none(moves), strict=True)
        if grad is not None
    ]


def _with_none(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree, is_leaf=_is_none)


def _is_none(node: Any) -> bool:
    return node is None


def _inexact_leaf(args: tuple[Any, ...], truth: tuple[Any, ...], leaf: int) -> int:
    """Return which leaf of the arguments leaf number `leaf` of the result belongs to."""
    places, start = [], 0
    for arg, part in zip(args, truth, strict=True):
        held = [value is not None for value in _with_none(arg)]
        grads = [None] * len(held) if part is None else _with_none(part)
        for is_leaf, grad in zip(held, grads, strict=True):
            places += [start] if is_leaf and grad is not None else []
            start += is_leaf
    return places[leaf]
