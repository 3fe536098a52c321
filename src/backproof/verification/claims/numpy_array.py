"""An array of JAX that NumPy code can use as one of its own: in arithmetic, with an index, and to write into.

NumPy hands every ufunc (NEP 13) and every function (NEP 18) of such an array to the function of the same name
in `jax.numpy`, so that JAX can trace and differentiate NumPy code. What NumPy code computes from constants
alone stays in NumPy.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import jax.scipy.special
import numpy as np
from jax.core import Tracer

from backproof.verification.claims.deciding import LeavesNumpyError, decided
from backproof.verification.claims.masked_array import Masked, is_mask, masked, written

# Options of NumPy that say nothing about values.
IGNORED = (
    "order",
    "subok",
    "casting",
    "like",
    "optimize",
    "overwrite_a",
    "overwrite_b",
    "check_finite",
    "copy",
)
RENAMED = {"a_min": "min", "a_max": "max"}
HOMES = {"linalg": jnp.linalg, "fft": jnp.fft}
# Functions whose first argument is a sequence of arrays; any other list of arrays is one array.
OF_SEQUENCES = (
    "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "block", "select", "multi_dot",
    "einsum", "broadcast_arrays", "meshgrid", "ix_", "block_diag",
)  # fmt: skip
WRITERS = ("copyto", "fill_diagonal", "put_along_axis", "putmask")
AT = {"add": "add", "multiply": "multiply", "maximum": "max", "minimum": "min", "divide": "divide"}


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """Holds an array of JAX, or of NumPy where it holds constants; it is a class because it is written into.

    A part of it, taken by whole numbers and slices, is a view: what is written into one is in the other.
    """

    __array_priority__ = 1000

    def __init__(self, held: Any, base: "Array | None" = None, index: Any = None) -> None:
        """Hold an array, or the part of `base` at `index`."""
        self._held, self._base, self._index = held, base, index

    @property
    def value(self) -> Any:
        """The array itself."""
        return self._held if self._base is None else self._base.value[self._index]

    def write(self, new: Any) -> None:
        """Replace every entry."""
        if self._base is not None:
            self._base[self._index] = new
            return
        old, new = self._held, plain(new)
        like = jnp if is_traced((old, new)) else np
        self._held = like.broadcast_to(like.asarray(new), old.shape).astype(old.dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        """Call a ufunc, or one of its methods, in JAX."""
        if method == "at":
            target, index, *operand = inputs
            operand = [-plain(operand[0])] if ufunc is np.subtract else [*map(plain, operand)]
            at = AT.get("add" if ufunc is np.subtract else ufunc.__name__)
            if at is None:
                raise LeavesNumpyError(f"np.{ufunc.__name__}.at")
            target.write(getattr(jnp.asarray(target.value).at[_indices(index)], at)(*operand))
            return None
        if any(isinstance(one, Masked) for one in inputs):
            return NotImplemented
        name = None if method == "__call__" else method
        return called(ufunc, inputs, {**named, **({"out": out} if out else {})}, method=name)

    def __array_function__(self, function: Any, types: Any, args: Any, named: Any) -> Any:
        """Call a function of NumPy in JAX."""
        del types
        return called(function, args, named)

    def __getitem__(self, index: Any) -> Any:
        """Return a view for whole numbers and slices, and a copy for arrays of indices."""
        inside = _indices(index)
        if is_mask(inside):
            return masked(self.value, inside)
        parts = inside if isinstance(inside, tuple) else (inside,)
        basic = all(
            part is None or part is ... or isinstance(part, int | np.integer | slice) for part in parts
        )
        found = jnp.asarray(self.value)[inside] if is_traced((self.value, inside)) else self.value[inside]
        return Array(None, self, inside) if basic and np.ndim(found) else Array(found)

    def __setitem__(self, index: Any, new: Any) -> None:
        """Write into the entries at an index."""
        inside = _indices(index)
        if isinstance(new, Masked) or (is_mask(inside) and is_traced((inside, self.value, new))):
            self.write(written(self.value, inside, new if isinstance(new, Masked) else plain(new)))
            return
        old, new = self.value, plain(new)
        if is_traced((old, new, inside)):
            self.write(jnp.asarray(old).at[inside].set(jnp.asarray(new).astype(old.dtype)))
            return
        copy = np.array(old)
        copy[inside] = new
        self.write(copy)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute or a method of the array."""
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(jnp.asarray(self.value) if is_traced(self.value) else self.value, name)
        if not callable(found) or isinstance(found, np.dtype):
            return wrapped(found)
        return lambda *args, **named: _into(
            named.pop("out", None), found(*map(plain, args), **_options(named))
        )

    def sort(self, axis: int = -1) -> None:
        """Sort in place."""
        self.write(called(np.sort, (self,), {"axis": axis}))

    def fill(self, value: Any) -> None:
        """Replace every entry by a number."""
        self.write(value)

    def copy(self, order: str = "C") -> "Array":
        """Return a copy."""
        del order
        return Array(self.value)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows, which are views."""
        return (self[i] for i in range(len(self)))

    def __jax_array__(self) -> Any:
        """Return the array of JAX: code may use both NumPy and JAX."""
        return jnp.asarray(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """Return the numbers, where they are constants."""
        del copy
        return np.asarray(_numbers(self.value), dtype)

    def item(self, *place: int) -> Any:
        """Return one entry, by which JAX can differentiate."""
        return self.reshape(-1)[place[0] if place else 0] if len(place) < 2 else self[place]

    def tolist(self) -> Any:
        """Return lists of entries, by which JAX can differentiate."""
        return [one.tolist() for one in self] if np.ndim(self.value) else self

    def __bool__(self) -> bool:
        """Return the truth of one number, where it is a constant or the path is known."""
        return decided(bool, self.value)

    def __float__(self) -> float:
        """Return one constant."""
        return float(_numbers(self.value))

    def __int__(self) -> int:
        """Return one whole number, where it is a constant or the path is known."""
        return decided(int, self.value)

    def __index__(self) -> int:
        """Return one whole number, where it is a constant or the path is known."""
        return decided(int, self.value)


def called(function: Any, args: Any, named: dict[str, Any], method: str | None = None) -> Any:
    """Return a function of NumPy or SciPy, called in JAX where an argument is traced."""
    name = getattr(function, "__name__", "")
    if name in WRITERS:
        return _write(name, *args, **named)
    args = tuple(args if name in OF_SEQUENCES else map(_joined, args))
    inside, options = plain(args), plain(named)
    out = named.get("out")
    options.pop("out", None)
    if not is_traced((inside, options)):
        run = getattr(function, method) if method else function
        return _into(out, run(*inside, **options))
    found = in_jax(function)
    if method:
        found = getattr(found, method, None)
    if found is None:
        raise LeavesNumpyError(f"{name} has no form in jax.numpy")
    where = options.pop("where", None) if isinstance(function, np.ufunc) and not method else None
    result = found(*inside, **_options(options))
    if where is not None and where is not True:
        kept = plain(out[0] if isinstance(out, tuple) else out) if out is not None else jnp.zeros_like(result)
        result = jnp.where(where, result, kept)
    return _into(out, result)


def in_jax(function: Any) -> Callable[..., Any] | None:
    """Return the function of JAX that has the name of one of NumPy or SciPy; None where there is none."""
    name, module = getattr(function, "__name__", ""), str(getattr(function, "__module__", "") or "")
    name = {"psi": "digamma"}.get(name, name)
    if isinstance(function, np.ufunc):
        return getattr(jnp, name, None) or getattr(jax.scipy.special, name, None)
    if module.startswith("scipy"):
        homes: tuple[Any, ...] = (jax.scipy.linalg,) if "linalg" in module else (jax.scipy.special,)
    else:
        homes = next(((home,) for part, home in HOMES.items() if part in module), (jnp,))
    return next((getattr(home, name) for home in homes if hasattr(home, name)), None)


def plain(tree: Any) -> Any:
    """Return a tree with the arrays inside its `Array`s."""
    if isinstance(tree, Array):
        return tree.value
    if isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        return type(tree)(map(plain, tree))
    return {key: plain(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def wrapped(tree: Any) -> Any:
    """Return a tree with every array in an `Array`."""
    if isinstance(tree, jax.Array | np.ndarray | np.generic):
        return Array(tree)
    if isinstance(tree, list | tuple):
        inside = map(wrapped, tree)
        return type(tree)(*inside) if hasattr(tree, "_fields") else type(tree)(inside)
    return {key: wrapped(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def is_traced(tree: Any) -> bool:
    """Return whether a tree holds an array of JAX."""
    if isinstance(tree, list | tuple):
        return any(map(is_traced, tree))
    if isinstance(tree, Array | Masked):
        return is_traced(tree.value)
    return is_traced(list(tree.values())) if isinstance(tree, dict) else isinstance(tree, jax.Array)


def _joined(arg: Any) -> Any:
    """Return a list that holds arrays as one array."""
    if isinstance(arg, list) and is_traced(arg):
        return Array(jnp.asarray(plain(arg)))
    return arg


def _into(out: Any, result: Any) -> Any:
    target = out[0] if isinstance(out, tuple) else out
    if target is None:
        return wrapped(result)
    if not isinstance(target, Array):
        raise LeavesNumpyError("an array that NumPy made is written into")
    target.write(result)
    return target


def _write(name: str, target: Any, *args: Any, **named: Any) -> None:
    """Call one of the functions of NumPy that write into their first argument."""
    if not isinstance(target, Array):
        raise LeavesNumpyError(f"np.{name} writes into an array that NumPy made")
    if name in ("copyto", "putmask"):
        mask, new = (named.get("where", True), args[0]) if name == "copyto" else args
        target.write(called(np.where, (mask, new, target), {}))
    else:
        found = getattr(jnp, name)
        target.write(found(jnp.asarray(target.value), *plain(args), **plain(named), inplace=False))


def _options(named: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a call that JAX knows, dtypes as JAX holds them under its current settings."""
    kept = {RENAMED.get(key, key): value for key, value in named.items() if key not in IGNORED}
    if kept.get("dtype") is not None:
        kept["dtype"] = jax.dtypes.canonicalize_dtype(np.dtype(kept["dtype"]))
    return kept


def _indices(index: Any) -> Any:
    """Return an index with the arrays inside it; a list of indices is an array of them."""
    if isinstance(index, tuple):
        return tuple(map(_indices, index))
    if isinstance(index, list):
        return jnp.asarray(plain(index)) if is_traced(index) else np.asarray(index)
    return index.value if isinstance(index, Array) else index


def _numbers(value: Any) -> Any:
    if isinstance(value, Tracer):
        raise LeavesNumpyError("the numbers of an argument are needed, for a size or another library")
    return value
