"""The numbers at which gradients go wrong, made in NumPy from a seed and moved into the declared domain.

They are plain numbers, small halves and whole numbers (ties, zeros, kinks), signed zeros, numbers whose
exponentials overflow, tiny and huge ones, numbers close to one another, leaves of different scales,
structured matrices, arguments that tie with each other, and the edges of the domain.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from backproof.arguments import Dims, Specification, evaluate, shape_of
from backproof.errors import UsageError, message
from backproof.numerics.leaves import is_complex, is_inexact

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
        factor = rng.choice([1.0, 1.0, 0.5, 2.0, 1 + 1e-6, 1 - 1e-6], shape)
        return chosen * factor

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


class NoSuchNumberError(Exception):
    """Raised when no number satisfies the bounds at these sizes, e.g. an index into no rows."""


class Style(NamedTuple):
    """Says how the numbers of one draw are made.

    Attributes:
        kind: the kind of every leaf, or None where each leaf has one of its own.
        twins: whether leaves of one shape get the same numbers, so that arguments tie.
        edges: whether a tenth of the numbers, and one at least, lie on the bounds of the domain.
    """

    kind: Kind | None
    twins: bool = False
    edges: bool = False

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


class Holder:
    """Stands for one argument until its numbers are made: a specification at given sizes, or an example."""

    def __init__(self, stated: Any, dims: Dims) -> None:
        """Hold `stated` (a specification or an example) at the sizes `dims`."""
        self.stated, self.dims = stated, dims
        if is_specification(stated):
            self.shape, self.dtype = shape_of(stated, dims), jnp.dtype(stated.dtype)
        else:
            self.shape, self.dtype = np.shape(stated), jnp.result_type(stated)


def is_specification(node: Any) -> bool:
    """Return whether a node of the arguments is a specification."""
    return isinstance(node, Specification)


def made(leaf: Any, style: Style, seed: int, place: int) -> Any:
    """Return the numbers of one leaf: in the drawn style, moved into the declared domain."""
    spec: Any = leaf.stated if isinstance(leaf, Holder) else None
    rng = np.random.default_rng([seed, 0 if style.twins else place, 2])
    if spec is not None and not is_specification(spec):
        varied = is_inexact(leaf) and seed % 8
        return _numbers(leaf, style, seed, place) if varied else spec
    if spec is not None and spec.dtype == "bool":
        return rng.random(leaf.shape) < 0.5
    if spec is None or spec.is_differentiable:
        values = _numbers(leaf, style, seed, place)
        bounded = spec is not None and not (spec.low is None and spec.high is None) and spec.is_floating
        return _inside(values, leaf.stated, leaf.dims, style.edges, rng) if bounded else values
    return _whole(spec, leaf, rng, style.edges)


def _numbers(leaf: Any, style: Style, seed: int, place: int) -> np.ndarray:
    values = style.numbers(seed, place, leaf.shape)
    if is_complex(leaf):
        values = values + 1j * style.numbers(seed, place + 1000, leaf.shape)
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(leaf.dtype))


def _whole(spec: Specification, leaf: Any, rng: Any, edges: bool) -> np.ndarray:
    low, high = _bounds(spec, leaf.dims)
    least = -4 if low is None else int(np.floor(low)) + spec.low_open
    most = least + 8 if high is None else int(np.ceil(high)) - spec.high_open
    if most < least and np.prod(leaf.shape, dtype=int):
        raise NoSuchNumberError
    values = rng.integers(least, max(most, least) + 1, leaf.shape)
    if edges:  # a bound often has a meaning of its own, such as a row to be ignored
        values = np.where(rng.random(leaf.shape) < 0.5, rng.choice([least, most], leaf.shape), values)
    return values.astype(leaf.dtype)


def within(spec: Specification, value: Any, dims: Dims) -> bool:
    """Return whether every element of `value` respects the bounds of `spec`."""
    if not (spec.is_floating and np.size(value)):
        return True
    low, high = evaluate(spec.low, dims), evaluate(spec.high, dims)
    least, most = float(np.min(value)), float(np.max(value))
    above = low is None or (least > low if spec.low_open else least >= np.asarray(low, spec.dtype))
    below = high is None or (most < high if spec.high_open else most <= np.asarray(high, spec.dtype))
    return bool(above and below)


def _bounds(spec: Specification, dims: Dims) -> tuple[Any, Any]:
    try:
        return evaluate(spec.low, dims), evaluate(spec.high, dims)
    except UsageError as error:
        raise NoSuchNumberError from error  # a bound `100//n` where n is 0


def _spread(values: np.ndarray, least: Any, most: Any, rng: Any) -> np.ndarray:
    """Return `values`, in one draw out of four with magnitudes of every order up to the larger bound."""
    bound = max(abs(float(least)), abs(float(most)))
    if not (np.isfinite(bound) and bound > 0 and rng.random() < 0.25):
        return values
    largest = np.log10(bound)
    orders = 10.0 ** rng.uniform(min(-3, largest - 3), largest, values.shape)
    return np.where(values < 0, -orders, orders).astype(values.dtype)


def _inside(values: np.ndarray, spec: Specification, dims: Dims, edges: bool, rng: Any) -> np.ndarray:
    """Return `values` with those outside the bounds replaced by ones inside; some on them if `edges`."""
    dtype = values.dtype
    low, high = _bounds(spec, dims)
    least = dtype.type(-np.inf if low is None else low)
    most = dtype.type(np.inf if high is None else high)
    least = np.nextafter(least, most) if spec.low_open else least
    most = np.nextafter(most, least) if spec.high_open else most
    if not least <= most and (isinstance(spec.low, str) or isinstance(spec.high, str)):
        raise NoSuchNumberError  # the bounds depend on the sizes, and exclude everything at these
    if not least <= most:
        raise UsageError(
            message(
                must="low must not exceed high",
                found=f"low={low}, high={high}",
                where=str(spec),
                do="exchange the bounds",
            )
        )
    values = _spread(values, least, most, rng)
    begin = float(least) if np.isfinite(least) else float(most) - 10
    end = float(most) if np.isfinite(most) else float(least) + 10
    inside = rng.uniform(begin, end, values.shape).astype(dtype)
    values = np.where((values < least) | (values > most), inside, values)
    on_edge = np.asarray(edges & (rng.random(values.shape) < 0.1))
    finite = np.asarray([edge for edge in (least, most) if np.isfinite(edge)], dtype)
    edge = finite[rng.integers(len(finite), size=values.shape)]
    if edges and values.size:  # one at least, since few small draws would touch one by chance
        on_edge.flat[rng.integers(values.size)] = True
    # NumPy clips a dtype that is not its own, such as bfloat16, as float32
    return np.clip(np.where(on_edge, edge, values), least, most).astype(dtype)
