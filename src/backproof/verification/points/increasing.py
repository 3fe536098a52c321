"""Numbers that strictly increase, in a dtype that may hold few of them."""

import jax.numpy as jnp
import numpy as np

from backproof.arguments import Dims, Specification, evaluate
from backproof.errors import UsageError
from backproof.verification.points.structure import NoMemberError, Shape, Structure, is_mild
from backproof.verification.points.values import Style


def _draw(
    rng: np.random.Generator, shape: Shape, spec: Specification, dims: Dims, style: Style
) -> np.ndarray:
    """Draw sorted numbers: with gaps of one order, of many orders, all the same; touching their bounds."""
    low, high = _ends(spec, dims)
    mild, gaps = is_mild(style, rng), (*shape[:-1], shape[-1] + 1)
    way = 0 if mild else rng.integers(3)
    drawn = (rng.exponential(size=gaps), 10.0 ** rng.uniform(-3, 1, gaps), np.ones(gaps))[way]
    parts = np.cumsum(drawn, -1)
    parts = (parts / parts[..., -1:])[..., :-1]  # increasing, and inside the interval from 0 to 1
    if style.edges:  # one number alone lies at the upper end
        parts[..., :1], parts[..., -1:] = 0, 1
    span = (shape[-1] + 1) * (1.0 if mild else 10.0 ** rng.uniform(-2, 1))
    return _spread_apart(_placed(parts, low, high, span, rng).astype(jnp.dtype(spec.dtype)), spec, low, high)


def _placed(parts: np.ndarray, low: float, high: float, span: float, rng: np.random.Generator) -> np.ndarray:
    """Return parts of an interval as numbers: of that between the bounds, or of one as long as `span`."""
    if np.isfinite(low) and np.isfinite(high):
        return low + (high - low) * parts
    if np.isfinite(high):
        return high - span * (1 - parts)
    return span * parts + (low if np.isfinite(low) else -rng.random() * span)


def _ends(spec: Specification, dims: Dims) -> tuple[float, float]:
    try:
        low, high = evaluate(spec.low, dims), evaluate(spec.high, dims)
    except UsageError as error:
        raise NoMemberError from error  # a bound `100//n` where n is 0
    return -np.inf if low is None else float(low), np.inf if high is None else float(high)


def _spread_apart(values: np.ndarray, spec: Specification, low: float, high: float) -> np.ndarray:
    """Return sorted numbers with ties moved to the next numbers that the dtype holds, inside the bounds.

    Numbers of one floating dtype, in order, are consecutive whole numbers when their bits are read so.

    Raises:
        NoMemberError: the dtype holds too few numbers between the bounds.
    """
    dtype, limits = values.dtype, jnp.finfo(values.dtype)
    edges = np.asarray([max(low, float(limits.min)), min(high, float(limits.max))]).astype(dtype)
    least, most = map(int, _rank(edges))
    least += spec.low_open or float(edges[0]) < low
    most -= spec.high_open or float(edges[1]) > high
    steps = np.arange(values.shape[-1])
    ranks = np.maximum.accumulate(_rank(values) - steps, -1) + steps
    ranks = np.minimum(np.maximum(ranks, least + steps), most - steps[::-1])
    if np.any(ranks < least):
        raise NoMemberError
    return _number(ranks, dtype)


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the place of each number among all that its dtype holds; that of 0 is 0."""
    bits = np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")
    magnitude = bits & np.iinfo(bits.dtype).max
    return np.where(bits < 0, -magnitude, magnitude).astype(np.int64)


def _number(ranks: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the number at each place."""
    whole = np.dtype(f"i{dtype.itemsize}")
    return np.where(ranks < 0, np.iinfo(whole).min - ranks, ranks).astype(whole).view(dtype)


def _is_increasing(value: np.ndarray, spec: Specification, dims: Dims) -> bool:
    return bool(np.all(value[..., 1:] > value[..., :-1]) and np.all(np.isfinite(value)))


def _plainer(shape: Shape, spec: Specification, dims: Dims) -> list[np.ndarray]:
    low, high = _ends(spec, dims)
    n = np.arange(shape[-1])
    rows = [n + 1.0, n * 1.0, n - 1.0 * shape[-1]]
    rows += [low + n + 1] if np.isfinite(low) else []
    rows += [low + (high - low) * (n + 1) / (shape[-1] + 1)] if np.isfinite(high - low) else []
    return [np.broadcast_to(row, shape) for row in rows]


INCREASING = Structure(_draw, _is_increasing, _plainer, is_tied=False)
