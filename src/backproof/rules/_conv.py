r"""The convolution z[i, k] = Σ_{p,c} x̃[i · stride + p · dilation, c] W[p, c, k] + b[k], channels last.

x̃ is x with zeros around it; i and p are pairs of indices for images, single ones for sequences. As everywhere
in deep learning W is not turned, so this is a cross-correlation.

Backward, from δz = ∂L/∂z, with δ̂ = δz spread out by stride − 1 zeros between its entries:
    ∂L/∂W[p, c, k] = Σ_i x̃[i · stride + p · dilation, c] δz[i, k]: x̃ convolved with δ̂, the batch as channels;
    ∂L/∂b = Σ_i δz[i]; both summed over the batch;
    δx = δ̂ convolved with W turned by 180°, its input and output channels exchanged (within each group).
The last convolution has the dilation of the first. Along an axis of n entries, padded by (l, h), with windows
of span s and D entries of δ̂, it is padded by (s − 1 − l, n + l − D), which may be negative: entries of δ̂ are
then left out. Kept is x, which only ∂L/∂W needs.

With `groups`, the channels of x and those of z are divided into that many blocks in order, and each block of
z sees its own block of x.
Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285 (the
paper was not at hand; the formulas are derived in `docs/catalogue/linear_maps.py`).
Slips that people make: W is not turned; the padding of the forward pass is used in the backward pass again.
"""

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import Specification, array
from backproof.errors import UsageError, message
from backproof.rule import Rule, parameter_dtype, require_floating, require_shape, require_whole_number
from backproof.rules._affine import INIT
from backproof.rules._windows import Windows, as_batch, require_images, windows

Params = dict[str, Array]
Padding = Literal["SAME", "VALID"] | Sequence[Sequence[int]]


def conv1d(
    features: int, kernel: int, stride: int = 1, padding: Padding = "SAME", dilation: int = 1, groups: int = 1
) -> Rule:
    """Return the convolution of sequences `(*batch, n, c)` to `(*batch, m, features)`; see `conv2d`."""
    return _conv(1, features, kernel, stride, padding, dilation, groups)


def conv2d(
    features: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Rule:
    """Return the convolution of images `(*batch, h, w, c)` to `(*batch, h', w', features)`, channels last.

    Its parameters are `{"W": (kh, kw, c / groups, features), "b": (features,)}`; W starts from He's normal
    distribution (variance 2 / (kh kw c / groups)), b from zero. There may be any number of batch axes.

    Args:
        features: the number of output channels.
        kernel: the sides of the kernel; a number counts for both axes, here and below.
        stride: the distances from one window to the next.
        padding: "SAME" for ⌈h / stride⌉ windows along h, "VALID" for none but whole windows, or two pairs:
            the numbers of zeros before and after each axis.
        dilation: the distances from one entry of a window to the next.
        groups: the number of blocks of channels that do not see one another; it divides c and `features`.

    Raises:
        UsageError: a number is not a positive whole one, or what is given does not fit.
    """
    return _conv(2, features, kernel, stride, padding, dilation, groups)


def _conv(
    rank: int, features: int, kernel: object, stride: object, padding: object, dilation: object, groups: int
) -> Rule:
    where = f"conv{rank}d"
    features = require_whole_number(features, "features", where)
    groups = require_whole_number(groups, "groups", where)
    _require_divisor(groups, features, "features", where)
    seen = windows(rank, kernel, stride, padding, dilation, where)
    name = f"{where}({features}, {seen.settings()}{f', groups={groups}' if groups > 1 else ''})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_images(x, rank, name)
        *batch, c = x.shape[: -rank - 1] + x.shape[-1:]
        _require_divisor(groups, c, "c", name)
        dtype, shape = parameter_dtype(x), (*seen.sides, c // groups, features)
        W = jax.random.normal(key, shape, dtype) * (2 / max(math.prod(shape[:-1]), 1)) ** 0.5
        counts = seen.counts(x.shape[-rank - 1 : -1])
        return {"W": W, "b": jnp.zeros(features, dtype)}, jax.ShapeDtypeStruct(
            (*batch, *counts, features), dtype
        )

    def forward(params: Params, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        require_images(x, rank, name)
        _require_params(params, (*seen.sides, x.shape[-1] // groups, features), name)
        images = as_batch(x, rank)
        z = convolved(images, params["W"].astype(x.dtype), seen, groups)
        z = z + jnp.broadcast_to(params["b"].astype(x.dtype), z.shape)
        return z.reshape(*x.shape[: -rank - 1], *z.shape[1:]), x

    def backward(
        params: Params, x: Float[Array, "..."], delta_z: Float[Array, "..."]
    ) -> tuple[Params, Float[Array, "..."]]:
        sizes, W = x.shape[-rank - 1 : -1], params["W"]
        expected = (*x.shape[: -rank - 1], *seen.counts(sizes), features)
        require_shape(delta_z, expected, name, "delta_z", "pass ∂L/∂z, one entry for each entry of z")
        images, delta = as_batch(x, rank), as_batch(delta_z, rank)
        grads = {
            "W": kernel_gradient(images, delta, W, seen, groups),
            "b": delta.sum(axis=tuple(range(rank + 1)), dtype=params["b"].dtype),
        }
        return grads, transposed(delta, W.astype(delta.dtype), seen, groups, sizes).reshape(x.shape)

    return Rule(name, init, forward, backward, _domain(seen, groups))


def convolved(images: Array, W: Array, seen: Windows, groups: int) -> Array:
    """Return Σ_{p,c} x̃[i · stride + p · dilation, c] W[p, c, k], one batch axis first."""
    return lax.conv_general_dilated(
        images,
        W,
        seen.strides,
        seen.pads(images.shape[1:-1]),
        rhs_dilation=seen.dilation,
        dimension_numbers=_last(len(seen.sides)),
        feature_group_count=groups,
    )


def transposed(delta: Array, W: Array, seen: Windows, groups: int, sizes: Sequence[int]) -> Array:
    """Return δx for images of these sizes: δ̂ convolved with W turned, its channels exchanged."""
    rank = len(sizes)
    *sides, inner, features = W.shape
    if 0 in delta.shape:
        return jnp.zeros((len(delta), *sizes, groups * inner), delta.dtype)
    turned = jnp.flip(W, axis=tuple(range(rank))).reshape(*sides, inner, groups, features // groups)
    exchanged = jnp.moveaxis(turned, rank, -1).swapaxes(rank, rank + 1)
    spread = _spread(delta, seen)
    padding = [
        (s - 1 - low, n + low - D)
        for n, s, (low, _), D in zip(sizes, seen.spans, seen.pads(sizes), spread, strict=True)
    ]
    return lax.conv_general_dilated(
        delta,
        exchanged.reshape(*sides, features // groups, groups * inner),
        (1,) * rank,
        padding,
        lhs_dilation=seen.strides,
        rhs_dilation=seen.dilation,
        dimension_numbers=_last(rank),
        feature_group_count=groups,
    )


def kernel_gradient(images: Array, delta: Array, W: Array, seen: Windows, groups: int) -> Array:
    """Return ∂L/∂W, in the dtype of W: x̃ convolved with δ̂, where the batch takes the part of channels.

    The axes are exchanged by hand, although a convolution may be given its axes in any order: inside a loop
    the CPU compiler of jax 0.10 runs only this order fast, the other one a hundred times slower.
    """
    batch, *sizes, channels = images.shape
    if 0 in delta.shape:  # no window, or no image: a convolution may have no empty axis
        return jnp.zeros_like(W)
    rank, inner = len(sizes), channels // groups
    padding = [
        (low, s - 1 + D - n - low)
        for n, s, (low, _), D in zip(sizes, seen.spans, seen.pads(sizes), _spread(delta, seen), strict=True)
    ]
    blocks = images.reshape(batch, *sizes, groups, inner)
    exchanged = jnp.moveaxis(blocks, (-1, 0), (0, -1)).reshape(inner, *sizes, groups * batch)
    grad_W = lax.conv_general_dilated(
        exchanged,
        jnp.moveaxis(delta, 0, -2),
        seen.dilation,
        padding,
        rhs_dilation=seen.strides,
        dimension_numbers=_last(rank),
        feature_group_count=groups,
        preferred_element_type=max(W.dtype, images.dtype, key=lambda dtype: dtype.itemsize),
    )
    return jnp.moveaxis(grad_W, 0, -2).astype(W.dtype)


def _spread(delta: Array, seen: Windows) -> tuple[int, ...]:
    """Return the sizes of δ̂: with stride − 1 zeros between the entries of δz."""
    counts = delta.shape[1:-1]
    return tuple(max((m - 1) * stride + 1, 0) for m, stride in zip(counts, seen.strides, strict=True))


def _last(rank: int) -> lax.ConvDimensionNumbers:
    """Return the layout with channels last, and the kernel's input channels before its output channels."""
    inner = tuple(range(1, rank + 1))
    return lax.ConvDimensionNumbers(
        (0, rank + 1, *inner), (rank + 1, rank, *range(rank)), (0, rank + 1, *inner)
    )


def _domain(seen: Windows, groups: int) -> Specification:
    names = ("n",) if len(seen.sides) == 1 else ("h", "w")
    axes = " ".join(f"{name}>={least}" for name, least in zip(names, seen.least(), strict=True))
    return array(f"*batch {axes} " + ("c>=1" if groups == 1 else f"{groups}*c>={groups}"))


def _require_divisor(groups: int, number: int, name: str, where: str) -> None:
    if number % groups:
        raise UsageError(
            message(
                must=f"groups must divide {name}",
                found=f"groups={groups}, {name}={number}",
                where=where,
                do="choose numbers that fit, e.g. groups=1",
            )
        )


def _require_params(params: Params, shape: tuple[int, ...], where: str) -> None:
    for leaf, expected in (("W", shape), ("b", shape[-1:])):
        require_floating(params[leaf], where, leaf)
        require_shape(params[leaf], expected, where, leaf, INIT)
