"""The entries of an array where a mask holds, as NumPy code takes and writes them: `out[x < 0] *= 0.1`.

JAX cannot give them their own shape. They are held at the shape of the array, and the mask with them.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

# Stands where the mask does not hold: most functions are smooth there, so that no NaN reaches the gradient.
SMOOTH = 0.7236


class Masked(np.lib.mixins.NDArrayOperatorsMixin):
    """Holds the entries of an array where a mask holds."""

    value: Any
    mask: Any

    def __init__(self, value: Any, mask: Any) -> None:
        """Hold an array of the shape of the whole, and a mask of its first axes."""
        self.value, self.mask = value, mask

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        """Call a ufunc on entries under one mask, and numbers.

        That two masks of one shape are equal cannot be seen here; the values of the whole are compared later.
        """
        shapes = {jnp.shape(one.value) for one in inputs if isinstance(one, Masked)}
        others = [getattr(one, "value", one) for one in inputs if not isinstance(one, Masked)]
        function = getattr(jnp, ufunc.__name__, None)
        if method != "__call__" or len(shapes) > 1 or named or function is None or any(map(np.ndim, others)):
            return NotImplemented
        result = Masked(function(*(getattr(one, "value", one) for one in inputs)), self.mask)
        if out:
            out[0].value = result.value
            return out[0]
        return result

    def sum(self) -> Any:
        """Return the sum of the entries."""
        return jnp.sum(jnp.where(_over(self.mask, self.value), self.value, 0))


def is_mask(index: Any) -> bool:
    """Return whether an index is a mask that JAX traces, so that the number of its entries is unknown."""
    return isinstance(index, Tracer) and index.dtype == np.bool_


def masked(value: Any, mask: Any) -> Masked:
    """Return the entries of an array where a mask holds."""
    whole = jnp.asarray(value)
    smooth = whole if not jnp.issubdtype(whole.dtype, jnp.inexact) else jnp.asarray(SMOOTH, whole.dtype)
    return Masked(jnp.where(_over(mask, whole), whole, smooth), mask)


def written(value: Any, mask: Any, new: Any) -> Any:
    """Return an array with new numbers where a mask holds: one number, or the entries of another array."""
    whole = jnp.asarray(value)
    if isinstance(new, Masked):
        if jnp.shape(new.value) != whole.shape:
            raise TypeError("entries under one mask are written under another")
        new = new.value
    elif np.ndim(new):
        raise TypeError("an array is written under a mask, whose number of entries JAX does not know")
    return jnp.where(_over(mask, whole), jnp.asarray(new).astype(whole.dtype), whole)


def _over(mask: Any, whole: Any) -> Any:
    return jnp.reshape(mask, jnp.shape(mask) + (1,) * (jnp.ndim(whole) - jnp.ndim(mask)))
