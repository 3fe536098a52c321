r"""Where windows lie along the axes of an image: sides, strides, dilation and padding.

A window of side k, whose entries lie d apart, spans s = (k − 1) d + 1 entries. On an axis of n entries with l
entries before and h after it, windows that start every `stride` entries fit (n + l + h − s) // stride + 1
times, if they fit at all.
"SAME" pads so that ⌈n / stride⌉ windows fit, the smaller half before the axis; "VALID" does not pad.
Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285 (the
paper was not at hand; the formulas are compared with those of `jax.lax` in `tests/rules/test_windows.py`).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Array

from backproof.errors import UsageError, message
from backproof.rule import PyTree, require_floating, require_whole_number

Pairs = tuple[tuple[int, int], ...]


class Windows(NamedTuple):
    """Holds the windows of one rule; each field has an entry for each axis of the image.

    Attributes:
        sides: the numbers of entries of a window.
        strides: the distances from one window to the next.
        padding: "SAME", "VALID", or the numbers of entries that are added before and after each axis.
        dilation: the distances from one entry of a window to the next.
    """

    sides: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str | Pairs
    dilation: tuple[int, ...]

    @property
    def spans(self) -> tuple[int, ...]:
        """The lengths from the first to the last entry of a window, both included."""
        return tuple((side - 1) * step + 1 for side, step in zip(self.sides, self.dilation, strict=True))

    def pads(self, sizes: Sequence[int]) -> Pairs:
        """Return what is added before and after each axis of an image of these sizes."""
        if isinstance(self.padding, tuple):
            return self.padding
        if self.padding == "VALID":
            return ((0, 0),) * len(self.sides)
        fitting = [-(-n // stride) for n, stride in zip(sizes, self.strides, strict=True)]
        missing = [
            max((count - 1) * stride + span - n, 0)
            for n, count, stride, span in zip(sizes, fitting, self.strides, self.spans, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in missing)

    def counts(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return how many windows fit along each axis of an image of these sizes."""
        padded = [n + low + high for n, (low, high) in zip(sizes, self.pads(sizes), strict=True)]
        return tuple(
            max((n - span) // stride + 1, 0)
            for n, span, stride in zip(padded, self.spans, self.strides, strict=True)
        )

    def least(self) -> tuple[int, ...]:
        """Return the least size of each axis at which a window fits."""
        if isinstance(self.padding, str):
            return self.spans if self.padding == "VALID" else (1,) * len(self.sides)
        return tuple(max(s - sum(pair), 1) for s, pair in zip(self.spans, self.padding, strict=True))

    def settings(self) -> str:
        """Return the sides, and strides and dilation other than 1, as a call would write them."""
        stride, dilation = (
            f", {name}={_plain(steps)}" if set(steps) != {1} else ""
            for name, steps in (("stride", self.strides), ("dilation", self.dilation))
        )
        return f"{_plain(self.sides)}{stride}, padding={self.padding!r}{dilation}"


def _plain(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else str(numbers)


def windows(
    rank: int, sides: object, stride: object, padding: object, dilation: object, where: str
) -> Windows:
    """Return the windows with these settings on images of `rank` axes; a number counts for every axis.

    Raises:
        UsageError: a setting is neither a positive whole number nor one for each axis, or the padding is
            neither "SAME" nor "VALID" nor a pair of whole numbers ≥ 0 for each axis.
    """
    return Windows(
        for_each_axis(sides, rank, "the window", where),
        for_each_axis(stride, rank, "stride", where),
        _padding(padding, rank, where),
        for_each_axis(dilation, rank, "dilation", where),
    )


def for_each_axis(value: object, rank: int, name: str, where: str) -> tuple[int, ...]:
    """Return `rank` positive whole numbers: those given, or `rank` times the one given."""
    if isinstance(value, tuple | list):
        if len(value) != rank:
            raise UsageError(
                message(
                    must=f"{name} must be a whole number, or one for each of {rank} axes",
                    found=repr(value),
                    where=where,
                    do="pass that many",
                )
            )
        return tuple(require_whole_number(one, name, where) for one in value)
    return (require_whole_number(value, name, where),) * rank


def _padding(padding: object, rank: int, where: str) -> str | Pairs:
    if isinstance(padding, str) and padding in ("SAME", "VALID"):
        return padding
    pairs = padding if isinstance(padding, tuple | list) else ()
    if len(pairs) != rank or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise UsageError(
            message(
                must=f'padding must be "SAME", "VALID" or a pair of numbers for each of {rank} axes',
                found=f"padding={padding!r}",
                where=where,
                do=f"write it as in padding={((1, 1),) * rank}",
            )
        )
    return tuple(
        (require_whole_number(low, "padding", where, 0), require_whole_number(high, "padding", where, 0))
        for low, high in pairs
    )


def require_images(x: PyTree, rank: int, where: str) -> None:
    """Raise `UsageError` unless `x` is one floating array with `rank` axes and channels behind them."""
    require_floating(x, where)
    if not hasattr(x, "shape") or len(x.shape) < rank + 1:
        raise UsageError(
            message(
                must=f"the input must be one array of shape (*batch, {'h, w' if rank == 2 else 'n'}, c)",
                found=f"x of shape {getattr(x, 'shape', type(x).__name__)}",
                where=where,
                do="add an axis of channels, e.g. x[..., None]",
            )
        )


def as_batch(x: Array, rank: int) -> Array:
    """Return the same images with one batch axis."""
    axis = x.ndim - rank - 1
    return x.reshape(math.prod(x.shape[:axis]), *x.shape[axis:])
