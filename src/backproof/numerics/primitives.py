"""What each JAX primitive computes, in NumPy: the table behind `interpreter`.

Every entry takes the operands and the parameters of the primitive. NumPy needs no compilation, so a
new shape costs microseconds, and it knows `longdouble`. A primitive that is not here, or that has a
parameter which its entry does not read (`coverage`), is run by JAX itself (`whole_operations.bound`);
the tests compare every entry with XLA.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import lax

from backproof.numerics import indexing, windows

Operation = Callable[..., Any]

# These move, choose or count values and round nothing.
EXACT = frozenset(
    {
        "abs", "and", "argmax", "argmin", "broadcast_in_dim", "ceil", "clamp", "complex", "concatenate",
        "conj", "convert_element_type", "copy", "cummax", "cummin", "device_put", "dynamic_slice",
        "dynamic_update_slice", "eq", "floor", "gather", "ge", "gt", "imag", "iota", "is_finite",
        "layout_constraint", "le", "lt", "max", "mesh_cast", "min", "name", "ne", "neg", "nextafter", "not",
        "optimization_barrier", "or", "pad", "pvary", "real", "reduce_and", "reduce_max", "reduce_min",
        "reduce_or", "reduce_precision", "reduce_window_max", "reduce_window_min", "reshape", "reshard",
        "rev", "round", "scatter", "scatter-max", "scatter-min", "select_and_gather_add", "select_n",
        "sharding_constraint", "sign", "slice", "sort", "split", "squeeze", "stop_gradient", "top_k",
        "transpose", "xor",
    }
)  # fmt: skip
# Steps: decisions with a floating result, taken once like every other decision.
STEPS = frozenset({"ceil", "floor", "round", "sign"})
# Functions that two libraries may compute LIBRARY_ULPS units in the last place apart.
LOOSE = frozenset(
    {
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "bessel_i0e", "bessel_i1e", "cbrt", "cos",
        "cosh", "cumlogsumexp", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "igamma", "igammac", "log",
        "log1p", "logistic", "pow", "regularized_incomplete_beta", "rsqrt", "sin", "sinh", "tan", "tanh",
    }
)  # fmt: skip
# These err by about one unit in the last place of 1 near their zeros, wherever those lie.
ROUGH = frozenset({"lgamma", "digamma"})
# Sums of products or of entries: their rounding is that of their terms, however small the sum itself is.
SUMS = frozenset(
    {
        "conv_general_dilated", "cumsum", "dot_general", "ragged_dot_general", "reduce_sum",
        "reduce_window_sum", "scatter-add", "scatter-sub",
    }
)  # fmt: skip
# Backward-stable solvers and transforms: they err as if their inputs had moved by SOLVER_ULPS units in the
# last place.
SOLVERS = frozenset(
    {
        "cholesky", "eig", "eigh", "fft", "householder_product", "lu", "qr", "schur", "svd",
        "triangular_solve", "tridiagonal_solve",
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

    def apply(*operands: np.ndarray, **_: Any) -> np.ndarray:
        known = (np.float32, np.float64, np.complex128)
        held = [x if x.dtype in known else x.astype(np.float64) for x in operands]
        return np.asarray(function(*held)).astype(operands[0].dtype)

    return apply


def _plain(function: Operation) -> Operation:
    return lambda *operands, **_: function(*operands)


def _logistic(x: np.ndarray, **_: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a quotient; that of integers is cut towards 0, and every bit of x / 0 is set, as in XLA."""
    if not jnp.issubdtype(np.asarray(x).dtype, np.integer):
        return np.divide(x, y)
    safe = np.where(y == 0, np.ones_like(y), y)
    floored = x // safe
    cut = floored + ((x % safe != 0) & ((x < 0) != (safe < 0)))
    return np.where(y == 0, np.invert(np.zeros_like(x)), cut).astype(x.dtype)


def _rem(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.fmod(x, y) if not jnp.issubdtype(x.dtype, np.integer) else np.where(y == 0, x, np.fmod(x, y))


def _pow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.power(x, y.astype(x.dtype) if jnp.issubdtype(y.dtype, np.integer) else y)


def _complex(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """Return real + i imag; the product with i would make a NaN of an infinity."""
    out = np.array(np.broadcast_arrays(real + 0j, imag)[0])  # complex, of the same digits
    out.imag = imag
    return out


def _conj(x: np.ndarray) -> np.ndarray:
    return np.conj(x) if np.iscomplexobj(x) else np.asarray(x + 0j)


def _integer_pow(x: np.ndarray, *, y: int, **_: Any) -> np.ndarray:
    positive = np.power(x, abs(y))
    return positive if y >= 0 else np.ones_like(positive) / positive


def _round(x: np.ndarray, *, rounding_method: Any, **_: Any) -> np.ndarray:
    if rounding_method == lax.RoundingMethod.TO_NEAREST_EVEN:
        return np.rint(x)
    whole = np.trunc(x)
    return np.asarray(whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)).astype(x.dtype)


def _convert_element_type(x: Any, *, new_dtype: Any, **_: Any) -> Any:
    real = np.iscomplexobj(x) and not jnp.issubdtype(new_dtype, np.complexfloating)
    held = np.asarray(np.real(x) if real else x)
    if jnp.issubdtype(held.dtype, np.floating) and jnp.issubdtype(new_dtype, np.integer):
        return _to_integer(held, new_dtype)
    return held.astype(new_dtype)


def _to_integer(x: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the numbers cut towards 0; what is out of range is the nearest integer, and a NaN is 0."""
    least, greatest = (np.asarray(end, dtype) for end in (jnp.iinfo(dtype).min, jnp.iinfo(dtype).max))
    held = x if x.dtype == np.longdouble else x.astype(np.float64)
    above, below = held >= greatest.astype(held.dtype), held <= least.astype(held.dtype)
    inside = np.where(np.isnan(held) | above | below, 0, held).astype(dtype)
    return np.where(above, greatest, np.where(below, least, inside))


def _clamp(low: np.ndarray, x: np.ndarray, high: np.ndarray, **_: Any) -> np.ndarray:
    return np.minimum(np.maximum(x, low), high)


def _select_n(which: np.ndarray, *cases: np.ndarray, **_: Any) -> np.ndarray:
    out = cases[-1]
    for i in range(len(cases) - 2, -1, -1):
        out = np.where(np.asarray(which) <= i, cases[i], out)  # out of range, it is the nearest case
    return out


def _reduction(function: Operation) -> Operation:
    # NumPy widens small integers; in JAX they wrap
    return lambda x, *, axes, **_: np.asarray(function(x, axis=tuple(axes), dtype=x.dtype))


def _bits(ufunc: np.ufunc) -> Operation:
    return lambda x, *, axes, **_: np.asarray(ufunc.reduce(x, axis=tuple(axes)))


def zero(dtype: Any) -> Any:
    """Return the sum of no numbers."""
    return np.zeros((), dtype)


def least(dtype: Any) -> Any:
    """Return the number of a dtype that is below every other: the maximum of none."""
    if np.issubdtype(dtype, np.bool_):
        return False
    return -np.inf if jnp.issubdtype(dtype, np.inexact) else jnp.iinfo(dtype).min


def greatest(dtype: Any) -> Any:
    """Return the number of a dtype that is above every other: the minimum of none."""
    if np.issubdtype(dtype, np.bool_):
        return True
    return np.inf if jnp.issubdtype(dtype, np.inexact) else jnp.iinfo(dtype).max


def _extreme(ufunc: np.ufunc, empty: Callable[[Any], Any]) -> Operation:
    def apply(x: np.ndarray, *, axes: Any, **_: Any) -> np.ndarray:
        first = np.asarray(empty(x.dtype)).astype(x.dtype)
        return np.asarray(ufunc.reduce(x, axis=tuple(axes), initial=first)).astype(x.dtype)

    return apply


def _arg(function: Operation) -> Operation:
    return lambda x, *, axes, index_dtype, **_: np.asarray(function(x, axis=axes[0])).astype(index_dtype)


def _cumulative(ufunc: Any) -> Operation:
    def apply(x: np.ndarray, *, axis: int, reverse: bool, **_: Any) -> np.ndarray:
        if not reverse:
            return ufunc.accumulate(x, axis=axis, dtype=x.dtype)
        return np.flip(ufunc.accumulate(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)

    return apply


def _identity(*operands: Any, **_: Any) -> Any:
    return operands[0] if len(operands) == 1 else list(operands)


UNARY: dict[str, Operation] = {
    "neg": np.negative, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "exp": np.exp, "exp2": np.exp2, "log": np.log,
    "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "cbrt": np.cbrt, "abs": np.abs,
    "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "is_finite": np.isfinite, "square": np.square,
    "real": np.real, "imag": np.imag, "conj": _conj, "rsqrt": lambda x: 1 / np.sqrt(x),
}  # fmt: skip
BINARY: dict[str, Operation] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": _div, "rem": _rem,
    "max": np.maximum, "min": np.minimum, "pow": _pow, "atan2": np.arctan2, "eq": np.equal,
    "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "nextafter": np.nextafter,
    "complex": _complex,
}  # fmt: skip
SPECIAL: dict[str, Operation] = {
    "erf": scipy.special.erf, "erfc": scipy.special.erfc, "erf_inv": scipy.special.erfinv,
    "lgamma": scipy.special.gammaln, "digamma": scipy.special.digamma,
    "bessel_i0e": scipy.special.i0e, "bessel_i1e": scipy.special.i1e, "igamma": scipy.special.gammainc,
    "igammac": scipy.special.gammaincc, "regularized_incomplete_beta": scipy.special.betainc,
}  # fmt: skip
UNCHANGED = (
    "copy", "device_put", "layout_constraint", "mesh_cast", "name", "optimization_barrier", "pvary",
    "reshard", "sharding_constraint", "stop_gradient",
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
    "broadcast_in_dim": indexing.broadcast_in_dim,
    "reshape": indexing.reshape,
    "transpose": lambda x, *, permutation, **_: np.transpose(x, permutation),
    "squeeze": lambda x, *, dimensions, **_: np.squeeze(x, tuple(dimensions)),
    "rev": lambda x, *, dimensions, **_: np.flip(x, tuple(dimensions)),
    "slice": indexing.slice_,
    "dynamic_slice": indexing.dynamic_slice,
    "dynamic_update_slice": indexing.dynamic_update_slice,
    "concatenate": indexing.concatenate,
    "split": indexing.split,
    "pad": indexing.pad,
    "iota": indexing.iota,
    "dot_general": windows.dot_general,
    "conv_general_dilated": windows.conv_general_dilated,
    "reduce_window_sum": windows.reduce_window(np.add, zero),
    "reduce_window_max": windows.reduce_window(np.maximum, least),
    "reduce_window_min": windows.reduce_window(np.minimum, greatest),
    "reduce_sum": _reduction(np.sum),
    "reduce_prod": _reduction(np.prod),
    "reduce_and": _bits(np.bitwise_and),
    "reduce_or": _bits(np.bitwise_or),
    "reduce_xor": _bits(np.bitwise_xor),
    "reduce_max": _extreme(np.maximum, least),
    "reduce_min": _extreme(np.minimum, greatest),
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "cumsum": _cumulative(np.add),
    "cumprod": _cumulative(np.multiply),
    "cummax": _cumulative(np.maximum),
    "cummin": _cumulative(np.minimum),
    "cumlogsumexp": _cumulative(np.logaddexp),
    "sort": indexing.sort,
    "gather": indexing.gather,
    "scatter": indexing.scatter(indexing.assign),
    "scatter-add": indexing.scatter(np.add.at),
    "scatter-sub": indexing.scatter(np.subtract.at),
    "scatter-mul": indexing.scatter(np.multiply.at),
    "scatter-max": indexing.scatter(np.maximum.at),
    "scatter-min": indexing.scatter(np.minimum.at),
}
