"""The matrix-multiplication limit: how fast this device does the products of a step and nothing else.

The products are those that `grid` counts, one after another as in a step, without biases and activations.
Batches are stored by rows or by columns, and products sum over either axis of the weights, whichever proved
fastest here. The weights are read in that order in both passes, although a real step has to read them
transposed in one of the passes. A network that is a loop over its layers is a loop here too.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from backproof.benchmark.grid import Size
from backproof.benchmark.problem import normal
from backproof.benchmark.timing import interleaved
from backproof.rule import PyTree

Weights = Float[Array, "n n"]


class Layout(NamedTuple):
    """Says how matrices are stored.

    Attributes:
        by_rows: whether a batch is (b, n), with one sample per row; else it is (n, b).
        summed: the axis of W over which a product with a batch sums.
    """

    by_rows: bool
    summed: int


LAYOUTS = tuple(Layout(*choice) for choice in itertools.product((True, False), (0, 1)))


def best_layout(width: int, batch: int, dtype: str, seconds: float) -> Layout:
    """Return the layout in which a layer's three products are fastest here, timed for `seconds`."""
    numbers, runs = np.random.default_rng(2), []
    W = normal(numbers, (width, width), dtype)
    for layout in LAYOUTS:
        a = _batch(numbers, width, batch, dtype, layout)
        for product, args in ((_by_weights, (a, W)), (_gradient, (a, a))):
            runs.append(partial(jax.jit(partial(product, layout=layout)), *args))
    least = [min(taken) for taken in interleaved(runs, seconds)]  # what the device can do, undisturbed
    layers = [2 * by_weights + grad for by_weights, grad in zip(least[::2], least[1::2], strict=True)]
    return LAYOUTS[layers.index(min(layers))]


def limit(size: Size, layout: Layout) -> Callable[[], PyTree]:
    """Return a function that runs the products of one step on `size`; its first call compiles it."""
    numbers = np.random.default_rng(1)
    x = _batch(numbers, size.width, size.batch, size.dtype, layout)
    scale, square = size.width**-0.5, (size.width, size.width)
    if size.is_loop:
        stacked = normal(numbers, (size.depth, *square), size.dtype, scale)
        return partial(jax.jit(partial(_looped, layout)), stacked, x)
    weights = [normal(numbers, square, size.dtype, scale) for _ in range(size.depth)]
    return partial(jax.jit(partial(_unrolled, layout)), weights, x)


def _unrolled(layout: Layout, weights: Sequence[Weights], x: Array) -> PyTree:
    activations = [x]
    for W in weights:
        activations.append(_by_weights(activations[-1], W, layout))
    delta, *below = activations[::-1]
    grads = []
    for W, a in zip(weights[:0:-1], below, strict=False):
        grads.append(_gradient(delta, a, layout))
        delta = _by_weights(delta, W, layout)
    return [*grads, _gradient(delta, x, layout)]  # the error of the input is not needed


def _looped(layout: Layout, weights: Float[Array, "L n n"], x: Array) -> PyTree:
    def step(delta: Array, kept: tuple[Weights, Array]) -> tuple[Array, Array]:
        W, a = kept
        return _by_weights(delta, W, layout), _gradient(delta, a, layout)

    delta, activations = lax.scan(lambda a, W: (_by_weights(a, W, layout), a), x, weights)
    return lax.scan(step, delta, (weights, activations), reverse=True)[1]


def _by_weights(a: Array, W: Weights, layout: Layout) -> Array:
    """Return the product of a batch with W, stored as the batch is."""
    if layout.by_rows:
        return lax.dot_general(a, W, (((1,), (layout.summed,)), ((), ())))
    return lax.dot_general(W, a, (((layout.summed,), (0,)), ((), ())))


def _gradient(delta: Array, a: Array, layout: Layout) -> Weights:
    """Return δ aᵀ, summed over the batch."""
    batch = 0 if layout.by_rows else 1
    return lax.dot_general(delta, a, (((batch,), (batch,)), ((), ())))


def _batch(numbers: np.random.Generator, width: int, batch: int, dtype: str, layout: Layout) -> Array:
    return normal(numbers, (batch, width) if layout.by_rows else (width, batch), dtype)
