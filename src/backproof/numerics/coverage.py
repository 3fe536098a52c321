"""Which operations the table of `primitives` covers: those whose every parameter its entry respects."""

import inspect
from collections.abc import Callable
from typing import Any

from jax import lax

from backproof.numerics.primitives import NUMPY, UNCHANGED

# Parameters that change no value here: how XLA computes, where an array lies, names, and what the dtypes say.
# A sort that need not be stable may be, and indices said to be sorted or unique need not be used as such.
WITHOUT_EFFECT = frozenset(
    {
        "accuracy", "indices_are_sorted", "input_dtype", "is_stable", "out_sharding", "sharding",
        "unique_indices", "weak_type",
    }
)  # fmt: skip


def _is_plain_precision(precision: Any) -> bool:
    """Return whether products are at least as precise as their dtype: no algorithm is prescribed."""
    both = precision if isinstance(precision, tuple) else (precision,)
    return all(one is None or isinstance(one, lax.Precision) for one in both)


def _keeps_the_update(jaxpr: Any) -> bool:
    """Return whether the program of a scatter returns its second operand, the update."""
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    return inner is None or (not inner.eqns and list(inner.outvars) == list(inner.invars[1:]))


# Parameters that change no value as long as they hold.
WITHOUT_EFFECT_IF: dict[str, Callable[[Any], bool]] = {
    "precision": _is_plain_precision,
    "update_consts": lambda consts: not consts,
}
# Values of parameters without which an entry does not know what to do.
ONLY_IF: dict[str, dict[str, Callable[[Any], bool]]] = {
    # `x.at[i].apply(f)` is a scatter whose program is f
    "scatter": {"update_jaxpr": _keeps_the_update},
    # the name of each of these says what its program does
    **{f"scatter-{how}": {"update_jaxpr": lambda _: True} for how in ("add", "sub", "mul", "max", "min")},
}


def _parameters(operation: Callable[..., Any]) -> frozenset[str]:
    """Return the parameters that an entry reads."""
    found = inspect.signature(operation).parameters.values()
    return frozenset(one.name for one in found if one.kind is one.KEYWORD_ONLY)


READS = {name: _parameters(operation) for name, operation in NUMPY.items()}


def covers(name: str, params: dict[str, Any]) -> bool:
    """Return whether the table has a primitive with these parameters; otherwise JAX itself runs it.

    An entry covers what it reads. Any other parameter must be None, or be known to change no value: one that
    a release of JAX adds, or that nobody thought of, is never ignored in silence.
    """
    if name in UNCHANGED:
        return True
    return name in NUMPY and all(
        value is None or _respects(name, key, value) for key, value in params.items()
    )


def _respects(name: str, key: str, value: Any) -> bool:
    """Return whether an entry of the table computes what a parameter of this value says."""
    condition = ONLY_IF.get(name, {}).get(key) or WITHOUT_EFFECT_IF.get(key)
    if condition is not None:
        return condition(value)
    return key in READS[name] or key in WITHOUT_EFFECT
