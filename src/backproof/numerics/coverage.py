"""Which operations the table of `primitives` covers: those whose every parameter its entry respects.

The program of a call is run as it stands; what is neither covered nor such a call is left to JAX.
"""

import inspect
from collections.abc import Callable
from typing import Any

from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr

from backproof.numerics.leaves import is_key
from backproof.numerics.primitives import NUMPY, UNCHANGED
from backproof.numerics.tracing import AS_A_WHOLE, inner_programs, is_reference

CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
# Parameters of operations that run their program on every device of a mesh; its axes have names in there.
ON_PARTS = ("mesh", "axis_name")

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


def moves_keys(eqn: Any) -> bool:
    """Return whether an operation moves PRNG keys, which NumPy cannot hold: JAX itself runs it."""
    held = [var.aval for var in (*eqn.invars, *eqn.outvars)]
    return any(is_key(one) for one in held if hasattr(one, "dtype"))  # a token has no dtype


def called(eqn: Any) -> ClosedJaxpr | Jaxpr | None:
    """Return the program that a call runs on its operands.

    None for a kernel or a mesh, which run it on parts of them.
    """
    params = eqn.params
    if any(key in params for key in ON_PARTS):
        return None
    inner = next((params[key] for key in CALLS if isinstance(params.get(key), ClosedJaxpr | Jaxpr)), None)
    if inner is None or params.get("name") == AS_A_WHOLE:
        return None
    outer, own = ([*one.invars, *one.outvars] for one in (eqn, _bare(inner)))
    alike = len(outer) == len(own) and not any(is_reference(var) for var in own)
    return (
        inner
        if alike and all(_shape_of(a) == _shape_of(b) for a, b in zip(outer, own, strict=True))
        else None
    )


def hides_roundings(program: ClosedJaxpr | Jaxpr) -> bool:
    """Return whether a program runs a kernel: its roundings cannot be varied one by one."""
    for eqn in _bare(program).eqns:
        inner = list(inner_programs(eqn.params))
        if any(is_reference(var) for one in inner for var in _bare(one).invars):
            return True
        if any(map(hides_roundings, inner)):
            return True
    return False


def runs_other_code(program: ClosedJaxpr | Jaxpr) -> bool:
    """Return whether a program runs a kernel, or calls back into Python."""
    if hides_roundings(program):
        return True
    for eqn in _bare(program).eqns:
        if "callback" in eqn.primitive.name or any(map(runs_other_code, inner_programs(eqn.params))):
            return True
    return False


def _bare(program: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return program.jaxpr if isinstance(program, ClosedJaxpr) else program


def _shape_of(var: Any) -> tuple[int, ...]:
    return var.aval.shape
