"""The oracle is checked in every run: what is interpreted is what JAX itself computes.

Every value is judged by NumPy's evaluation of a program (`numerics.interpreter`). If an entry of that
table were wrong, right code would be called wrong, and a slip could be hidden. So at one ordinary point both
sides are compiled by XLA as well, in float64. A difference there is a fault of this library.
"""

from typing import Any

import jax
import numpy as np

from backproof.errors import OracleError, message
from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import run
from backproof.numerics.leaves import is_inexact, leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.numerics.tolerance import AGREES_WITHIN, MACHINERY
from backproof.verification.running.evaluator import Evaluator
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import Point


def oracle_apart(evaluators: Evaluators, point: Point, *, by_hand_only: bool = False) -> str | None:
    """Return where an interpreted side differs from the compiled one; None where neither does.

    Args:
        evaluators: the evaluators of both sides.
        point: an ordinary point, at which the function is finite and the derivative can be repeated.
        by_hand_only: whether autodiff is left out.
    """
    sides = [("the hand-written derivative", evaluators.hand, evaluators.compiled)]
    if not by_hand_only:
        sides = [("autodiff of the function", evaluators.truth, evaluators.compiled_truth), *sides]
    for name, interpreted, compiled in sides:
        expected = compiled(point)
        found = machinery_apart(interpreted(point), expected)
        if found and machinery_apart(_undecided(interpreted, point), expected):
            return f"{name}: {found}"
    return None


def require_oracle(evaluators: Evaluators, point: Point, *, by_hand_only: bool = False) -> None:
    """Raise where an interpreted side is not what JAX computes at a point.

    Args:
        evaluators: the evaluators of both sides.
        point: an ordinary point.
        by_hand_only: whether autodiff is left out.

    Raises:
        OracleError: the two evaluations differ by more than rounding.
    """
    found = oracle_apart(evaluators, point, by_hand_only=by_hand_only)
    if found:
        raise OracleError(
            message(
                must="what backproof interprets must be what JAX computes",
                found=found,
                where=evaluators.claim.name,
                do="this is a fault of backproof, not of your code; please report it with the function",
            )
        )


def _undecided(interpreted: Evaluator, point: Point) -> Measured:
    """Return the value at a point with the spread of runs that decide for themselves what is a tie.

    Where rounding alone decides a comparison, XLA may decide it otherwise, and neither is wrong.
    """
    value, *others = run(interpreted.program(point), point, replicas=EFFORT.native_sides, crossing=True)
    return Measured(value, jax.tree.map(_spread, value, *others))


def _spread(first: Any, *rest: Any) -> Any:
    return np.max([np.abs(np.asarray(one) - first) for one in rest], axis=0)


def machinery_apart(interpreted: Measured, compiled: Any) -> str | None:
    """Return the entry at which two evaluations of one program differ beyond rounding, in words, or None.

    A NaN that only the interpreter finds is a difference. Any other number that is not finite says nothing:
    XLA flushes small numbers to zero, and overflow comes earlier in one library than in another.
    """
    pairs = zip(leaves_with_paths(interpreted.value), jax.tree.leaves(compiled), strict=True)
    for ((leaf, value), other), noise in zip(pairs, jax.tree.leaves(interpreted.noise), strict=True):
        ours, theirs = np.asarray(value), np.asarray(other)
        if ours.shape != theirs.shape:
            return (
                f"leaf {leaf or '(the result)'} has shape {ours.shape} interpreted, {theirs.shape} compiled"
            )
        beyond = _beyond(ours, theirs, np.asarray(noise))
        if np.any(beyond):
            at = tuple(int(i) for i in np.argwhere(beyond)[0])
            where = f"leaf {leaf or '(the result)'} at {at}"
            return f"{where} is {ours[at]} interpreted and {theirs[at]} compiled"
    return None


def _beyond(ours: np.ndarray, theirs: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return which entries differ by more than rounding can explain."""
    if not is_inexact(ours):
        return np.zeros(ours.shape, bool)  # an integer is a decision: rounding alone may take another
    with np.errstate(all="ignore"):
        finite = np.isfinite(ours) & np.isfinite(theirs)
        largest = np.max(np.where(finite, np.abs(ours), 0), initial=0.0)
        far = np.abs(ours - theirs) > MACHINERY * largest + AGREES_WITHIN * noise
        return (finite & far) | (np.isnan(ours) & np.isfinite(theirs))
