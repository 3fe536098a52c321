"""Blindness: would a slip have been seen with the data at hand?

A slip of each kind is planted in every leaf of the oracle's own results, which are then compared as the
hand-written ones were. Where a slip is seen at no point, the verifier was blind to it in that leaf, and a
good verdict would say nothing about it. Nothing is evaluated again.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof.numerics.comparison import same
from backproof.numerics.leaves import leaves_with_paths
from backproof.numerics.noise import Measured
from backproof.numerics.rounding import epsilon
from backproof.numerics.tolerance import AGREES_WITHIN


class Unseen(NamedTuple):
    """Names a slip that could not have been seen in one leaf.

    Attributes:
        leaf: its path.
        slip: a slip that is hidden at every point; None where the leaf is zero everywhere, so that
            any value near zero would pass.
    """

    leaf: str
    slip: str | None

    @property
    def is_zero(self) -> bool:
        """Return whether the leaf is zero within noise at every point."""
        return self.slip is None


def _one_zeroed(leaf: Any) -> Any:
    spoilt = np.array(leaf)
    if spoilt.size:
        spoilt.flat[np.argmax(np.abs(spoilt))] = 0
    return spoilt


SLIPS: dict[str, Callable[[Any], Any]] = {
    "zeroed": np.zeros_like,
    "negated": np.negative,
    "zeroed in one entry": _one_zeroed,
}


def _slips(unit: float) -> dict[str, Callable[[Any], Any]]:
    """Return the slips, one of them as small as numbers with this spacing at 1 allow, or a percent."""
    part = max(0.01, 4 * AGREES_WITHIN * unit)
    return {f"{100 * part:.2g} % too large": lambda leaf: leaf * (1 + part), **SLIPS}


def unseen(truths: Sequence[Measured], units: Sequence[float] = ()) -> tuple[Unseen, ...]:
    """Return the leaves in which some slip is hidden at every point, each with one such slip.

    A slip that leaves the data as they are (the transpose of a vector) does not count.

    Args:
        truths: autodiff with its noise at each point.
        units: for each leaf, the spacing at 1 of the coarsest numbers that it comes from; float64's if empty.
    """
    found: list[Unseen] = []
    rows = [list(_leaves(truth)) for truth in truths]
    for which in range(len(rows[0]) if rows else 0):
        path = rows[0][which][0]
        data = [(value, noise) for _, value, noise in (row[which] for row in rows) if value.size]
        if not data:
            continue
        if all(same(np.zeros_like(value), value, noise) for value, noise in data):
            found.append(Unseen(path, None))
            continue
        slips = _slips(units[which] if units else epsilon(np.float64))
        hidden = [name for name, slip in slips.items() if _is_hidden(slip, data)]
        found += [Unseen(path, hidden[-1])] if hidden else []
    return tuple(found)


def _is_hidden(slip: Callable[[Any], Any], data: Sequence[tuple[Any, Any]]) -> bool:
    """Return whether a slip changes a leaf somewhere, and by no more than noise wherever it does."""
    changed = [(slip(value), value, noise) for value, noise in data]
    counted = [one for one in changed if one[0].shape != one[1].shape or np.any(one[0] != one[1])]
    return bool(counted) and all(same(*one) for one in counted)


def _leaves(truth: Measured) -> list[tuple[str, Any, Any]]:
    pairs = zip(leaves_with_paths(truth.value), jax.tree.leaves(truth.noise), strict=True)
    return [(path, np.asarray(value), noise) for (path, value), noise in pairs]
