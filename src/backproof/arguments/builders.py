"""The functions that build a specification: an array within bounds, or one with a structure."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backproof.arguments.expressions import NAME, Bound, evaluate, names_in, readable, unreadable
from backproof.arguments.specification import (
    LONG_DTYPES,
    SHORT_DTYPES,
    SQUARE,
    Specification,
    checked,
)

Predicate = Callable[[Any], bool] | None
AS_IN = "write it as in n>=2 or 8*b>=8"
LEAST = re.compile(r"(.+?)(>=|>)(\d+)")


def array(
    dims: str,
    dtype: str = "float32",
    low: Bound = None,
    high: Bound = None,
    where: Predicate = None,
    also: tuple[float | str, ...] = (),
) -> Specification:
    """Return the specification of an array.

    Args:
        dims: axes separated by blanks, e.g. `"*batch n 2*n"`; `""` is a scalar, and `"n>=2"` a name whose
            size is never below 2.
        dtype: the name of the dtype, long (`"float32"`) or short (`"f32"`).
        low: the least value an element may have; a number or an expression of dims. Of a complex array, it
            is the least value of real parts and of imaginary parts.
        high: the greatest value, likewise.
        where: a predicate on the whole array for what bounds cannot say.
        also: values outside the bounds that an element may have too, e.g. `(-math.inf,)` for a mask. They
            are drawn among the others, and now and then alone.

    Raises:
        UsageError: a dimension, dtype, bound or value cannot be read.
    """
    axes, least = _axes(dims)
    spec = Specification(axes, _dtype(dtype), readable(low), readable(high), where=where, least=least)
    return checked(replace(spec, also=_also(also, spec.dtype)))


def integers(dims: str, low: Bound, high: Bound, also: tuple[float | str, ...] = ()) -> Specification:
    """Return the specification of an int32 array with elements from `low` to `high` inclusive.

    Either bound may be an expression of dims: `integers("b", 0, "v-1")` are indices into v rows. A value
    that stands for something else is said by `also`: `integers("b", 0, "v-1", also=(-100,))`.
    """
    return array(dims, "int32", low, high, also=also)


def partition(dims: str, of: Bound, dtype: str = "int32", where: Predicate = None) -> Specification:
    """Return the specification of sizes of groups: whole numbers ≥ 0 that sum to `of` along the last axis.

    `partition("g", of="m")` divides an axis of length m into g groups, of which some are often empty.

    Args:
        dims: axes, of which the last one counts the groups: shape (…, g).
        of: the sum; a number or an expression of dims.
        dtype: an integer dtype.
        where: a predicate on the whole array.

    Raises:
        UsageError: an argument cannot be read, or does not fit.
    """
    return _structured("partition", dims, dtype, where, of=readable(of))


def permutation(dims: str, dtype: str = "int32", where: Predicate = None) -> Specification:
    """Return the specification of the numbers 0 … n−1 in any order along the last axis: shape (…, n)."""
    return _structured("permutation", dims, dtype, where)


def increasing(
    dims: str, low: Bound = None, high: Bound = None, dtype: str = "float32", where: Predicate = None
) -> Specification:
    """Return the specification of numbers that strictly increase along the last axis: shape (…, n).

    Args:
        dims: axes, of which the last one is sorted.
        low: the least value an element may have; a number or an expression of dims.
        high: the greatest value, likewise.
        dtype: a floating dtype.
        where: a predicate on the whole array.

    Raises:
        UsageError: an argument cannot be read, or does not fit.
    """
    return _structured("increasing", dims, dtype, where, low=readable(low), high=readable(high))


def simplex(dims: str, dtype: str = "float32", where: Predicate = None) -> Specification:
    """Return the specification of probabilities: numbers ≥ 0 that sum to 1 along the last axis.

    Shape (…, n). They include probabilities of 0 and of 1.
    """
    return _structured("simplex", dims, dtype, where)


def spd(dims: str, dtype: str = "float32", where: Predicate = None) -> Specification:
    """Return the specification of symmetric positive-definite matrices, well and badly conditioned.

    `spd("b n")` has shape (b, n, n): the last axis stands twice.
    """
    return _structured("spd", dims, dtype, where)


def orthogonal(dims: str, dtype: str = "float32", where: Predicate = None) -> Specification:
    """Return the specification of orthogonal matrices, rotations and reflections.

    `orthogonal("b n")` has shape (b, n, n): the last axis stands twice. The matrices are orthogonal to the
    precision of `dtype`.
    """
    return _structured("orthogonal", dims, dtype, where)


def one_hot(dims: str, dtype: str = "float32", where: Predicate = None) -> Specification:
    """Return the specification of rows with a single 1 among zeros: shape (…, v)."""
    return _structured("one_hot", dims, dtype, where)


def _structured(name: str, dims: str, dtype: str, where: Predicate, **fields: Bound) -> Specification:
    axes, least = _axes(dims)
    full = (*axes, *axes[-1:]) if name in SQUARE else axes
    made: Any = {"where": where, "least": least, "structure": name, **fields}
    return checked(Specification(full, _dtype(dtype), **made))


def _axes(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """Return the axes in a text, and the least sizes that it states, the largest of each name."""
    axes: list[str] = []
    least: dict[str, int] = {}
    for part in re.sub(r"\s*(>=|>)\s*", r"\1", text.replace(",", " ")).split():
        stated = LEAST.fullmatch(part)
        axes.append(_dimension(stated[1] if stated else part))
        if stated:
            name, size = _least(part, stated[1], int(stated[3]) + (stated[2] == ">"))
            least[name] = max(size, least.get(name, 0))
    names = dict.fromkeys(name for axis in axes for name in names_in(axis))
    return tuple(axes), tuple((name, least[name]) for name in names if least.get(name))


def _least(part: str, axis: str, size: int) -> tuple[str, int]:
    """Return the name in an axis, and its least size: in `8*b>=8`, that is 1 for b."""
    names = set(names_in(axis))
    if names == {axis}:
        return axis, size
    if len(names) == 1:
        (name,) = names
        found = _least_fitting(lambda n: evaluate(axis, {name: n}) >= size)
        if found is not None:
            return name, found
        raise unreadable(f"some size of {name} must give an axis that long", repr(part), AS_IN)
    raise unreadable("a least size stands behind an axis with one name", repr(part), AS_IN)


def _least_fitting(fits: Callable[[int], bool]) -> int | None:
    """Return the least number that fits, where all larger ones fit as well; None if none below 2⁶² does."""
    high = next((2**k - 1 for k in range(63) if fits(2**k - 1)), None)
    if high is None:
        return None
    low = high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low


def _dimension(text: str) -> str:
    if re.fullmatch(rf"\*?{NAME}|\d+", text):
        return text
    if re.fullmatch(rf"{NAME}=\d+", text):  # jaxtyping's `rows=4`
        return text.split("=")[1]
    if re.search("[<>=]", text):
        raise unreadable("a least size is a number behind an axis", repr(text), AS_IN)
    evaluate(text, dict.fromkeys(names_in(text), 1))
    return text


def _dtype(name: str) -> str:
    long = SHORT_DTYPES.get(str(name), str(name))
    if long not in LONG_DTYPES:
        raise unreadable(f"a dtype is one of {', '.join(SHORT_DTYPES)} or its long name", repr(name))
    return long


def _also(values: Any, dtype: str) -> tuple[float | str, ...]:
    """Return the values, each once; an expression of dims has no blanks, and there is one NaN."""
    if not isinstance(values, tuple | list):
        raise unreadable("also= is a tuple of values", f"also={values!r}", f"write also=({values!r},)")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise unreadable("also= names numbers, or expressions of dims", f"also={values!r}")
        whole = isinstance(value, int | str) or value.is_integer()
        below = "uint" in dtype and not isinstance(value, str) and value < 0
        if dtype == "bool" or ("int" in dtype and not whole) or below:
            raise unreadable(f"an element of {dtype} must be able to have each value", f"also={values!r}")
    return tuple(dict.fromkeys(math.nan if value != value else _exact(value) for value in values))


def _exact(value: Any) -> Any:
    return readable(value) if isinstance(value, str) else value
