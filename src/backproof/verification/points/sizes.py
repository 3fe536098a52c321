"""The short menu of sizes that are tried for the names of axes.

Axis sizes are pairwise different by default (a transposed gradient passes every shape check on square
arrays), then 1 and 0, and once all the same (code that recognizes an axis by its size fails then).
"""

import itertools
from typing import Any

from backproof.arguments import Specification, names_of

SIZES = (3, 2, 4, 5, 7, 6, 8)
LARGER = (7, 5, 8, 6, 9, 4, 3)
SAME = 4
BATCHES = ((), (5,), (1,))
LARGER_BATCH = (2, 4)
# Just beyond blocks of 32, 128 and 1,024, and no multiple of any; FILLED has the lengths that fill those
# blocks exactly.
LENGTHS = (37, 133, 1031)
FILLED = {37: 32, 133: 128, 1031: 1024}


def menu(specs: list[Specification]) -> list[dict[str, Any]]:
    """Return the sizes that are tried for the names in `specs`, the smallest first.

    They are all 1, each name 1 with the others distinct, all distinct, all the same, all distinct and larger,
    and each name 0. Where there is a `*` axis, that axis is empty instead.
    """
    names = list(dict.fromkeys(name for spec in specs for name in names_of(spec)))
    if not names:
        return [{}]
    stars = [name for name in names if name.startswith("*")]
    plain = [name for name in names if not name.startswith("*")]
    distinct = dict(zip(plain, itertools.cycle(SIZES), strict=False))
    larger = dict(zip(plain, itertools.cycle(LARGER), strict=False))
    ones, same = dict.fromkeys(plain, 1), dict.fromkeys(plain, SAME)
    small = [ones, *({**distinct, name: 1} for name in plain), distinct]
    if not stars:
        return _unique([*small, same, larger, *({**distinct, name: 0} for name in plain)])
    rounds = itertools.islice(itertools.cycle(_unique(small)[::-1]), max(len(small), len(BATCHES)))
    pairs = list(zip(rounds, itertools.cycle(BATCHES), strict=False))
    pairs += [(same, (SAME,)), (larger, LARGER_BATCH), (distinct, (0,))]
    return _unique([{**size, **dict.fromkeys(stars, batch)} for size, batch in pairs])


def _unique(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for i, one in enumerate(sizes) if one not in sizes[:i]]


def with_long(specs: list[Specification], long: str, size: int) -> dict[str, Any]:
    """Return sizes in which the axis `long` has this size and the others are short."""
    names = list(dict.fromkeys(name for spec in specs for name in names_of(spec)))
    short = {
        name: (2,) if name.startswith("*") else n
        for name, n in zip(names, itertools.cycle(SIZES), strict=False)
    }
    return {**short, long: (size,) if long.startswith("*") else size}
