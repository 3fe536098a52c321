"""By how much conditions are missed: numbers that are 0 where they hold, read from the comparisons in them.

`x > y` is missed by y − x where that is positive, `x == y` by x − y; of two conditions that are joined by
`or` the nearer one counts, of those joined by `and` both. A condition of another kind says nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr

from backproof.numerics.tolerance import INSIDE

OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
# Operations that put the entries of an array elsewhere.
REARRANGES = frozenset({"broadcast_in_dim", "reshape", "squeeze", "transpose", "slice", "rev", "copy"})
JOINS = ("not", "select_n", "and", "or", "reduce_and", "reduce_or", "convert_element_type")
READ = frozenset({*OPPOSITE, *JOINS, *REARRANGES})


class Inside(NamedTuple):
    """Holds how far inside of a bound a point should come: by a length, and by a part of the bound."""

    by_length: float
    by_part: float


# Well inside first; and where a bound leaves no room for that, halfway to it.
EXACTLY = Inside(0.0, 0.0)
WAYS = (Inside(INSIDE, 0.0), Inside(0.0, 0.5))


def shortfall(conditions: Callable[..., Any], args: tuple[Any, ...], inside: Inside) -> jax.Array:
    """Return by how much conditions are missed, as a row of numbers, also while tracing.

    Args:
        conditions: returns arrays of truth values.
        args: its arguments.
        inside: how far inside of a bound counts as reaching it.
    """
    with jax.disable_jit():
        program = jax.make_jaxpr(conditions)(*args)
    run = _Run(program.jaxpr, program.consts, jax.tree.leaves(args), inside)
    rows = [jnp.ravel(row) for out in program.jaxpr.outvars for row in run.missed(out, wanted=True)]
    return jnp.concatenate([jnp.zeros(0), *rows])


class _Run:
    """Holds the values of a program and what made them, for as long as its conditions are read."""

    def __init__(self, jaxpr: Any, consts: Sequence[Any], leaves: Sequence[Any], inside: Inside) -> None:
        self._made = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
        self._inside, self._drawn = inside, np.random.default_rng(0)
        compared = [eqn for eqn in jaxpr.eqns if eqn.primitive.name in (*OPPOSITE, "select_n")]
        read = [one for eqn in compared for one in eqn.invars if not isinstance(one, Literal)]
        needed, _ = dce_jaxpr(jaxpr.replace(outvars=read), [True] * len(read), instantiate=True)
        whole = ClosedJaxpr(needed, consts)
        self._values = dict(zip(read, jaxpr_as_fun(whole)(*leaves), strict=True))

    def _value(self, atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else self._values[atom]

    def missed(self, atom: Any, *, wanted: bool) -> list[Any]:
        """Return arrays of the shape of a condition that are all 0 where it has the wanted value."""
        eqn = None if isinstance(atom, Literal) else self._made.get(atom)
        name = eqn.primitive.name if eqn else ""
        if eqn is None or name not in READ:
            return []
        if name in OPPOSITE:
            return self._missed_by(eqn, name if wanted else OPPOSITE[name])
        if name == "not":
            return self.missed(eqn.invars[0], wanted=not wanted)
        if name == "select_n":
            which = self._value(eqn.invars[0])
            cases = [self.missed(one, wanted=wanted) for one in eqn.invars[1:3]]
            return [jnp.where(which == bool(case), row, 0) for case, rows in enumerate(cases) for row in rows]
        inner = [self.missed(one, wanted=wanted) for one in eqn.invars]
        if name in ("and", "or"):
            return inner[0] + inner[1] if (name == "and") == wanted else _nearer(*inner)
        if name in ("reduce_and", "reduce_or"):
            return inner[0] if (name == "reduce_and") == wanted else _nearest(inner[0], eqn.params["axes"])
        if name == "convert_element_type":
            return inner[0]
        return [eqn.primitive.bind(row, **eqn.params) for row in inner[0]]

    def _missed_by(self, eqn: Any, name: str) -> list[Any]:
        """Return by how much a comparison is missed, entry by entry; complex numbers have equality alone."""
        left, right = map(self._value, eqn.invars)
        if not (jnp.iscomplexobj(left) or jnp.iscomplexobj(right)):
            return [self._gap(name, left, right)]
        return [part(left - right) for part in (jnp.real, jnp.imag)] if name == "eq" else []

    def _gap(self, name: str, left: Any, right: Any) -> Any:
        """Return by how much a comparison is missed, entry by entry."""
        left, right = (jnp.asarray(side, jnp.float64) for side in (left, right))
        if name == "eq":
            return left - right
        # by another length for each entry, or they would all be alike
        shape = np.broadcast_shapes(left.shape, right.shape)
        room = self._inside.by_length * self._drawn.uniform(0.1, 1, shape)
        if name == "ne":
            return jnp.maximum(room - jnp.abs(left - right), 0)
        low, high = (left, right) if name in ("lt", "le") else (right, left)
        return jnp.maximum(low - high + room + self._inside.by_part * jnp.abs(right), 0)


def _nearer(ones: list[Any], others: list[Any]) -> list[Any]:
    """Return what misses the nearer of two conditions, entry by entry; nothing if one says nothing."""
    if not ones or not others:
        return []
    is_first = _total(ones) <= _total(others)
    return [jnp.where(is_first, row, 0) for row in ones] + [jnp.where(is_first, 0, row) for row in others]


def _nearest(rows: list[Any], axes: tuple[int, ...]) -> list[Any]:
    """Return what misses the nearest entries of a condition along axes."""
    if not rows or 0 in rows[0].shape:
        return []
    total = _total(rows)
    is_nearest = total == jnp.min(total, axes, keepdims=True)
    return [jnp.sum(jnp.where(is_nearest, row, 0), axes) for row in rows]


def _total(rows: list[Any]) -> Any:
    return sum(map(jnp.abs, rows))
