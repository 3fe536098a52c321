"""Values as Python that rebuilds them, for examples that a reader pastes into a session.

The lines use `np`, `jnp` and `jax`; a sparse matrix also `sparse` from `jax.experimental`.
"""

import ast
import enum
from typing import Any

import jax
import numpy as np

from backproof.numerics.leaves import is_key

# Larger arrays of one number are written as np.full.
WRITTEN_OUT = 32


def pasted(tree: Any) -> str:
    """Return Python that rebuilds a pytree of arrays."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {pasted(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, tuple):
        inner = ", ".join(map(pasted, tree))
        named = hasattr(tree, "_fields")
        return f"{type(tree).__name__}({inner})" if named else f"({inner}{',' if len(tree) == 1 else ''})"
    if isinstance(tree, list):
        return "[" + ", ".join(map(pasted, tree)) + "]"
    if type(tree).__module__.startswith("jax.experimental.sparse"):
        parts = ", ".join(map(pasted, jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None)))
        return f"sparse.{type(tree).__name__}(({parts}), shape={tree.shape})"
    if tree is None or not hasattr(tree, "dtype"):
        return repr(tree)
    return _key(tree) if is_key(tree) else _array(np.asarray(tree))


def _key(key: Any) -> str:
    return f"jax.random.wrap_key_data({_array(np.asarray(jax.random.key_data(key)))})"


def _array(array: np.ndarray) -> str:
    if array.dtype == jax.dtypes.float0:
        return f"np.zeros({array.shape}, jax.dtypes.float0)"
    home = "np" if array.dtype.kind in "biufc" else "jnp"  # NumPy has no name for bfloat16
    dtype = "" if array.dtype == np.float64 else f", {home}.{array.dtype}"
    if array.size == 0:
        return f"np.zeros({array.shape}{dtype})"
    if array.size > WRITTEN_OUT and np.all(array == array.flat[0]):
        shown = f"np.full({array.shape}, {array.flat[0].item()!r}{dtype})"
    else:
        shown = f"np.array({array.tolist()!r}{dtype})"
    return shown.replace("inf", "np.inf").replace("nan", "np.nan")


def pasted_static(value: Any, name: str) -> str:
    """Return Python that gives a static argument: its value where that can be written, else its name.

    Args:
        value: the argument.
        name: the name to use where neither the value nor the function it is has a name of its own.
    """
    if isinstance(value, enum.Enum):
        return str(value) if not isinstance(value, str | int) else f"{type(value).__name__}.{value.name}"
    if isinstance(value, np.dtype):
        return f"jnp.dtype({value.name!r})"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if callable(value):
        own = getattr(value, "__name__", "")
        return own if own.isidentifier() else name
    if hasattr(value, "dtype") or _is_literal(value):
        return pasted(value)
    if hasattr(value, "__dataclass_fields__"):
        return repr(value)
    return name


def _is_literal(value: Any) -> bool:
    try:
        return ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
