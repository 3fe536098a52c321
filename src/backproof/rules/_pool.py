r"""Pooling, channels last: the largest entry of each window, y[i] = max_p x[i · stride + p], or their mean.

Windows of an image are rows of rows, so that it is pooled along w, and the result along h: a window of
k × k costs 2 k comparisons and not k².

Backward of the maximum, from δy = ∂L/∂y:   δx[j] = Σ of δy[i] over the windows i whose maximum x[j] is.
If several entries of a window are the largest, the first of them, row by row, takes all of δy[i]; JAX chooses
so, too, where it differentiates its own pooling. Kept is the place of the maximum in each window, one byte
for each entry of y (and of what is pooled along w alone), and not x: nothing is compared again.

Backward of the mean:   δx[j] = Σ of δy[i] / count[i] over the windows i that hold j.
A window at the border counts the entries that lie inside the image, and no padding; so the mean of a constant
image is that constant. Kept is the shape of x. Sums are computed in float32 at least.

Padding is never the maximum. It must be narrower than the window, so that each window holds an entry of x.
Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, for
the windows (the paper was not at hand; the formulas are derived in `docs/catalogue/linear_maps.py`).
Slips that people make: every one of several equal maxima takes all of δy; the mean is not divided backward.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.arguments import Specification, array
from backproof.errors import UsageError, message
from backproof.rule import Rule, require_shape
from backproof.rules._flatten import shape_of
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._windows import Windows, as_batch, require_images, windows

Padding = Literal["SAME", "VALID"] | Sequence[Sequence[int]]
Init = Callable[[jax.Array, jax.ShapeDtypeStruct], tuple[tuple[()], jax.ShapeDtypeStruct]]
# The places of the maxima, along the last axis first, and the shape of x.
Kept = tuple[list[Int[Array, "..."]], Array]


def max_pool(
    window: int | tuple[int, ...], stride: int | tuple[int, ...] | None = None, padding: Padding = "VALID"
) -> Rule:
    """Return the rule that takes the largest entry of each window, channel by channel.

    Images `(*batch, h, w, c)` become `(*batch, h', w', c)`; with a window of one side, `(k,)`, sequences
    `(*batch, n, c)` become `(*batch, m, c)`. Of equal maxima the first, row by row, has slope 1, the
    others 0.

    Args:
        window: the sides of a window; a number stands for two equal sides.
        stride: the distances from one window to the next; None for windows side by side.
        padding: "VALID" for whole windows only, "SAME" for ⌈h / stride⌉ windows along h, or a pair for each
            axis: how far windows may begin before it, and end after it.

    Raises:
        UsageError: a number is not a positive whole one, or padding is as wide as the window.
    """
    seen = _windows_of("max_pool", window, stride, padding)
    name = f"max_pool({seen.settings()})"

    def forward(params: tuple[()], x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Kept]:
        y, places = as_batch(x, _rank_of(x, seen, name)), []
        for line in reversed(lines(seen, y.shape)):
            y, place = largest(y, line)
            places.append(place)
        return y.reshape(_pooled(x, seen, name).shape), (places, shape_of(x))

    def backward(
        params: tuple[()], kept: Kept, delta_y: Float[Array, "..."]
    ) -> tuple[tuple[()], Float[Array, "..."]]:
        places, x = kept
        delta = _delta(delta_y, x, seen, name)
        for line, place in zip(lines(seen, _batched(x, seen)), reversed(places), strict=True):
            delta = put_back([jnp.where(place == p, delta, 0) for p in range(line.side)], line)
        return (), delta.astype(x.dtype).reshape(x.shape[1:])

    kinks = "of equal maxima the first takes all"
    return Rule(name, _init_for(seen, name), forward, backward, _domain(seen), kinks)


def average_pool(
    window: int | tuple[int, ...], stride: int | tuple[int, ...] | None = None, padding: Padding = "VALID"
) -> Rule:
    """Return the rule that takes the mean of each window, channel by channel.

    The arguments are those of `max_pool`. The mean is that of the entries inside the image: padding is not
    counted.

    Raises:
        UsageError: a number is not a positive whole one, or padding is as wide as the window.
    """
    seen = _windows_of("average_pool", window, stride, padding)
    name = f"average_pool({seen.settings()})"

    def forward(params: tuple[()], x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Array]:
        y = as_batch(x, _rank_of(x, seen, name)).astype(at_least_float32(x))
        for line in reversed(lines(seen, y.shape)):
            total = reduce(jnp.add, entries(y, line, 0))
            y = total / line.along(line.inside, total)
        return y.astype(x.dtype).reshape(_pooled(x, seen, name).shape), shape_of(x)

    def backward(
        params: tuple[()], x: Array, delta_y: Float[Array, "..."]
    ) -> tuple[tuple[()], Float[Array, "..."]]:
        delta = _delta(delta_y, x, seen, name)
        for line in lines(seen, _batched(x, seen)):
            share = delta / line.along(line.inside, delta)
            delta = put_back([share] * line.side, line)
        return (), delta.astype(x.dtype).reshape(x.shape[1:])

    return Rule(name, _init_for(seen, name), forward, backward, _domain(seen))


class Line(NamedTuple):
    """Holds the windows along one axis of an array.

    Attributes:
        axis: the axis.
        n: its size.
        side, step: the number of entries of a window, and the distance from one window to the next.
        low, high: what is added before and after the axis.
        fitting: the number of windows.
    """

    axis: int
    n: int
    side: int
    step: int
    low: int
    high: int
    fitting: int

    @property
    def length(self) -> int:
        """The length from the start of the first window to the start of the last, both included."""
        return max((self.fitting - 1) * self.step + 1, 0)

    @property
    def starts(self) -> np.ndarray:
        """Where each window begins; before the axis this is negative."""
        return np.arange(self.fitting) * self.step - self.low

    @property
    def inside(self) -> np.ndarray:
        """How many entries of each window lie inside."""
        return np.minimum(self.starts + self.side, self.n) - np.maximum(self.starts, 0)

    def along(self, numbers: np.ndarray, like: Array) -> Array:
        """Return a number for each window in the shape and the dtype of `like`."""
        return lax.broadcast_in_dim(jnp.asarray(numbers, like.dtype), like.shape, (self.axis,))


def lines(seen: Windows, shape: tuple[int, ...]) -> list[Line]:
    """Return the windows along each axis of images of this shape, of which the first axis is the batch."""
    sizes = shape[1:-1]
    each = zip(sizes, seen.sides, seen.strides, seen.pads(sizes), seen.counts(sizes), strict=True)
    return [Line(axis, n, side, step, *pair, m) for axis, (n, side, step, pair, m) in enumerate(each, 1)]


def entries(x: Array, line: Line, fill: float) -> Iterator[Array]:
    """Yield, for each place in a window, the entries that stand there: one for each window."""
    around = [(0, 0, 0)] * line.axis + [(line.low, line.high, 0)] + [(0, 0, 0)] * (x.ndim - line.axis - 1)
    filled = lax.pad(x, jnp.asarray(fill, x.dtype), around)
    for p in range(line.side):
        yield filled[(slice(None),) * line.axis + (slice(p, p + line.length, line.step),)]


def largest(x: Array, line: Line) -> tuple[Array, Array]:
    """Return the largest entry of each window, and its place in the window.

    A NaN counts as larger than any number. A window of −∞ alone has its maximum at its first entry inside.
    """
    each = entries(x, line, -jnp.inf)
    y = next(each)
    place = jnp.zeros(y.shape, jnp.uint8 if line.side <= 256 else jnp.int32)
    place = line.along(np.maximum(-line.starts, 0), place)
    for p, entry in enumerate(each, 1):
        larger = (entry > y) | (jnp.isnan(entry) & ~jnp.isnan(y))
        y, place = jnp.where(larger, entry, y), jnp.where(larger, jnp.asarray(p, place.dtype), place)
    return y, place


def put_back(shares: list[Array], line: Line) -> Array:
    """Return the sum of the shares, each put where its entries stood; what stood in padding is dropped.

    Args:
        shares: for each place in a window, one entry for each window.
        line: the windows.
    """

    def back(p: int, share: Array) -> Array:
        around = [(0, 0, 0)] * share.ndim
        around[line.axis] = (p - line.low, line.n + line.low - p - line.length, line.step - 1)
        return lax.pad(share, jnp.zeros((), share.dtype), around)

    return reduce(jnp.add, map(back, range(line.side), shares))


def _windows_of(kind: str, window: object, stride: object, padding: object) -> Windows:
    rank = len(window) if isinstance(window, tuple | list) else 2
    if rank not in (1, 2):
        do = "pass a number, (k,) or (kh, kw)"
        raise UsageError(message(must="a window has one side or two", found=repr(window), where=kind, do=do))
    seen = windows(rank, window, window if stride is None else stride, padding, 1, kind)
    pairs = seen.padding if isinstance(seen.padding, tuple) else ((0, 0),) * rank
    if any(max(pair) >= side for side, pair in zip(seen.sides, pairs, strict=True)):
        raise UsageError(
            message(
                must="padding must be narrower than the window",
                found=f"padding={pairs}, window={seen.sides}",
                where=kind,
                do="choose a wider window, so that each one holds an entry of x",
            )
        )
    return seen


def _init_for(seen: Windows, name: str) -> Init:
    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
        del key
        return (), _pooled(x, seen, name)

    return init


def _rank_of(x: Array | jax.ShapeDtypeStruct, seen: Windows, name: str) -> int:
    """Return the number of axes along which `x` is pooled.

    Raises:
        UsageError: it has fewer, or none for channels.
    """
    require_images(x, len(seen.sides), name)
    return len(seen.sides)


def _pooled(x: Array | jax.ShapeDtypeStruct, seen: Windows, name: str) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of y."""
    rank = _rank_of(x, seen, name)
    counts = seen.counts(x.shape[-rank - 1 : -1])
    return jax.ShapeDtypeStruct((*x.shape[: -rank - 1], *counts, x.shape[-1]), x.dtype)


def _batched(x: Array, seen: Windows) -> tuple[int, ...]:
    """Return the shape of the input with one batch axis; x is what `shape_of` returns of it."""
    return (0, *x.shape[-len(seen.sides) - 1 :])


def _delta(delta_y: Array, x: Array, seen: Windows, name: str) -> Array:
    """Return δy with one batch axis, in float32 at least; x is what `shape_of` returns of the input."""
    like = _pooled(jax.ShapeDtypeStruct(x.shape[1:], x.dtype), seen, name)
    require_shape(delta_y, like.shape, name, "delta_y", "pass ∂L/∂y, one entry for each entry of y")
    return as_batch(delta_y, len(seen.sides)).astype(at_least_float32(delta_y))


def _domain(seen: Windows) -> Specification:
    names = ("n",) if len(seen.sides) == 1 else ("h", "w")
    axes = " ".join(f"{axis}>={least}" for axis, least in zip(names, seen.least(), strict=True))
    return array(f"*batch {axes} c")
