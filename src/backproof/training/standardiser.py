"""The standardiser, which gives inputs mean 0 and deviation 1.

Its shift and scale come from the training part alone, and are kept with the model.

The reason for it (S3.18): ∂L/∂W^1 = Σ δ^1 (a^0)ᵀ, so that with an input c times as large, a descent step
changes z^1 c² times as much, for the same δ^1. A learning rate that suits one feature is then far too high or
too low for another. An offset that all features share acts like one such large input.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Shaped

from backproof.errors import DataError, message


class Chunked(Protocol):
    """Samples that can be read from first to last in parts that fit into memory, as a `Stream` can."""

    def inputs(self) -> Iterable[np.ndarray]:
        """Yield the inputs, not standardised, in parts with the samples along the first axis."""
        ...


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Holds two numbers for each feature of the training part, and maps every input to (x − mean) / scale.

    Attributes:
        mean: the mean of each feature.
        scale: the deviation of each feature; 1 for a constant feature, which is only shifted.
    """

    mean: Float[np.ndarray, "..."]
    scale: Float[np.ndarray, "..."]

    @staticmethod
    def fitted(x_train: Shaped[np.ndarray, "m ..."]) -> "Standardiser":
        """Return the standardiser of samples in memory, computed in float64."""
        x = np.asarray(x_train)
        deviation = x.std(axis=0, dtype=np.float64)
        constant = x.max(axis=0) == x.min(axis=0)  # exact, whereas rounding may make `deviation` > 0
        return Standardiser(x.mean(axis=0, dtype=np.float64), _scale(deviation, constant))

    @staticmethod
    def fitted_on(stream: Chunked) -> "Standardiser":
        """Return the standardiser of the inputs of `stream`, computed in float64 in one pass over them.

        The parts' counts, means and sums of squared deviations are combined (Chan, Golub and LeVeque 1979);
        this loses no digits when the mean is large compared with the deviation.

        Raises:
            DataError: the stream is empty, or one of its records cannot be used.
        """
        count, mean, squares = 0, np.float64(0), np.float64(0)
        low, high = np.float64(np.inf), np.float64(-np.inf)
        for x in stream.inputs():
            new, its_mean = len(x), x.mean(axis=0, dtype=np.float64)
            apart, both = its_mean - mean, count + new
            squares = squares + ((x - its_mean) ** 2).sum(axis=0) + apart**2 * (count * new / both)
            mean, count = mean + apart * (new / both), both
            low, high = np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0))
        if count == 0:
            raise DataError(
                message(
                    must="there must be at least one sample", found="0", where="stream", do="pass some data"
                )
            )
        return Standardiser(np.asarray(mean), _scale(np.sqrt(squares / count), low == high))

    def apply(self, x: Shaped[np.ndarray, "m ..."]) -> Float[np.ndarray, "m ..."]:
        """Return `x` shifted and scaled, as float32.

        Raises:
            DataError: the samples differ in shape from those to which the standardiser was fitted.
        """
        if np.shape(x)[1:] != self.mean.shape:
            raise DataError(
                message(
                    must=f"a sample must have the shape {self.mean.shape} of the fitted samples",
                    found=f"x.shape={np.shape(x)}",
                    where="standardise",
                    do="prepare the inputs as those of the training part",
                )
            )
        return ((np.asarray(x) - self.mean) / self.scale).astype(np.float32)

    def undo(self, x: Float[np.ndarray, "m ..."]) -> Float[np.ndarray, "m ..."]:
        """Return what was standardised as it was before, as float64."""
        return np.asarray(x, np.float64) * self.scale + self.mean

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return both arrays by the names under which a file holds them."""
        return {f"{prefix}mean": self.mean, f"{prefix}scale": self.scale}

    @staticmethod
    def among(arrays: Mapping[str, np.ndarray], prefix: str = "") -> "Standardiser | None":
        """Return the standardiser that a file holds; None if it holds none."""
        names = f"{prefix}mean", f"{prefix}scale"
        return Standardiser(*(arrays[name] for name in names)) if names[0] in arrays else None


def _scale(deviation: np.ndarray, constant: np.ndarray) -> np.ndarray:
    return np.where(constant | (deviation == 0), 1.0, deviation)
