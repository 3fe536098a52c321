"""Decisions: where a program compares, orders or rounds to whole numbers, and so chooses a branch.

At a kink a decision is a tie: its two operands are equal, or nearer than their rounding noise. A function's
gradient from one side of a kink is its gradient at the point itself, with the tied decisions taken as they
fall next to the point. Decisions that are no ties stay as they are, however near the next kink may lie.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backproof.numerics.leaves import is_inexact
from backproof.numerics.tolerance import AGREES_WITHIN

COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
EXTREMES = {"argmax": np.max, "argmin": np.min}
# Where the result of these changes: at whole numbers, or halfway between two of them.
STEPS_AT: dict[str, Callable[[Any], Any]] = {
    "sign": np.zeros_like,
    "floor": np.rint,
    "ceil": np.rint,
    "round": lambda x: np.floor(x) + 0.5,
    "convert_element_type": np.rint,
}
# Operations that choose by one operand, and take from the others: the number of that operand.
CHOOSES_BY = {"select_and_scatter_add": 1, "select_and_gather_add": 1}
Operands = Sequence[Any]


def decides(name: str, operands: Operands) -> bool:
    """Return whether an operation takes decisions about floating numbers."""
    known = name in COMPARISONS or name in STEPS_AT or name in EXTREMES
    return known and any(map(is_inexact, operands))


def ties(name: str, lanes: Sequence[Operands], params: dict[str, Any]) -> np.ndarray:
    """Return which decisions are ties: the operands are equal, or nearer than their rounding noise.

    Args:
        name: the primitive.
        lanes: its operands, first as they are, then as other roundings might leave them.
        params: its parameters.
    """
    margins = [_margin(name, operands, params) for operands in lanes]
    with np.errstate(all="ignore"):
        noise = np.max([np.abs(other - margins[0]) for other in margins], axis=0)
        return np.asarray((margins[0] == 0) | (np.abs(margins[0]) <= AGREES_WITHIN * noise))


def _margin(name: str, operands: Operands, params: dict[str, Any]) -> np.ndarray:
    """Return how far each decision is from falling otherwise; NaN where the operands are not finite."""
    with np.errstate(all="ignore"):
        if name in COMPARISONS:
            one, other = operands
            return np.asarray(np.where(one == other, 0, np.abs(np.subtract(one, other))))
        (x,) = operands
        if name in EXTREMES:
            return np.asarray(x - EXTREMES[name](x, axis=params["axes"][0], keepdims=True))
        return np.asarray(x - STEPS_AT[name](x))


def beside(
    name: str, operation: Callable[..., Any], lanes: Sequence[Operands], moved: Operands, here: Operands,
    params: dict[str, Any],
) -> Any:  # fmt: skip
    """Return an operation's result at a point, with its ties broken as they fall next to the point.

    Args:
        name: the primitive.
        operation: computes it.
        lanes: its operands at the point, first as they are, then as other roundings might leave them.
        moved: its operands next to the point.
        here: its operands at the point, after the decisions that were taken before this one.
        params: its parameters.
    """
    tied = ties(name, lanes, params)
    if name in EXTREMES:
        worst = -np.inf if name == "argmax" else np.inf
        return operation(np.where(tied, moved[0], worst), **params)
    return np.where(tied, operation(*moved, **params), operation(*here, **params))


def sorted_beside(keys: Sequence[Any], moved: Any) -> np.ndarray:
    """Return the order along the last axis at a point, ties broken as they fall next to the point.

    Args:
        keys: the keys at the point, first as they are, then as other roundings might leave them.
        moved: the keys next to the point.
    """
    order = np.argsort(keys[0], axis=-1, kind="stable")
    rows = [np.take_along_axis(np.asarray(key), order, -1) for key in keys]
    gaps = [np.diff(row, axis=-1) for row in rows]
    with np.errstate(all="ignore"):
        noise = np.max([np.abs(gap - gaps[0]) for gap in gaps], axis=0)
        apart = ~((gaps[0] == 0) | (gaps[0] <= AGREES_WITHIN * noise))
    groups = np.concatenate([np.zeros((*apart.shape[:-1], 1), int), np.cumsum(apart, -1)], -1)
    group_of = np.empty_like(groups)
    np.put_along_axis(group_of, order, groups, -1)
    return np.lexsort((np.asarray(moved), group_of), axis=-1)
