"""One argument's numbers, moved into its declared domain, and the test whether an array lies in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from backproof.arguments import Dims, Specification, evaluate, shape_of
from backproof.errors import UsageError, message
from backproof.numerics.leaves import is_complex, is_inexact
from backproof.verification.points.structure import NoMemberError
from backproof.verification.points.structures import STRUCTURES
from backproof.verification.points.values import Style

# Draws a variation of an example's integers; None where the one that it drew is no other example.
Vary = Callable[[np.random.Generator], np.ndarray | None]


class Holder:
    """Stands for one argument until its numbers are made: a specification at given sizes, or an example."""

    stated: Any
    dims: Dims
    vary: Vary | None
    shape: tuple[int, ...]
    dtype: Any

    def __init__(self, stated: Any, dims: Dims, vary: Vary | None = None) -> None:
        """Hold `stated` (a specification or an example) at the sizes `dims`; `vary` varies its integers."""
        self.stated, self.dims, self.vary = stated, dims, vary
        if is_specification(stated):
            self.shape, self.dtype = shape_of(stated, dims), jnp.dtype(stated.dtype)
        else:
            self.shape, self.dtype = np.shape(stated), jnp.result_type(stated)


def is_specification(node: Any) -> bool:
    """Return whether a node of the arguments is a specification."""
    return isinstance(node, Specification)


def varies(style: Style, seed: int) -> bool:
    """Return whether a draw varies the integers of examples: one in three does."""
    return not style.ordinary and seed % 3 == 0


def rounds(stated: Any) -> bool:
    """Return whether an argument satisfies an equation that rounding to its dtype breaks."""
    structure = stated.structure if is_specification(stated) else None
    return structure is not None and STRUCTURES[structure].rounds


def made(leaf: Any, style: Style, seed: int, place: int, *, exact: bool = False) -> Any:
    """Return the numbers of one leaf: in the drawn style, moved into the declared domain.

    Args:
        leaf: a `Holder`, or the shape and dtype of a leaf that is drawn like any array.
        style: how they are made.
        seed: the seed of the draw.
        place: the number of the leaf, so that no two leaves are the same.
        exact: whether they are for float64, and not rounded to the declared dtype where that breaks an
            equation.

    Raises:
        NoMemberError: the domain is empty at these sizes.
    """
    rng = np.random.default_rng([seed, 0 if style.twins else place, 2])
    if not isinstance(leaf, Holder):
        return _numbers(leaf, style, seed, place)
    if not is_specification(leaf.stated):
        return _example(leaf, style, seed, place, rng)
    spec: Specification = leaf.stated
    if spec.structure:
        if exact and rounds(spec):
            wide = replace(spec, dtype="float64")
            return STRUCTURES[spec.structure].draw(rng, leaf.shape, wide, leaf.dims, style)
        drawn = STRUCTURES[spec.structure].draw(rng, leaf.shape, spec, leaf.dims, style)
        return np.asarray(drawn).astype(leaf.dtype)
    if spec.dtype == "bool":
        return rng.random(leaf.shape) < 0.5
    values = _numbers(leaf, style, seed, place) if spec.is_differentiable else _whole(leaf, style, rng)
    if spec.is_differentiable and (spec.low, spec.high) != (None, None):
        values = _each_part(values, lambda part: _inside(part, spec, leaf.dims, style.edges, rng))
    return _with_others(values, leaf, style, rng) if spec.also else values


def _example(leaf: Holder, style: Style, seed: int, place: int, rng: Any) -> Any:
    """Return an example or, in most draws, other numbers of its shape; in some, other integers."""
    if is_inexact(leaf):
        return _numbers(leaf, style, seed, place) if seed % 8 else leaf.stated
    varied = leaf.vary(rng) if leaf.vary and varies(style, seed) else None
    return leaf.stated if varied is None else varied


def _numbers(leaf: Any, style: Style, seed: int, place: int) -> np.ndarray:
    values = style.numbers(seed, place, leaf.shape)
    if is_complex(leaf):
        values = values + 1j * style.numbers(seed, place + 1000, leaf.shape)
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(leaf.dtype))


def _each_part(values: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return `change(values)`; of complex values the real and the imaginary part are changed alone."""
    if not is_complex(values):
        return change(values)
    return np.asarray(change(np.real(values)) + 1j * change(np.imag(values))).astype(values.dtype)


def _whole(leaf: Holder, style: Style, rng: Any) -> np.ndarray:
    """Return whole numbers within the bounds: any of them, mixed with the bounds, or all the same.

    Those that the style names stand among them.
    """
    spec, limits = leaf.stated, jnp.iinfo(leaf.dtype)
    low, high = _bounds(spec, leaf.dims)
    least = None if low is None else int(np.floor(low) + 1 if spec.low_open else np.ceil(low))
    most = None if high is None else int(np.ceil(high) - 1 if spec.high_open else np.floor(high))
    least = max(limits.min, (-4 if most is None else min(-4, most - 8)) if least is None else least)
    most = min(limits.max, least + 8 if most is None else most)
    if most < least and np.prod(leaf.shape, dtype=int):
        raise NoMemberError
    values = rng.integers(least, max(most, least), leaf.shape, endpoint=True)
    named = [one for one in style.integers if least <= one <= most]
    if named:
        return np.where(rng.random(leaf.shape) < 0.5, rng.choice(named, leaf.shape), values).astype(
            leaf.dtype
        )
    way = "edges" if style.edges else rng.choice(["any", "edges", "one"], p=[0.5, 0.375, 0.125])
    if way == "edges":  # a bound often has a meaning of its own, such as a row to be ignored
        values = np.where(rng.random(leaf.shape) < 0.5, rng.choice([least, most], leaf.shape), values)
    if way == "one" and values.size:
        values = np.full(leaf.shape, rng.choice([least, most, values.flat[0]]))
    return values.astype(leaf.dtype)


def _others(spec: Specification, dims: Dims) -> np.ndarray:
    """Return the values of `also=`, in the dtype of the specification."""
    try:
        values = [evaluate(value, dims) for value in spec.also]
    except UsageError as error:
        raise NoMemberError from error
    return np.asarray(values).astype(jnp.dtype(spec.dtype))


def _with_others(values: np.ndarray, leaf: Holder, style: Style, rng: Any) -> np.ndarray:
    """Return `values` with those of `also=` among them: at some entries, in whole rows, or everywhere.

    Infinities and NaN come in one draw out of four and the others in three, so that most points stay finite.
    """
    others = _others(leaf.stated, leaf.dims)
    finite, share = others[np.isfinite(others)], rng.random()
    pool = others if share < 0.25 and not style.ordinary else finite if share < 0.75 else finite[:0]
    if not (pool.size and values.size):
        return values
    one = rng.random() < 0.5  # a row of a mask has one value throughout
    chosen = np.full(values.shape, rng.choice(pool)) if one else rng.choice(pool, values.shape)
    alone = values.size == 1 or rng.random() < 0.125
    return chosen if alone else np.where(_places(values.shape, rng), chosen, values)


def _places(shape: tuple[int, ...], rng: Any) -> np.ndarray:
    """Return places at which some entries stand, or some rows, but not all."""
    rows = shape[:-1] if len(shape) > 1 and np.prod(shape[:-1]) > 1 and rng.random() < 0.5 else shape
    size = int(np.prod(rows))
    places = rng.permutation(size) < rng.integers(1, size)
    return np.broadcast_to(places.reshape(*rows, *[1] * (len(shape) - len(rows))), shape)


def within(spec: Specification, value: Any, dims: Dims) -> bool:
    """Return whether `value` has the declared structure, and every element is in bounds or one of `also=`."""
    if not np.size(value) or spec.dtype == "bool":
        return True
    try:
        others, bounds = _others(spec, dims), _bounds(spec, dims)
        if spec.structure and not STRUCTURES[spec.structure].admits(np.asarray(value), spec, dims):
            return False
    except NoMemberError:
        return True  # a size that no shape shows says nothing against it
    parts = [np.asarray(value)] if not is_complex(value) else [np.real(value), np.imag(value)]
    inside = np.all([_between(part, spec, *bounds) for part in parts], axis=0)
    among = [(value == other) | ((value != value) & (other != other)) for other in others]
    return bool(np.all(np.any([inside, *among], axis=0)))


def _between(value: np.ndarray, spec: Specification, low: Any, high: Any) -> np.ndarray:
    """Return which elements lie within the bounds, as they are in the declared dtype."""
    above = below = np.ones(value.shape, bool)
    held = np.real(np.zeros(1, spec.dtype)).dtype if spec.is_differentiable else None
    if low is not None:
        above = value > low if spec.low_open else value >= np.asarray(low, held)
    if high is not None:
        below = value < high if spec.high_open else value <= np.asarray(high, held)
    return np.asarray(above & below)


def _bounds(spec: Specification, dims: Dims) -> tuple[Any, Any]:
    try:
        return evaluate(spec.low, dims), evaluate(spec.high, dims)
    except UsageError as error:
        raise NoMemberError from error  # a bound `100//n` where n is 0


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
        raise NoMemberError  # the bounds depend on the sizes, and exclude everything at these
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
