"""The specification of one array argument, and the sizes that a shape gives to its names.

A dimension is a number, a name, an expression of names such as `2*n`, or `*batch`, which stands for any
number of axes along which samples are independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backproof.arguments.expressions import Bound, Dims, evaluate, names_in, unreadable
from backproof.errors import UsageError, message

SHORT_DTYPES = {
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "bool": "bool", "c64": "complex64", "c128": "complex128",
}  # fmt: skip
LONG_DTYPES = {long: short for short, long in SHORT_DTYPES.items()}
# What bounds cannot say, and the dtypes in which it can be: a part of their names, "" for all.
STRUCTURES = {
    "partition": "int", "permutation": "int", "increasing": "float", "simplex": "float",
    "spd": "float", "orthogonal": "float", "one_hot": "",
}  # fmt: skip
SQUARE = ("spd", "orthogonal")
SOLVED_BEYOND = 64  # `n-8` is solved for n by trying numbers up to twice the size of the axis plus this


@dataclass(frozen=True)
class Specification:
    """States what one array argument may be; built by `array`, `integers`, `spd` … or `parse`.

    Attributes:
        dims: one text for each axis; `*name` stands for any number of leading axes.
        dtype: the name of the dtype.
        low, high: bounds on every element: numbers, or expressions of dims such as `"v-1"`. Of a complex
            array they bound the real part and the imaginary part, each.
        low_open, high_open: whether that bound itself is excluded.
        where: a predicate on the drawn array; an array for which it is False is not used.
        least: the names whose sizes are never below a number, with that number.
        also: values that an element may have although they lie outside the bounds.
        structure: the name of what the whole array is, one of `STRUCTURES`; None for any array.
        of: the sum of the sizes in a partition.
    """

    dims: tuple[str, ...]
    dtype: str = "float32"
    low: Bound = None
    high: Bound = None
    low_open: bool = False
    high_open: bool = False
    where: Callable[[Any], bool] | None = None
    least: tuple[tuple[str, int], ...] = ()
    also: tuple[float | str, ...] = ()
    structure: str | None = None
    of: Bound = None

    def __str__(self) -> str:
        """Return the notation that `parse` reads back."""
        below = "" if self.low is None else (">" if self.low_open else ">=") + f"{self.low}"
        above = "" if self.high is None else ("<" if self.high_open else "<=") + f"{self.high}"
        also = "".join(f"|{value}" for value in self.also)
        of = "" if self.of is None else f"({self.of})"
        structure = f":{self.structure}{of}" if self.structure else ""
        return f"{LONG_DTYPES[self.dtype]}[{self.axes}]{below}{above}{also}{structure}"

    @property
    def axes(self) -> str:
        """The axes as the notation writes them; a least size stands where its name stands first.

        That is where it stands alone, if it does, and else in an expression: `8*b>=8`.
        """
        least, said = dict(self.least), []
        for dim in self.dims:
            names = {*names_in(dim)}
            stands = names == {dim} or (len(names) == 1 and not names & {*self.dims})
            bound = {name: least.pop(name) for name in names if stands and name in least}
            said.append(f"{dim}>={bound.get(dim) or evaluate(dim, bound)}" if bound else dim)
        return ",".join(said)

    @property
    def batch_name(self) -> str | None:
        """The name of the `*` axis, with its star, or None."""
        return next((dim for dim in self.dims if dim.startswith("*")), None)

    @property
    def is_floating(self) -> bool:
        """Whether the elements are real floating-point numbers."""
        return "float" in self.dtype

    @property
    def is_differentiable(self) -> bool:
        """Whether a cotangent exists for this argument."""
        return self.is_floating or "complex" in self.dtype


def checked(spec: Specification) -> Specification:
    """Return `spec`.

    Raises:
        UsageError: its parts contradict one another.
    """
    if sum(dim.startswith("*") for dim in spec.dims) > 1:
        raise unreadable("at most one axis may carry a star", f"dims={' '.join(spec.dims)!r}")
    if spec.structure is None:
        return spec
    if spec.structure not in STRUCTURES:
        raise unreadable(f"a structure is one of {', '.join(STRUCTURES)}", repr(spec.structure))
    name, kind = spec.structure, STRUCTURES[spec.structure]
    if kind not in spec.dtype:
        raise unreadable(f"{name} needs a dtype with {kind!r} in its name", f"dtype={spec.dtype!r}")
    if not spec.dims or spec.dims[-1].startswith("*"):
        raise unreadable(f"{name} needs a last axis of its own, without a star", f"[{spec.axes}]")
    if name in SQUARE and spec.dims[-1:] != spec.dims[-2:-1]:
        raise unreadable(f"{name} needs two last axes of one size", f"[{spec.axes}]")
    if (name == "partition") != (spec.of is not None):
        raise unreadable("partition, and nothing else, says the size of what it divides", f"of={spec.of!r}")
    if spec.also or (name != "increasing" and (spec.low, spec.high) != (None, None)):
        raise unreadable(f"{name} says which values there are", str(spec), "drop the bounds and also=")
    return spec


def bind(spec: Specification, shape: tuple[int, ...], dims: Mapping[str, Any]) -> Dims:
    """Return `dims` extended by the sizes that `shape` gives to the names in `spec`.

    Raises:
        UsageError: the shape does not fit the specification.
    """
    sizes = dict(dims)
    star = next((i for i, dim in enumerate(spec.dims) if dim.startswith("*")), None)
    fixed = len(spec.dims) - (star is not None)
    if len(shape) < fixed or (star is None and len(shape) != fixed):
        raise _misfit(spec, shape, sizes)
    pairs = list(zip(spec.dims, shape, strict=star is None))
    if star is not None:
        extra = len(shape) - fixed
        pairs[star:] = zip(spec.dims[star + 1 :], shape[star + extra :], strict=True)
        if sizes.setdefault(spec.dims[star], shape[star : star + extra]) != shape[star : star + extra]:
            raise _misfit(spec, shape, sizes)
    for dim, size in sorted(pairs, key=lambda pair: not pair[0].isidentifier()):
        found = _solved(dim, size, sizes)
        if found is None or evaluate(dim, {**sizes, **found}) != size:
            raise _misfit(spec, shape, sizes)
        sizes.update(found)
    if any(at_least(sizes.get(name, least), least) != sizes.get(name, least) for name, least in spec.least):
        raise _misfit(spec, shape, sizes)
    return sizes


def at_least(size: Any, least: int) -> Any:
    """Return the size of an axis, or the sizes along a `*` axis, raised to `least` where it is smaller."""
    return tuple(max(n, least) for n in size) if isinstance(size, tuple) else max(size, least)


def _solved(dim: str, size: int, sizes: Mapping[str, Any]) -> Dims | None:
    """Return the least size that fits the one name in `dim` without a size; None if no size fits."""
    names = {*names_in(dim)} - {*sizes}
    if names <= {dim} or len(names) > 1:
        return dict.fromkeys(names & {dim}, size)
    tried = range(1 if {*dim} & {"/", "%"} else 0, 2 * size + SOLVED_BEYOND)
    found = (dict.fromkeys(names, n) for n in tried)
    return next((one for one in found if evaluate(dim, {**sizes, **one}) == size), None)


def shape_of(spec: Specification, dims: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the shape of `spec` once its names have sizes; `dims["*batch"]` is a tuple."""
    shape: list[int] = []
    for dim in spec.dims:
        shape.extend(dims[dim] if dim.startswith("*") else (evaluate(dim, dims),))
    return tuple(shape)


def names_of(spec: Specification) -> list[str]:
    """Return the names in `spec` in order; a name with a star keeps its star."""
    said = (spec.low, spec.high, *spec.also, spec.of)
    texts = (*spec.dims, *(text for text in said if isinstance(text, str)))
    return list(dict.fromkeys(name for text in texts for name in names_in(text)))


def _misfit(spec: Specification, shape: tuple[int, ...], sizes: Mapping[str, Any]) -> UsageError:
    known = {name: size for name, size in sizes.items() if name in names_of(spec)}
    return UsageError(
        message(
            must=f"the shape must fit [{spec.axes.replace(',', ', ')}]" + (f" with {known}" if known else ""),
            found=f"shape={tuple(shape)}",
            where="argument",
            do="pass an array of that shape",
        )
    )
