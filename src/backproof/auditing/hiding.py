"""A slip that changes nothing in a run: is it none here, or do the test's own points hide it?

Where the result with the slip equals the right one at every point of the test within rounding, fresh numbers
of the same shapes decide. If both are equal there too, the slip is none for this rule. Otherwise the
test's points hide it: it passes whatever the tolerance is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from backproof.auditing.call import Call, gradient_form, is_numbers, planted
from backproof.auditing.rounding import differ, gradient_at, rounding_at
from backproof.auditing.slips import RARE, Slip

# Draws of fresh numbers: half of them near the test's own, so that they stay in the domain of the rule.
DRAWS = 6


def changes_at(point: Call, slip: Slip) -> bool:
    """Return whether a slip changes the gradient at a point by more than its rounding."""
    call = gradient_form(point)
    if slip.kind == RARE:
        slip = slip._replace(factor=2.0)
    wrong = replace(
        call, backward=lambda *args, **named: planted(replace(call, args=args, named=named), slip)
    )
    return differ(gradient_at(call), gradient_at(wrong), rounding_at(call))


def is_slip(points: Sequence[Call], slip: Slip) -> bool:
    """Return whether a slip makes the gradient wrong at some numbers of the shapes of these points."""
    for fresh in (fresh for point in points[:1] for fresh in _fresh(point)):
        try:
            if changes_at(fresh, slip):
                return True
        except Exception:
            # The code is the user's, and these numbers may lie outside its domain; the next draw may not.
            continue
    return False


def replayable(points: Sequence[Call]) -> tuple[list[Call], str]:
    """Return the points at which the backward pass can be run again, and what it raises at another."""
    found, said = [], ""
    for point in points:
        try:
            gradient_at(gradient_form(point))
            found.append(point)
        except Exception as error:
            # The code is the user's: it may need what only the test gives it, such as a named axis.
            said = f"{type(error).__name__}: {error}".splitlines()[0]
    return found, said


def _fresh(point: Call) -> Iterator[Call]:
    """Yield the call with fresh numbers: a random cotangent, and other arguments moved or drawn."""
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)

        def moved(leaf: Any, rng: np.random.Generator = rng, near: bool = draw % 2 == 0) -> Any:
            if not is_numbers(leaf):
                return leaf
            array = np.asarray(leaf)
            factor = np.exp(rng.standard_normal(array.shape) / 4) if near else 1
            drawn = rng.standard_normal(array.shape)
            held = array * factor if near and np.any(array) else drawn
            return _like(leaf, held)

        def drawn(leaf: Any, rng: np.random.Generator = rng) -> Any:
            return _like(leaf, rng.standard_normal(np.shape(leaf))) if is_numbers(leaf) else leaf

        args, named = jax.tree.map(moved, (point.args, dict(point.named)))
        call = replace(point, args=args, named=named)
        yield call if call.cotangent is None else call.with_towards(jax.tree.map(drawn, call.towards))


def _like(leaf: Any, numbers: Any) -> Any:
    """Return numbers in the type of a leaf."""
    if isinstance(leaf, float | complex):
        return type(leaf)(numbers)
    held = np.asarray(numbers).astype(leaf.dtype)
    return jax.numpy.asarray(held) if isinstance(leaf, jax.Array) else held
