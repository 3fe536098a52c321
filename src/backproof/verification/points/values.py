"""The numbers at which gradients go wrong, made in NumPy from a seed.

`members.py` moves them into the declared domain.
They are plain numbers, small halves and whole numbers (ties, zeros, kinks), signed zeros, numbers whose
exponentials overflow, tiny and huge ones, numbers close to one another, leaves of different scales,
structured matrices, arguments that tie with each other, and the edges of the domain.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Kind = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def plain(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normal numbers."""
    return rng.standard_normal(shape)


def grid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw small whole and half numbers: ties, zeros and points on kinks."""
    return rng.integers(-4, 5, shape) / 2


def _nothing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([0.0, -0.0]) * np.ones(shape)


def _whole_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-9, 10, shape).astype(np.float64)


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw numbers half of which are 0 or −0."""
    return np.where(rng.random(shape) < 0.5, rng.choice([0.0, -0.0], shape), rng.standard_normal(shape))


def _tied(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, rng.standard_normal())


def _large(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-60, 60, shape)


def _overflowing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-1000, 1000, shape)


def _tiny(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-12, -3)


def _huge(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(3, 6, shape)


def _mixed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-4, 4, shape)


def _near(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw numbers close to one another: a difference of them, or a variance, has few digits."""
    return rng.standard_normal() * (1 + rng.standard_normal(shape) * 10.0 ** rng.uniform(-6, -2))


def _structured(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw matrices with structure: scaled, with equal eigenvalues, symmetric, of rank one, permuted."""
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return grid(rng, shape)
    n, one = shape[-1], np.eye(shape[-1])
    row = grid(rng, (n,))
    half = grid(rng, (n, n))
    kinds = (rng.integers(1, 4) * one, one * row, half + half.T, np.outer(row, row), one[rng.permutation(n)])
    return np.broadcast_to(kinds[rng.integers(len(kinds))], shape).astype(np.float64)


def beside(constants: tuple[float, ...]) -> Kind:
    """Return a kind of numbers at, next to and on both sides of constants."""

    def kind(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        chosen = rng.choice(constants, shape) * rng.choice([1.0, -1.0], shape, p=[0.75, 0.25])
        values = chosen * rng.choice([1.0, 1.0, 0.5, 2.0, 1 + 1e-6, 1 - 1e-6], shape)
        # a case that holds at one number only is met if every constant stands somewhere as it is
        exact = rng.permutation([sign * constant for constant in constants for sign in (1.0, -1.0)])
        places = rng.permutation(values.size)[: (values.size + 1) // 2]
        values.flat[places] = np.resize(exact, places.size)
        return values

    return kind


def as_long_as(constant: float) -> Kind:
    """Return a kind of numbers whose Euclidean norm is half of a constant."""

    def kind(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape)
        return values * (constant / 2 / max(float(np.sqrt(np.sum(values**2))), 1e-300))

    return kind


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw numbers whose sums only grow, so that a short accumulator saturates."""
    return rng.uniform(0.5, 1.5, shape)


KINDS = (
    plain,
    grid,
    zeros,
    _tied,
    _large,
    _overflowing,
    _tiny,
    _huge,
    _mixed,
    _near,
    _structured,
    _whole_numbers,
    _nothing,
)


class Style(NamedTuple):
    """Says how the numbers of one draw are made.

    Attributes:
        kind: the kind of every leaf, or None where each leaf has one of its own.
        twins: whether leaves of one shape get the same numbers, so that arguments tie.
        edges: whether a tenth of the numbers, and one at least, lie on the bounds of the domain.
        ordinary: whether what only some draws should meet is left out: infinities that `also=` admits, and
            integers that differ from those of an example.
        integers: whole numbers that half of the entries of an argument of whole numbers take, within its
        bounds.
    """

    kind: Kind | None
    twins: bool = False
    edges: bool = False
    ordinary: bool = False
    integers: tuple[int, ...] = ()

    def numbers(self, seed: int, place: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return the float64 numbers of leaf number `place`."""
        rng = np.random.default_rng([seed, 0 if self.twins else place])
        kind = self.kind or KINDS[int(rng.integers(len(KINDS)))]
        return np.asarray(kind(rng, shape))


STYLES = (
    Style(plain),
    *(Style(kind) for kind in KINDS),
    Style(plain, edges=True),
    Style(None),
    Style(None, edges=True),
    Style(grid, twins=True),
    Style(plain, twins=True),
    Style(_huge, twins=True),
    Style(_near, twins=True),
)
# Numbers for statements about the reals: none overflows an exponential or cancels its digits.
MODERATE = (
    Style(plain),
    Style(grid),
    Style(plain),
    Style(zeros),
    Style(plain, edges=True),
    Style(_tied),
    Style(plain, twins=True),
    Style(_tiny),
    Style(grid, twins=True),
)
