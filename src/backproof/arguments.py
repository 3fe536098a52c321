"""Specifications of array arguments: dtype, symbolic shape and bounds, in one notation.

`array("b n", dtype="float32", low=0)`, the text `f32[b,n]>=0` and the jaxtyping annotation
`Float[Array, "b n"]` all give a `Specification`. A dimension is a number, a name, an expression of
names such as `2*n`, or `*batch`, which stands for any number of axes along which samples are independent.
"""

import ast
import contextlib
import operator
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backproof.errors import UsageError, message

Bound = float | str | None
Dims = dict[str, Any]

SHORT_DTYPES = {
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "bool": "bool", "c64": "complex64", "c128": "complex128",
}  # fmt: skip
LONG_DTYPES = {long: short for short, long in SHORT_DTYPES.items()}
NOTATION = re.compile(r"^\s*(?P<dtype>\w+)\[(?P<dims>[^\]]*)\](?P<bounds>.*)$")
BOUND = re.compile(r"\s*(?P<sign>>=|<=|>|<)\s*(?P<value>[^<>=]+)")
SOLVED_BEYOND = 64  # `n-8` is solved for n by trying numbers up to twice the size of the axis plus this
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip


@dataclass(frozen=True)
class Specification:
    """States what one array argument may be; built by `array`, `integers` or `parse`.

    Attributes:
        dims: one text for each axis; `*name` stands for any number of leading axes.
        dtype: the name of the dtype.
        low, high: bounds on every element: numbers, or expressions of dims such as `"v-1"`.
        low_open, high_open: whether that bound itself is excluded.
        where: a predicate on the drawn array; an array for which it is False is not used.
    """

    dims: tuple[str, ...]
    dtype: str = "float32"
    low: Bound = None
    high: Bound = None
    low_open: bool = False
    high_open: bool = False
    where: Callable[[Any], bool] | None = None

    def __str__(self) -> str:
        """Return the notation that `parse` reads back."""
        below = "" if self.low is None else (">" if self.low_open else ">=") + f"{self.low}"
        above = "" if self.high is None else ("<" if self.high_open else "<=") + f"{self.high}"
        return f"{LONG_DTYPES[self.dtype]}[{','.join(self.dims)}]{below}{above}"

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


def array(
    dims: str,
    dtype: str = "float32",
    low: Bound = None,
    high: Bound = None,
    where: Callable[[Any], bool] | None = None,
) -> Specification:
    """Return the specification of an array.

    Args:
        dims: axes separated by blanks, e.g. `"*batch n 2*n"`; `""` is a scalar.
        dtype: the name of the dtype, long (`"float32"`) or short (`"f32"`).
        low: the least value an element may have; a number or an expression of dims.
        high: the greatest value, likewise.
        where: a predicate on the whole array for what bounds cannot say.

    Raises:
        UsageError: a dimension, dtype or bound cannot be read.
    """
    axes = tuple(_dimension(text) for text in dims.replace(",", " ").split())
    if sum(axis.startswith("*") for axis in axes) > 1:
        raise _unreadable("at most one axis may carry a star", f"dims={dims!r}")
    return Specification(axes, _dtype(dtype), _bound(low), _bound(high), where=where)


def integers(dims: str, low: Bound, high: Bound) -> Specification:
    """Return the specification of an int32 array with elements from `low` to `high` inclusive.

    Either bound may be an expression of dims: `integers("b", 0, "v-1")` are indices into v rows.
    """
    return array(dims, "int32", low, high)


def parse(text: str) -> Specification:
    """Read one specification, e.g. `f32[b,n]`, `f32[n]>0`, `i32[b]>=0<v`.

    `<v` excludes v; on an integer array it therefore means at most v − 1.

    Raises:
        UsageError: the text is not of that form.
    """
    found = NOTATION.match(text)
    if not found:
        raise _unreadable("an argument is written dtype[dims], e.g. f32[b,n] or i32[b]<n", repr(text))
    spec = array(found["dims"], found["dtype"])
    fields: dict[str, Any] = {}
    rest = found["bounds"]
    while rest.strip():
        bound = BOUND.match(rest)
        if not bound:
            raise _unreadable("only bounds such as >=0 or <n may follow the shape", repr(text))
        side = "low" if bound["sign"][0] == ">" else "high"
        fields[side] = _bound(_number_or_text(bound["value"].strip()))
        fields[side + "_open"] = "=" not in bound["sign"]
        rest = rest[bound.end() :]
    return Specification(spec.dims, spec.dtype, **fields)


def parse_many(text: str) -> list[Specification]:
    """Read specifications separated by blanks: `f32[b,n] f32[n] i32[b]<n`."""
    return [parse(part) for part in re.findall(r"\w+\[[^\]]*\]\S*|\S+", text)]


def from_annotations(function: Callable[..., Any]) -> list[Specification]:
    """Return one specification per argument of a function annotated with jaxtyping shapes.

    Raises:
        UsageError: an argument has no jaxtyping annotation.
    """
    hints = typing.get_type_hints(function)
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else tuple(n for n in hints if n != "return")
    return [_from_annotation(hints.get(name), name, function) for name in names]


def _from_annotation(hint: Any, name: str, function: Callable[..., Any]) -> Specification:
    if not hasattr(hint, "dim_str"):
        raise UsageError(
            message(
                must="every argument needs a jaxtyping annotation such as Float[Array, 'b n']",
                found=f"{name}: {hint}",
                where=getattr(function, "__name__", "function"),
                do="annotate it, or pass args=[backproof.array('b n'), …]",
            )
        )
    dtypes = list(hint.dtypes) if isinstance(hint.dtypes, list | tuple) else [str(hint.dtypes)]
    preferred = ("float32", "int32", "bool", "complex64")
    dtype = next((name for name in preferred if name in dtypes), dtypes[0])
    dims = " ".join("*batch" if part == "..." else part for part in hint.dim_str.split())
    return array(dims, dtype)


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
    return sizes


def _solved(dim: str, size: int, sizes: Mapping[str, Any]) -> Dims | None:
    """Return the least size that fits the one name in `dim` without a size; None if no size fits."""
    names = {*re.findall(r"[A-Za-z_]\w*", dim)} - {*sizes}
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
    names: list[str] = []
    bounds = [bound for bound in (spec.low, spec.high) if isinstance(bound, str)]
    for text in (*spec.dims, *bounds):
        found = [text] if text.startswith("*") else re.findall(r"[A-Za-z_]\w*", text)
        names += [name for name in found if name not in names]
    return names


def evaluate(expression: Bound, dims: Mapping[str, Any]) -> Any:
    """Return the value of a bound or dimension, given the sizes of the names in it.

    Raises:
        UsageError: a name has no size, or the text is not an arithmetic expression.
    """
    if not isinstance(expression, str):
        return expression
    try:
        return _value(ast.parse(expression, mode="eval").body, dims)
    except (SyntaxError, KeyError, TypeError, ZeroDivisionError) as error:
        raise _unreadable(
            "an expression of dims uses +, -, *, //, %, ** on numbers and known names",
            f"{expression!r} with {dict(dims)}",
        ) from error


def _value(node: ast.expr, dims: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return dims[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, dims)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, dims), _value(right, dims))
    raise TypeError(ast.dump(node))


def _dimension(text: str) -> str:
    if re.fullmatch(r"\*?[A-Za-z_]\w*|\d+", text):
        return text
    if "=" in text:  # jaxtyping's `rows=4`
        return _dimension(text.split("=", 1)[1])
    names = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text), 1)
    evaluate(text, names)
    return text


def _dtype(name: str) -> str:
    long = SHORT_DTYPES.get(str(name), str(name))
    if long not in LONG_DTYPES:
        raise _unreadable(f"a dtype is one of {', '.join(SHORT_DTYPES)} or its long name", repr(name))
    return long


def _bound(bound: Bound) -> Bound:
    if isinstance(bound, str):
        evaluate(bound, dict.fromkeys(re.findall(r"[A-Za-z_]\w*", bound), 2))
    return bound


def _number_or_text(text: str) -> float | str:
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def _unreadable(must: str, found: str) -> UsageError:
    return UsageError(
        message(must=must, found=found, where="argument specification", do="write it in that form")
    )


def _misfit(spec: Specification, shape: tuple[int, ...], sizes: Mapping[str, Any]) -> UsageError:
    known = {name: size for name, size in sizes.items() if name in names_of(spec)}
    return UsageError(
        message(
            must=f"the shape must fit [{', '.join(spec.dims)}]" + (f" with {known}" if known else ""),
            found=f"shape={tuple(shape)}",
            where="argument",
            do="pass an array of that shape",
        )
    )
