"""The slips that are planted: each changes what a backward pass returns in one way that people get wrong.

A slip of one leaf maps the leaf g = ∂L/∂x to another array of its shape. Each is written once, for arrays of
NumPy and of JAX alike, traced ones included. Where rows or entries are singled out, the largest is taken: a
test that does not see a slip there does not see it anywhere.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

# "Wrong in 1 of 20 runs": every so many executions of the backward pass one is wrong.
RARELY = 20
EXCHANGED, COTANGENT, RARE, SCALED = (
    "exchanged",
    "cotangent ignored",
    f"wrong in 1 of {RARELY} runs",
    "scaled",
)
DROPPED = "dropped"


class Slip(NamedTuple):
    """Holds one slip to plant.

    Attributes:
        kind: its name.
        leaf: the path of the leaf that it changes; empty where it changes the whole result.
        other: the leaf that `leaf` is exchanged with.
        factor: what the leaf is multiplied by, where the kind is `scaled`.
    """

    kind: str
    leaf: str = ""
    other: str = ""
    factor: Any = 1.0


class Kind(NamedTuple):
    """Holds one way in which a leaf is wrong.

    Attributes:
        fits: whether a leaf of this shape can be changed so, and is not changed in the way of another kind.
        change: `(leaf, one) -> leaf`; `one(leaf, by_row)` is True at the row, or the entry, singled out.
    """

    fits: Callable[[tuple[int, ...]], bool]
    change: Callable[[Any, Callable[[Any, bool], Any]], Any]


def _anything(shape: tuple[int, ...]) -> bool:
    return True


def _rows(shape: tuple[int, ...]) -> bool:
    return len(shape) > 0 and shape[0] > 1


def _entries(shape: tuple[int, ...]) -> bool:
    return int(np.prod(shape)) > 1


def _square(shape: tuple[int, ...]) -> bool:
    return len(shape) > 1 and shape[-1] == shape[-2] > 1


LEAF = {
    "zero": Kind(_anything, lambda g, _: numpy_of(g).zeros_like(g)),
    "negated": Kind(_anything, lambda g, _: -g),
    "half": Kind(_anything, lambda g, _: 0.5 * g),
    "twice": Kind(_anything, lambda g, _: 2 * g),
    "times 1.01": Kind(_anything, lambda g, _: 1.01 * g),
    "transposed": Kind(_square, lambda g, _: numpy_of(g).swapaxes(g, -1, -2)),
    "row zeroed": Kind(_rows, lambda g, one: numpy_of(g).where(one(g, True), numpy_of(g).zeros_like(g), g)),
    "entry off by 1 %": Kind(_entries, lambda g, one: numpy_of(g).where(one(g, False), 1.01 * g, g)),
    "rows reversed": Kind(_rows, lambda g, _: numpy_of(g).flip(g, 0)),
}
KINDS = (*LEAF, DROPPED, EXCHANGED, COTANGENT, RARE)


def numpy_of(leaf: Any) -> Any:
    """Return the NumPy that an array belongs to: `numpy` or `jax.numpy`."""
    return np if isinstance(leaf, np.ndarray | np.generic | float | int) else jnp


def largest(leaf: Any, by_row: bool) -> Any:
    """Return a mask of the leaf's shape, True at its row, or its entry, of the largest magnitude."""
    xp = numpy_of(leaf)
    sizes = xp.abs(leaf)
    if by_row:
        rows = sizes.reshape(sizes.shape[0], -1).sum(1)
        mask = xp.arange(sizes.shape[0]) == xp.argmax(rows)
        return xp.broadcast_to(mask.reshape(-1, *[1] * (sizes.ndim - 1)), sizes.shape)
    return (xp.arange(sizes.size) == xp.argmax(sizes.reshape(-1))).reshape(sizes.shape)


def last(leaf: Any, by_row: bool) -> np.ndarray:
    """Return a mask of the leaf's shape, True at its last row or entry, whatever the numbers are.

    A tangent needs this one, because what a rule does to it must be linear.
    """
    mask = np.zeros(leaf.shape, bool)
    if by_row:
        mask[-1] = True
    else:
        mask.reshape(-1)[-1:] = True
    return mask


def slips_of(
    shapes: Mapping[str, Iterable[tuple[tuple[int, ...], Any]]], *, drops: bool, cotangent: bool
) -> list[Slip]:
    """Return the slips that can be planted in a result.

    Args:
        shapes: for each leaf of the result, by its path, the shapes and dtypes that it has in the test.
        drops: whether None may stand in the place of a leaf and mean something else than zero.
        cotangent: whether the cotangent is known among the arguments.
    """
    found = []
    for leaf, seen in shapes.items():
        sizes = [shape for shape, _ in seen]
        if any(np.prod(shape) > 0 for shape in sizes):
            found += [Slip(name, leaf) for name, kind in LEAF.items() if any(map(kind.fits, sizes))]
            found += [Slip(DROPPED, leaf)] * drops
    alike: dict[Any, str] = {}
    for leaf, seen in shapes.items():
        form = frozenset((shape, str(dtype)) for shape, dtype in seen)
        if form in alike:
            found.append(Slip(EXCHANGED, alike[form], leaf))
        alike[form] = leaf
    found += [Slip(COTANGENT)] * cotangent
    return [*found, Slip(RARE)] if shapes else []


def changed(
    slip: Slip, leaves: Mapping[str, Any], one: Callable[[Any, bool], Any] = largest
) -> dict[str, Any]:
    """Return the leaves of a result, by their paths, with the slip in them; leaves that do not fit stay."""
    found = dict(leaves)
    if slip.kind == RARE:
        return {path: slip.factor * leaf for path, leaf in leaves.items()}
    if slip.leaf not in found:
        return found
    leaf = found[slip.leaf]
    if slip.kind == EXCHANGED and slip.other in found:
        found[slip.leaf], found[slip.other] = found[slip.other], leaf
    elif slip.kind == DROPPED:
        found[slip.leaf] = None
    elif slip.kind == SCALED:
        found[slip.leaf] = slip.factor * leaf
    elif slip.kind in LEAF and LEAF[slip.kind].fits(np.shape(leaf)):
        found[slip.leaf] = LEAF[slip.kind].change(leaf, one)
    return found
