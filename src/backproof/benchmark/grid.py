"""The sizes of networks that are measured, and the counted operations and bytes of a step on each.

All layers have one width n. A step on a batch of b multiplies, in each of L layers, W a (forward), Wᵀ δ
(the error of the layer below) and δ aᵀ (the gradient): 2 b n² operations each.
"""

import itertools
from dataclasses import dataclass

import jax.numpy as jnp

from backproof.errors import UsageError, did_you_mean, message
from backproof.rule import require_whole_number

DTYPES = ("float32", "bfloat16", "float16")
# From this depth on, a network is one loop over its layers; below, each layer is written out.
LOOP_FROM = 32


@dataclass(frozen=True)
class Size:
    """Names one network and one batch.

    Attributes:
        width: n, features of every layer, of the input and of the output.
        depth: L, weight layers.
        batch: b, samples per step.
        dtype: of parameters and inputs.
    """

    width: int
    depth: int
    batch: int
    dtype: str

    @property
    def is_loop(self) -> bool:
        """Whether the layers are one `lax.scan`."""
        return self.depth >= LOOP_FROM

    @property
    def products(self) -> int:
        """How many matrix products one step needs; only a loop computes the error of the input too."""
        return 3 * self.depth - (0 if self.is_loop else 1)

    @property
    def operations(self) -> int:
        """Floating-point operations of one step's matrix products."""
        return 2 * self.batch * self.width**2 * self.products

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weight matrices."""
        return self.depth * self.width**2 * jnp.dtype(self.dtype).itemsize

    @property
    def bytes_held(self) -> int:
        """The most bytes held while this size is measured: parameters, gradients and those of the limit."""
        activations = self.depth * self.width * self.batch * jnp.dtype(self.dtype).itemsize
        return 8 * (self.weight_bytes + activations)

    def __str__(self) -> str:
        """Return the size in words."""
        return f"width {self.width}, depth {self.depth}, batch {self.batch}, {self.dtype}"


@dataclass(frozen=True)
class Grid:
    """Holds the values of each axis; every combination is a size.

    Attributes:
        widths, depths, batches: whole numbers of at least 1.
        dtypes: names among `DTYPES`.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    batches: tuple[int, ...]
    dtypes: tuple[str, ...]


QUICK = Grid((64, 512, 2048), (2, 16, 128), (1, 32), ("float32", "bfloat16"))
FULL = Grid((64, 256, 1024, 4096), (2, 10, 100, 1000), (1, 16, 256, 4096), ("float32", "bfloat16"))


def sizes(grid: Grid) -> tuple[Size, ...]:
    """Return every size of `grid`, each once, the dtypes outermost and then the small before the large.

    Raises:
        UsageError: a dtype is unknown, or a number is not a whole number of at least 1.
    """
    for name in ("widths", "depths", "batches"):
        for number in getattr(grid, name):
            require_whole_number(number, name, "bench")
    for dtype in grid.dtypes:
        _require_dtype(dtype)
    dtypes = dict.fromkeys(grid.dtypes)
    widths, depths, batches = (sorted(set(axis)) for axis in (grid.widths, grid.depths, grid.batches))
    return tuple(
        Size(n, L, b, dtype) for dtype in dtypes for n, L, b in itertools.product(widths, depths, batches)
    )


def _require_dtype(dtype: str) -> None:
    if dtype in DTYPES:
        return
    raise UsageError(
        message(
            must=f"a dtype must be one of {', '.join(DTYPES)}",
            found=f"dtype={dtype!r}",
            where="bench",
            do=did_you_mean(dtype, DTYPES),
        )
    )
