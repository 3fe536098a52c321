"""Inputs of mean 0 and deviation 1, by numbers taken from the training part alone and kept with the model.

Why (S3.18): ∂L/∂W^1 = Σ δ^1 (a^0)ᵀ, so that an input c times larger makes a descent step change z^1 by c²
more, at the same error; a rate that suits one feature is then far too high or too low for another. An offset
that all features share acts like one such large input.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Shaped

from backproof.errors import DataError, message


class Chunked(Protocol):
    """What can be read from its beginning to its end in parts that fit into memory: a `Stream`."""

    def inputs(self) -> Iterable[np.ndarray]:
        """Yield the inputs as they are, some at a time, the samples along the first axis."""
        ...


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Holds what was taken from the training part, and does the same to every input: (x − mean) / scale.

    Attributes:
        mean: of each feature.
        scale: the deviation of each feature; 1 where it is constant, so that it is only shifted.
    """

    mean: Float[np.ndarray, "..."]
    scale: Float[np.ndarray, "..."]

    @staticmethod
    def fitted(x_train: Shaped[np.ndarray, "m ..."]) -> "Standardiser":
        """Return the standardiser of samples in memory, computed in float64."""
        x = np.asarray(x_train)
        deviation = x.std(axis=0, dtype=np.float64)
        constant = x.max(axis=0) == x.min(axis=0)  # exact, where rounding gives a deviation near 0
        return Standardiser(x.mean(axis=0, dtype=np.float64), _scale(deviation, constant))

    @staticmethod
    def fitted_on(stream: Chunked) -> "Standardiser":
        """Return the standardiser of the inputs of `stream`, by one pass over it, in float64.

        Parts are joined by their counts, means and sums of squared deviations (Chan, Golub and LeVeque 1979),
        which loses no digits where the mean is large beside the deviation.

        Raises:
            DataError: the stream is empty, or a record of it cannot be used.
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
            DataError: a sample has another shape than those it was fitted to.
        """
        if np.shape(x)[1:] != self.mean.shape:
            raise DataError(
                message(
                    must=f"a sample must have the shape {self.mean.shape} of those that were fitted",
                    found=f"x.shape={np.shape(x)}",
                    where="standardise",
                    do="prepare the inputs as those of the training part were",
                )
            )
        return ((np.asarray(x) - self.mean) / self.scale).astype(np.float32)


def _scale(deviation: np.ndarray, constant: np.ndarray) -> np.ndarray:
    return np.where(constant | (deviation == 0), 1.0, deviation)
