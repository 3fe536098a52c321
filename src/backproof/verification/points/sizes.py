"""The short menu of sizes that are tried for the names of axes.

Axis sizes are pairwise different by default (a transposed gradient passes every shape check on square
arrays), then 1 and 0, and once all the same (code that recognizes an axis by its size fails then). Where a
specification states a least size, no size is smaller.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from backproof.arguments import Specification, at_least, names_of

SIZES = (3, 2, 4, 5, 7, 6, 8)
LARGER = (7, 5, 8, 6, 9, 4, 3)
SAME = 4
BATCHES = ((), (5,), (1,))
LARGER_BATCH = (2, 4)
# Just beyond blocks of 32, 128 and 1,024, and no multiple of any; FILLED has the lengths that fill those
# blocks exactly.
LENGTHS = (37, 133, 1031)
FILLED = {37: 32, 133: 128, 1031: 1024}


def least_of(specs: Sequence[Specification]) -> dict[str, int]:
    """Return the names that have a least size, with the largest one that is stated."""
    stated = sorted((least for spec in specs for least in spec.least), key=lambda pair: pair[1])
    return dict(stated)


def plain_names(specs: Sequence[Specification]) -> list[str]:
    """Return the names of single axes, in order."""
    every = dict.fromkeys(name for spec in specs for name in names_of(spec))
    return [name for name in every if not name.startswith("*")]


def distinct(names: Sequence[str], order: Sequence[int], least: dict[str, int]) -> dict[str, int]:
    """Return pairwise different sizes: for each name the first of `order`, or a larger one, that is free."""
    sizes: dict[str, int] = {}
    for name in names:
        tried = itertools.chain(order, itertools.count(max(order) + 1))
        taken = {*sizes.values()}
        sizes[name] = next(n for n in tried if n >= least.get(name, 0) and n not in taken)
    return sizes


def menu(specs: list[Specification]) -> list[dict[str, Any]]:
    """Return the sizes that are tried for the names in `specs`, the smallest first.

    They are all 1, each name 1 with the others distinct, all distinct, all the same, all distinct and larger,
    and each name 0. Where there is a `*` axis, that axis is empty instead. A least size stands for 1, and
    a name that has one is never 0.

    Each shows what the others cannot. Distinct sizes show a transpose, or an axis taken for another. A 1
    shows broadcasting along that axis alone, and what a mean or a variance over one entry divides by; all 1,
    that nothing else is needed. The same size everywhere shows code that knows an axis by its size. Larger
    ones, in another order, show what fits the first sizes by chance, and 0 a sum, a mean or a reshape of
    nothing.
    """
    names, least = list(dict.fromkeys(name for spec in specs for name in names_of(spec))), least_of(specs)
    if not names:
        return [{}]
    stars = [name for name in names if name.startswith("*")]
    plain = plain_names(specs)
    apart, larger = distinct(plain, SIZES, least), distinct(plain, LARGER, least)
    ones = {name: max(1, least.get(name, 1)) for name in plain}
    same = dict.fromkeys(plain, max([SAME, *(least.get(name, 0) for name in plain)]))
    small = [ones, *({**apart, name: ones[name]} for name in plain), apart]
    if not stars:
        empty = [{**apart, name: 0} for name in plain if name not in least]
        return _unique([*small, same, larger, *empty])
    rounds = itertools.islice(itertools.cycle(_unique(small)[::-1]), max(len(small), len(BATCHES)))
    pairs = list(zip(rounds, itertools.cycle(BATCHES), strict=False))
    pairs += [(same, (SAME,)), (larger, LARGER_BATCH), (apart, (0,))]
    return _unique([{**size, **batches(stars, batch, least)} for size, batch in pairs])


def batches(stars: Sequence[str], batch: tuple[int, ...], least: dict[str, int]) -> dict[str, Any]:
    """Return these sizes for each `*` axis, raised to its least size."""
    return {name: at_least(batch, least.get(name, 0)) for name in stars}


def _unique(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for i, one in enumerate(sizes) if one not in sizes[:i]]


def small_sizes(specs: Sequence[Specification], names: Sequence[str]) -> list[list[Any]]:
    """Return, for each of `names`, the three smallest sizes."""
    least = least_of(specs)

    def three(name: str) -> list[Any]:
        tried = ((), (1,), (2,)) if name.startswith("*") else (1, 2, 3)
        first = max(least.get(name, 1), 1)
        return list(tried) if first == 1 else _raised(tried, first)

    return [three(name) for name in names]


def _raised(sizes: Sequence[Any], first: int) -> list[Any]:
    return [tuple(n + first - 1 for n in one) if isinstance(one, tuple) else one + first - 1 for one in sizes]


def with_long(specs: list[Specification], long: str, size: int) -> dict[str, Any]:
    """Return sizes in which the axis `long` has this size and the others are short."""
    names, least = list(dict.fromkeys(name for spec in specs for name in names_of(spec))), least_of(specs)
    short = distinct(names, SIZES, {name: n for name, n in least.items() if not name.startswith("*")})
    stars = batches([name for name in names if name.startswith("*")], (2,), least)
    return {**short, **stars, long: (size,) if long.startswith("*") else size}
