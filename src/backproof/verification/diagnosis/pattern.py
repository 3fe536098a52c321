"""The pattern that the wrong entries of a leaf share, where nothing more is known about them.

Each test examines the wrong entries alone: they are zero by hand, the opposite of the gradient, or one
constant times it. The constant must be the same at two wrong entries at least, since any one has some.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backproof.numerics.comparison import agree, ratio_text
from backproof.verification.diagnosis.compared import Compared, Leaf, noise_of_ratio


def common_to_wrong(failures: Sequence[Compared]) -> tuple[str, str] | None:
    """Return cause and sentence of what the wrong entries of every failure share, else None."""
    found = what_wrong_entries_are(failures)
    return (found[0], f"{_which(failures)} {found[1]}") if found else None


def what_wrong_entries_are(failures: Sequence[Compared]) -> tuple[str, str] | None:
    """Return a pattern's name and words for the value by hand in the wrong entries of every failure."""
    if not failures or not all(one.is_wrong for one in failures):
        return None
    tried = ((name, test([one.leaf for one in failures])) for name, test in PARTIAL.items())
    meant = failures[0].meant
    return next(((name, words.format(meant=meant)) for name, words in tried if words), None)


def _which(failures: Sequence[Compared]) -> str:
    """Return the beginning of the sentence: which entries are wrong, and the verb for them."""
    leaf = failures[0].leaf
    wrong, entries = int(np.sum(leaf.wrong)), leaf.wrong.size
    if entries == 1:
        return f"the one entry of {failures[0].name} is"
    if wrong == entries:
        return f"all {entries} entries of {failures[0].name} are"
    place = _diagonal([one.leaf for one in failures])
    verb, they = ("is", "it is") if wrong == 1 else ("are", "they are")
    return f"{wrong} of {entries} entries of {failures[0].name} {verb} wrong{place}; {they}"


def _diagonal(leaves: list[Leaf]) -> str:
    """Return whether all wrong entries lie on the diagonal of a square leaf, or all off it."""
    if not all(leaf.wrong.ndim > 1 and leaf.wrong.shape[-1] == leaf.wrong.shape[-2] for leaf in leaves):
        return ""
    on = [np.eye(leaf.wrong.shape[-1], dtype=bool) & leaf.wrong for leaf in leaves]
    if not any(np.any(mask) for mask in on):
        return ", all off the diagonal"
    within = all(np.array_equal(mask, leaf.wrong) for mask, leaf in zip(on, leaves, strict=True))
    return ", all on the diagonal" if within else ""


def _missing(leaves: list[Leaf]) -> str | None:
    return "zero by hand" if all(not np.any(leaf.mine[leaf.wrong]) for leaf in leaves) else None


def _sign(leaves: list[Leaf]) -> str | None:
    return "the opposite of {meant}" if all(_are_times(leaf, -1.0) for leaf in leaves) else None


def _factor(leaves: list[Leaf]) -> str | None:
    first = leaves[0]
    at = np.flatnonzero(first.wrong)[0]
    if sum(np.sum(leaf.wrong) for leaf in leaves) < 2 or not first.true.flat[at]:
        return None
    ratio = first.mine.flat[at] / first.true.flat[at]
    alike = np.isfinite(ratio) and all(_are_times(leaf, ratio) for leaf in leaves)
    return f"{ratio_text(ratio)} times {{meant}}" if alike else None


def _are_times(leaf: Leaf, ratio: Any) -> bool:
    """Return whether the wrong entries are `ratio` times the gradient, within the noise of both."""
    mine, true, noise = (part[leaf.wrong] for part in (leaf.mine, leaf.true, leaf.noise))
    return bool(np.all(agree(mine, ratio * true, noise_of_ratio(noise, ratio))))


PARTIAL: dict[str, Callable[[list[Leaf]], str | None]] = {
    "partial-missing": _missing,
    "partial-sign": _sign,
    "partial-factor": _factor,
}
