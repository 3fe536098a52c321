"""What the wrong entries of a leaf have in common, where nothing more is known of them.

Each test looks at the wrong entries alone: they are zero by hand, the opposite of the gradient, or one
constant times it. The constant must be the same at two wrong entries at least, for any one has some.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backproof.verification.noise import AGREES_WITHIN, units
from backproof.verification.worst import Failure, Leaf


def common_to_wrong(failures: Sequence[Failure]) -> tuple[str, str] | None:
    """Return cause and sentence of what the wrong entries of every failure share, else None."""
    if not failures or not all(np.any(one.leaf.wrong) for one in failures):
        return None
    for name, test in PARTIAL.items():
        words = test([one.leaf for one in failures])
        if words:
            leaf = failures[0].leaf
            count = (
                f"the {np.sum(leaf.wrong)} of {leaf.wrong.size} entries of result{leaf.path} that are wrong"
            )
            return name, f"{count} {words}"
    return None


def _missing(leaves: list[Leaf]) -> str | None:
    return "is zero by hand" if all(not np.any(leaf.mine[leaf.wrong]) for leaf in leaves) else None


def _sign(leaves: list[Leaf]) -> str | None:
    return "has the opposite sign" if all(_are_times(leaf, -1.0) for leaf in leaves) else None


def _factor(leaves: list[Leaf]) -> str | None:
    first = leaves[0]
    at = np.flatnonzero(first.wrong)[0]
    if sum(np.sum(leaf.wrong) for leaf in leaves) < 2 or not first.true.flat[at]:
        return None
    ratio = first.mine.flat[at] / first.true.flat[at]
    alike = np.isfinite(ratio) and all(_are_times(leaf, ratio) for leaf in leaves)
    return f"is {ratio:.7g} times the gradient" if alike else None


def _are_times(leaf: Leaf, ratio: Any) -> bool:
    """Return whether the wrong entries are `ratio` times the gradient, within the noise of both."""
    mine, true, noise = (part[leaf.wrong] for part in (leaf.mine, leaf.true, leaf.noise))
    return bool(np.all(units(mine, ratio * true, noise * (1 + 4 * np.abs(ratio))) <= AGREES_WITHIN))


PARTIAL: dict[str, Callable[[list[Leaf]], str | None]] = {
    "partial-missing": _missing,
    "partial-sign": _sign,
    "partial-factor": _factor,
}
