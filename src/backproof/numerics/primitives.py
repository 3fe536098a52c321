"""What each JAX primitive computes, in NumPy: the table behind `interpreter`.

Every entry takes the operands and the parameters of the primitive. NumPy needs no compilation, so a
new shape costs microseconds, and it knows `longdouble`. A primitive that is not here is run by JAX
itself (`whole_operations.bound`); the tests compare every entry with XLA.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import lax
from jax.extend.core import primitives as jax_primitives

Operation = Callable[..., Any]

# These move, choose or count values and round nothing.
EXACT = frozenset(
    {
        "abs", "and", "argmax", "argmin", "broadcast_in_dim", "ceil", "clamp", "complex", "concatenate",
        "conj", "convert_element_type", "copy", "cummax", "cummin", "device_put", "dynamic_slice",
        "dynamic_update_slice", "eq", "floor", "gather", "ge", "gt", "imag", "iota",
        "is_finite", "le", "lt", "max", "mesh_cast", "min", "name", "ne", "neg", "nextafter", "not",
        "optimization_barrier", "or", "pad", "pvary", "real", "reduce_and", "reduce_max", "reduce_min",
        "reduce_or", "reduce_precision", "reduce_window_max", "reduce_window_min", "reshape", "rev", "round",
        "scatter", "scatter-max", "scatter-min", "select_and_gather_add", "select_n", "sharding_constraint",
        "sign", "slice", "sort", "split", "squeeze", "stop_gradient", "transpose", "xor",
    }
)  # fmt: skip
# Steps: decisions with a floating result, taken once like every other decision.
STEPS = frozenset({"ceil", "floor", "round", "sign"})
# Functions that two libraries may compute LIBRARY_ULPS units in the last place apart.
LOOSE = frozenset(
    {
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0e", "bessel_i1e", "cbrt", "cos",
        "cosh", "cumlogsumexp", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "igamma", "log", "log1p",
        "logistic", "pow", "rsqrt", "sin", "sinh", "tan", "tanh",
    }
)  # fmt: skip
# These err by about one unit in the last place of 1 near their zeros, wherever those lie.
ROUGH = frozenset({"lgamma", "digamma"})
# Sums of products or of entries: their rounding is that of their terms, however small the sum itself is.
SUMS = frozenset(
    {"conv_general_dilated", "cumsum", "dot_general", "reduce_sum", "reduce_window_sum", "scatter-add"}
)
# Backward-stable solvers: they err as if their inputs had moved by SOLVER_ULPS units in the last place.
SOLVERS = frozenset(
    {
        "cholesky", "eig", "eigh", "householder_product", "lu", "qr", "schur", "svd", "triangular_solve",
        "tridiagonal_solve",
    }
)  # fmt: skip


def widest(dtype: Any, wide: bool) -> Any:
    """Return the dtype in which a value of `dtype` is held."""
    if wide and dtype == np.float64:
        return np.longdouble
    if wide and dtype == np.complex128:
        return np.clongdouble
    return dtype


def _special(function: Operation) -> Operation:
    """Return `function` of scipy.special, which knows float32 and float64 only."""

    def apply(x: np.ndarray, **_: Any) -> np.ndarray:
        held = x if x.dtype in (np.float32, np.float64, np.complex128) else x.astype(np.float64)
        return np.asarray(function(held)).astype(x.dtype)

    return apply


def _plain(function: Operation) -> Operation:
    return lambda *operands, **_: function(*operands)


def _logistic(x: np.ndarray, **_: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if jnp.issubdtype(np.asarray(x).dtype, np.integer):
        return np.asarray(np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y)), np.asarray(x).dtype)
    return np.divide(x, y)


def _integer_pow(x: np.ndarray, *, y: int, **_: Any) -> np.ndarray:
    positive = np.power(x, abs(y))
    return positive if y >= 0 else np.ones_like(positive) / positive


def _round(x: np.ndarray, *, rounding_method: Any, **_: Any) -> np.ndarray:
    if rounding_method == lax.RoundingMethod.TO_NEAREST_EVEN:
        return np.rint(x)
    return np.trunc(x + np.copysign(np.asarray(0.5, x.dtype), x))


def _convert_element_type(x: Any, *, new_dtype: Any, **_: Any) -> Any:
    real = np.iscomplexobj(x) and not jnp.issubdtype(new_dtype, np.complexfloating)
    return np.asarray(np.real(x) if real else x).astype(new_dtype)


def _clamp(low: np.ndarray, x: np.ndarray, high: np.ndarray, **_: Any) -> np.ndarray:
    return np.minimum(np.maximum(x, low), high)


def _select_n(which: np.ndarray, *cases: np.ndarray, **_: Any) -> np.ndarray:
    out = cases[-1]
    for i in range(len(cases) - 2, -1, -1):
        out = np.where(np.asarray(which) == i, cases[i], out)
    return out


def _broadcast_in_dim(x: np.ndarray, *_: Any, shape: Any, broadcast_dimensions: Any, **__: Any) -> np.ndarray:
    view = [1] * len(shape)
    for size, axis in zip(np.shape(x), broadcast_dimensions, strict=True):
        view[axis] = size
    return np.broadcast_to(np.reshape(x, view), shape)


def _reshape(x: np.ndarray, *_: Any, new_sizes: Any, dimensions: Any, **__: Any) -> np.ndarray:
    return np.reshape(x if dimensions is None else np.transpose(x, dimensions), new_sizes)


def _slice(x: np.ndarray, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> np.ndarray:
    steps = strides or (1,) * len(start_indices)
    return x[tuple(slice(*bounds) for bounds in zip(start_indices, limit_indices, steps, strict=True))]


def _starts(x: np.ndarray, sizes: Any, starts: Any) -> list[int]:
    """Return start indices moved so that the window lies inside, as XLA does."""
    return [int(np.clip(s, 0, n - k)) for s, n, k in zip(starts, np.shape(x), sizes, strict=True)]


def _dynamic_slice(x: np.ndarray, *starts: Any, slice_sizes: Any, **_: Any) -> np.ndarray:
    begin = _starts(x, slice_sizes, starts[: np.ndim(x)])
    return x[tuple(slice(b, b + k) for b, k in zip(begin, slice_sizes, strict=True))]


def _dynamic_update_slice(x: np.ndarray, update: np.ndarray, *starts: Any, **_: Any) -> np.ndarray:
    begin = _starts(x, np.shape(update), starts)
    out = np.array(x)
    out[tuple(slice(b, b + k) for b, k in zip(begin, np.shape(update), strict=True))] = update
    return out


def _concatenate(*parts: np.ndarray, dimension: int, **_: Any) -> np.ndarray:
    return np.concatenate(parts, axis=dimension)


def _split(x: np.ndarray, *, sizes: Any, axis: int, **_: Any) -> list[np.ndarray]:
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _pad(x: np.ndarray, value: np.ndarray, *, padding_config: Any, **_: Any) -> np.ndarray:
    sizes = [
        max(0, low + high + max(0, n + max(0, n - 1) * inner))
        for n, (low, high, inner) in zip(np.shape(x), padding_config, strict=True)
    ]
    out = np.full(sizes, value, dtype=x.dtype)
    into, source = [], []
    for n, size, (low, _high, inner) in zip(np.shape(x), sizes, padding_config, strict=True):
        places = low + np.arange(n) * (inner + 1)
        inside = (places >= 0) & (places < size)
        into.append(places[inside])
        source.append(np.arange(n)[inside])
    if into:
        out[np.ix_(*into)] = x[np.ix_(*source)]
    elif not sizes:
        out = np.array(x)
    return out


def _iota(*_: Any, dtype: Any, shape: Any, dimension: int, **__: Any) -> np.ndarray:
    view = [1] * len(shape)
    view[dimension] = shape[dimension]
    return np.broadcast_to(np.arange(shape[dimension]).reshape(view), shape).astype(dtype)


def _dot_general(
    x: np.ndarray, y: np.ndarray, *, dimension_numbers: Any, preferred_element_type: Any = None, **_: Any
) -> np.ndarray:
    """Return the contraction; two-byte floats are accumulated in float32, as XLA does."""
    (cx, cy), (bx, by) = dimension_numbers
    out_dtype = x.dtype if preferred_element_type is None or x.dtype.itemsize > 8 else preferred_element_type
    if jnp.issubdtype(x.dtype, np.floating) and x.dtype.itemsize < 4:
        x, y = x.astype(np.float32), y.astype(np.float32)
    free_x = [i for i in range(x.ndim) if i not in cx and i not in bx]
    free_y = [i for i in range(y.ndim) if i not in cy and i not in by]
    batch = [x.shape[i] for i in bx]
    shape_x, shape_y = [x.shape[i] for i in free_x], [y.shape[i] for i in free_y]
    inner = int(np.prod([x.shape[i] for i in cx], dtype=int))
    left = x.transpose((*bx, *free_x, *cx)).reshape((*batch, int(np.prod(shape_x, dtype=int)), inner))
    right = y.transpose((*by, *cy, *free_y)).reshape((*batch, inner, int(np.prod(shape_y, dtype=int))))
    out = np.matmul(left, right).reshape((*batch, *shape_x, *shape_y))
    return out if out.dtype.itemsize > 8 else out.astype(out_dtype)


def _reduction(function: Operation) -> Operation:
    # NumPy widens small integers; in JAX they wrap
    return lambda x, *, axes, **_: np.asarray(function(x, axis=tuple(axes), dtype=x.dtype))


def _extreme(function: Operation, empty: float) -> Operation:
    def apply(x: np.ndarray, *, axes: Any, **_: Any) -> np.ndarray:
        if jnp.issubdtype(x.dtype, np.floating):
            return np.asarray(function(x, axis=tuple(axes), initial=empty)).astype(x.dtype)
        return np.asarray(function(x, axis=tuple(axes)))

    return apply


def _arg(function: Operation) -> Operation:
    return lambda x, *, axes, index_dtype, **_: np.asarray(function(x, axis=axes[0])).astype(index_dtype)


def _cumulative(ufunc: Any) -> Operation:
    def apply(x: np.ndarray, *, axis: int, reverse: bool, **_: Any) -> np.ndarray:
        if not reverse:
            return ufunc.accumulate(x, axis=axis, dtype=x.dtype)
        return np.flip(ufunc.accumulate(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)

    return apply


def sort_order(keys: list[np.ndarray], dimension: int) -> np.ndarray:
    """Return the stable order of the entries along `dimension`, the first key counting most."""
    return np.lexsort([np.moveaxis(key, dimension, -1) for key in keys[::-1]], axis=-1)


def _sort(*operands: np.ndarray, dimension: int, num_keys: int, **_: Any) -> list[np.ndarray]:
    order = sort_order(list(operands[:num_keys]), dimension)
    return [
        np.moveaxis(np.take_along_axis(np.moveaxis(x, dimension, -1), order, -1), -1, dimension)
        for x in operands
    ]


DROPPED = np.iinfo(np.int64).min


def _positions(shape: tuple[int, ...], indices: np.ndarray, **params: Any) -> np.ndarray:
    """Return the flat index, in `shape`, of each entry that a gather reads; DROPPED where it reads none."""
    places = np.arange(int(np.prod(shape, dtype=int)), dtype=np.int64).reshape(shape)
    params = {**params, "fill_value": DROPPED}
    return np.asarray(jax_primitives.gather_p.bind(places, indices, **params))


def _default_fill(dtype: Any) -> Any:
    """Return what JAX reads out of range: NaN, True, the least signed or the greatest unsigned number."""
    if jnp.issubdtype(dtype, np.inexact):
        return np.nan
    if np.issubdtype(dtype, np.bool_):
        return True
    return np.iinfo(dtype).min if np.issubdtype(dtype, np.signedinteger) else np.iinfo(dtype).max


def _gather(x: np.ndarray, indices: np.ndarray, **params: Any) -> np.ndarray:
    places = _positions(x.shape, indices, **params)
    fill = params.get("fill_value")
    if fill is None:
        fill = _default_fill(x.dtype)
    taken = np.ravel(x)[np.clip(places, 0, max(x.size - 1, 0))] if x.size else np.zeros(places.shape, x.dtype)
    return np.where(places == DROPPED, np.asarray(fill, x.dtype), taken)


def _scatter(accumulate: Operation) -> Operation:
    """Return a scatter: its positions are those that a gather with the same dimension numbers would read."""

    def apply(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, **params: Any) -> np.ndarray:
        d = params["dimension_numbers"]
        numbers = lax.GatherDimensionNumbers(
            offset_dims=d.update_window_dims,
            collapsed_slice_dims=d.inserted_window_dims,
            start_index_map=d.scatter_dims_to_operand_dims,
            operand_batching_dims=d.operand_batching_dims,
            start_indices_batching_dims=d.scatter_indices_batching_dims,
        )
        window = iter(updates.shape[i] for i in d.update_window_dims)
        single = {*d.inserted_window_dims, *d.operand_batching_dims}
        places = _positions(
            x.shape,
            indices,
            dimension_numbers=numbers,
            slice_sizes=tuple(1 if i in single else next(window) for i in range(x.ndim)),
            indices_are_sorted=params["indices_are_sorted"],
            unique_indices=params["unique_indices"],
            mode=params["mode"],
        )
        out, kept = np.array(x).reshape(-1), np.ravel(places) != DROPPED
        accumulate(out, np.ravel(places)[kept], np.ravel(updates)[kept])
        return out.reshape(x.shape)

    return apply


def _assign(out: np.ndarray, places: np.ndarray, updates: np.ndarray) -> None:
    out[places] = updates


def _identity(*operands: Any, **_: Any) -> Any:
    return operands[0] if len(operands) == 1 else list(operands)


UNARY: dict[str, Operation] = {
    "neg": np.negative, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "exp": np.exp, "exp2": np.exp2, "log": np.log,
    "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "cbrt": np.cbrt, "abs": np.abs,
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "is_finite": np.isfinite, "square": np.square,
    "real": np.real, "imag": np.imag, "conj": np.conj, "rsqrt": lambda x: 1 / np.sqrt(x),
}  # fmt: skip
BINARY: dict[str, Operation] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": _div, "rem": np.fmod,
    "max": np.maximum, "min": np.minimum, "pow": np.power, "atan2": np.arctan2, "eq": np.equal,
    "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "nextafter": np.nextafter,
    "complex": lambda x, y: x + 1j * y,
}  # fmt: skip
SPECIAL: dict[str, Operation] = {
    "erf": scipy.special.erf, "erfc": scipy.special.erfc, "erf_inv": scipy.special.erfinv,
    "lgamma": scipy.special.gammaln, "digamma": scipy.special.digamma,
}  # fmt: skip
UNCHANGED = (
    "copy", "device_put", "mesh_cast", "name", "optimization_barrier", "pvary",
    "sharding_constraint", "stop_gradient",
)  # fmt: skip
NUMPY: dict[str, Operation] = {
    **{name: _plain(function) for name, function in {**UNARY, **BINARY}.items()},
    **{name: _special(function) for name, function in SPECIAL.items()},
    **dict.fromkeys(UNCHANGED, _identity),
    "not": lambda x, **_: np.logical_not(x) if x.dtype == bool else np.bitwise_not(x),
    "logistic": _logistic,
    "integer_pow": _integer_pow,
    "round": _round,
    "clamp": _clamp,
    "select_n": _select_n,
    "convert_element_type": _convert_element_type,
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "transpose": lambda x, *, permutation, **_: np.transpose(x, permutation),
    "squeeze": lambda x, *, dimensions, **_: np.squeeze(x, tuple(dimensions)),
    "rev": lambda x, *, dimensions, **_: np.flip(x, tuple(dimensions)),
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "concatenate": _concatenate,
    "split": _split,
    "pad": _pad,
    "iota": _iota,
    "dot_general": _dot_general,
    "reduce_sum": _reduction(np.sum),
    "reduce_prod": _reduction(np.prod),
    "reduce_and": lambda x, *, axes, **_: np.asarray(np.all(x, axis=tuple(axes))),
    "reduce_or": lambda x, *, axes, **_: np.asarray(np.any(x, axis=tuple(axes))),
    "reduce_max": _extreme(np.max, -np.inf),
    "reduce_min": _extreme(np.min, np.inf),
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "cumsum": _cumulative(np.add),
    "cumprod": _cumulative(np.multiply),
    "cummax": _cumulative(np.maximum),
    "cummin": _cumulative(np.minimum),
    "cumlogsumexp": _cumulative(np.logaddexp),
    "sort": _sort,
    "gather": _gather,
    "scatter": _scatter(_assign),
    "scatter-add": _scatter(np.add.at),
    "scatter-mul": _scatter(np.multiply.at),
    "scatter-max": _scatter(np.maximum.at),
    "scatter-min": _scatter(np.minimum.at),
}


# Parameters that change no value here: how XLA computes, where an array lies, names, and what the dtypes say.
WITHOUT_EFFECT = frozenset(
    {"accuracy", "input_dtype", "is_stable", "out_sharding", "precision", "sharding", "weak_type"}
)


def _parameters(operation: Operation) -> frozenset[str] | None:
    """Return the parameters that an entry reads; None if it hands all of them on."""
    found = inspect.signature(operation).parameters.values()
    if any(one.kind is one.VAR_KEYWORD and one.name == "params" for one in found):
        return None
    return frozenset(one.name for one in found if one.kind is one.KEYWORD_ONLY)


READS = {name: None if name in UNCHANGED else _parameters(operation) for name, operation in NUMPY.items()}


def covers(name: str, params: dict[str, Any]) -> bool:
    """Return whether the table has a primitive with these parameters; otherwise JAX itself runs it.

    An entry covers what it reads. Any other parameter must be None, or be known to change no value: one that
    a release of JAX adds, or that nobody thought of, is never ignored in silence.
    """
    if name not in NUMPY:
        return False
    reads = READS[name]
    return reads is None or all(
        value is None or key in reads or key in WITHOUT_EFFECT for key, value in params.items()
    )


def summed_terms(name: str, operands: list[np.ndarray], out: np.ndarray, params: dict[str, Any]) -> float:
    """Return about how many terms each entry of a sum has: the longest axis where the number varies."""
    if not out.size:
        return 1.0
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return float(np.prod([operands[0].shape[axis] for axis in contracted], dtype=float))
    if name == "reduce_sum":
        return max(1.0, operands[0].size / out.size)
    return float(max((n for operand in operands for n in np.shape(operand)), default=1))
