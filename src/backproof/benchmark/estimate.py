"""Estimates, before anything is run, of which sizes would take too long or too much memory.

The time of a step is estimated as that of its matrix products at this device's measured speed, or as that of
reading its weights three times, whichever is longer; it is right within a small factor.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from backproof.benchmark.grid import Size
from backproof.benchmark.problem import normal
from backproof.benchmark.timing import interleaved, spread

# Width of the product by which a device's speed is measured.
PROBE = 512


@dataclass(frozen=True)
class Speed:
    """Holds how fast this device multiplies matrices of one dtype.

    Attributes:
        flops_per_second: operations per second in a product of square matrices.
        bytes_per_second: bytes of weights read per second in a product with one row.
    """

    flops_per_second: float
    bytes_per_second: float


@dataclass(frozen=True)
class LeftOut:
    """Holds a size that was not measured, and why."""

    size: Size
    reason: str


def speed(dtype: str, seconds: float = 0.05) -> Speed:
    """Return the speed of this device, measured for about 2 × `seconds`."""
    numbers = np.random.default_rng(3)
    weights = normal(numbers, (PROBE, PROBE), dtype)
    run = jax.jit(lambda a, W: a @ W.T)
    runs = [partial(run, weights, weights), partial(run, weights[:1], weights)]
    square, row = (spread(taken).median for taken in interleaved(runs, 2 * seconds))
    return Speed(2 * PROBE**3 / square, weights.nbytes / row)


def step_seconds(size: Size, speed: Speed) -> float:
    """Return about how many seconds one step on `size` takes."""
    return max(size.operations / speed.flops_per_second, 3 * size.weight_bytes / speed.bytes_per_second)


def feasible(
    sizes: Sequence[Size], speeds: dict[str, Speed], longest: float, memory: int | None
) -> tuple[list[Size], list[LeftOut]]:
    """Return the sizes to measure, and those left out with the reason.

    Args:
        sizes: all sizes that were asked for.
        speeds: the speed of this device for each dtype among them.
        longest: seconds; a size whose step is estimated to take longer is left out.
        memory: bytes that may be used; None if the device does not say.
    """
    kept, left_out = [], []
    for size in sizes:
        seconds = step_seconds(size, speeds[size.dtype])
        if seconds > longest:
            left_out.append(LeftOut(size, f"a step would take about {seconds:.2g} s, over {longest:g} s"))
        elif memory is not None and size.bytes_held > memory:
            needed, free = size.bytes_held / 2**30, memory / 2**30
            left_out.append(LeftOut(size, f"it needs about {needed:.3g} GiB, and {free:.3g} are free"))
        else:
            kept.append(size)
    return kept, left_out


def free_memory() -> int | None:
    """Return the bytes that this device can give; None if it does not say."""
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
