"""Runs a traced program in NumPy, as an ensemble: once as it is, and again with every rounding varied.

Monte Carlo arithmetic (Parker 1997, UCLA CSD-970002): in the perturbed replicas each result is moved by
about one unit in its last place, each sum by one unit of its summed terms. The spread of the replicas
is the rounding noise of the program at this point, cancellations included. Decisions (comparisons,
signs, orders) are taken once, by the unperturbed replica, and replayed by the others, so that noise
never crosses a kink. With `crossing` each replica decides for itself, as rounding alone might make it.
Run in `longdouble`, the same program shows what remains once the rounding of float64 is gone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics import coverage, indexing, whole_operations
from backproof.numerics.leaves import is_inexact, is_key
from backproof.numerics.primitives import EXACT, NUMPY, STEPS, widest
from backproof.numerics.rounding import perturbed, rounded, rounding_of_sum
from backproof.numerics.tracing import AS_A_WHOLE, Program, float64, is_reference, narrows

Values = tuple[Any, ...]  # one value, or one for each replica
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
# Parameters of operations that run their program on every device of a mesh; its axes have names in there.
ON_PARTS = ("mesh", "axis_name")


class Substitution(NamedTuple):
    """Says which one operation of a program is computed in another way.

    Attributes:
        eqn: the operation, as it stands in the program.
        change: what is computed in its place, from the same operands.
    """

    eqn: Any
    change: Callable[..., Any]


@dataclass(frozen=True)
class Arithmetic:
    """Says how the interpreter computes.

    Attributes:
        replicas: the number of perturbed runs in addition to the unperturbed one.
        wide: whether values of float64 are held in longdouble.
        rng: the source of the perturbations.
        substitution: the operation that is computed in another way, if one is.
        crossing: whether each replica takes its own decisions; branches and loops of programs (`cond`,
            `while`) always follow the first replica.
    """

    replicas: int
    wide: bool
    rng: np.random.Generator
    substitution: Substitution | None = None
    crossing: bool = False


def run(
    program: Program,
    args: Sequence[Any],
    *,
    replicas: int = 0,
    wide: bool = False,
    seed: int = 0,
    substitution: Substitution | None = None,
    crossing: bool = False,
) -> list[Any]:
    """Return `1 + replicas` outputs of the program, as pytrees of NumPy arrays; the first is unperturbed."""
    arithmetic = Arithmetic(replicas, wide, np.random.default_rng(seed), substitution, crossing)
    leaves = [(_held(leaf, wide),) for leaf in jax.tree.leaves(tuple(args))]
    with float64(), np.errstate(all="ignore"):
        consts = [(_held(const, wide),) for const in program.jaxpr.consts]
        outs = _evaluate(program.jaxpr.jaxpr, consts, leaves, arithmetic)
    return [program.tree.unflatten([_pick(out, r) for out in outs]) for r in range(replicas + 1)]


def _held(value: Any, wide: bool) -> Any:
    if is_key(value):
        return value  # a PRNG key stays as JAX holds it
    array = np.asarray(value)
    return array.astype(widest(array.dtype, wide))


def _pick(values: Values, replica: int) -> Any:
    return values[replica if len(values) > 1 else 0]


def _evaluate(
    jaxpr: Jaxpr, consts: Sequence[Values], args: Sequence[Values], how: Arithmetic
) -> list[Values]:
    env: dict[Any, Values] = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Values:
        if isinstance(atom, Literal):
            return (np.asarray(atom.val, widest(np.dtype(_dtype(atom)), how.wide)),)
        return env[atom]

    for eqn in jaxpr.eqns:
        outs = _apply(eqn, [read(atom) for atom in eqn.invars], how)
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    name, params = eqn.primitive.name, eqn.params
    if how.substitution is not None and how.substitution.eqn is eqn:
        return [_substituted(eqn, operands, how.substitution)]
    control = CONTROL.get(name)
    if control:
        return control(eqn, operands, how)
    inner = _called(eqn)
    if inner is not None:
        return _call(inner, operands, how)
    # the roundings inside a kernel or a factorisation cannot be varied, so its operands are
    known = coverage.covers(name, params) and not _moves_keys(eqn)
    whole = not known and whole_operations.is_whole(eqn)
    params = _widened(params, how.wide and known)
    operation = NUMPY[name] if known else whole_operations.bound(eqn)
    discrete = name in STEPS or not any(is_inexact(var.aval) for var in eqn.outvars)
    rounds = name == "convert_element_type" and narrows(eqn)
    inexact = (name not in EXACT or rounds) and not discrete
    # an operation whose operands are the same in every replica runs once, and only its rounding is varied
    varied = whole or any(len(v) > 1 for v in operands)
    alike = (discrete and not how.crossing) or not (inexact or varied)
    count = 1 if alike else how.replicas + 1
    runs, exact, terms = [], [], None
    for replica in range(count):
        values = [_pick(v, replica) for v in operands]
        if name == "sort" and replica and not how.crossing:
            values = _sorted_as_first(operands, values, params)
        if whole and replica:
            values = whole_operations.varied(eqn, values, how.rng)
        if varied or not replica:
            exact = _as_list(operation(*values, **params))
        if inexact and replica:
            terms = rounding_of_sum(name, values, operation, params) if varied or terms is None else terms
            sizes = [rounded(values[0], exact[0])] if rounds else terms or [None] * len(exact)
            pairs = zip(exact, sizes, strict=True)
            runs.append([perturbed(name, v, size, how.rng) for v, size in pairs])
        else:
            runs.append(exact)
    several = [tuple(run[i] for run in runs) for i in range(len(eqn.outvars))]
    pairs = zip(several, eqn.outvars, strict=True)
    return [values if how.crossing or is_inexact(var.aval) else values[:1] for values, var in pairs]


def _moves_keys(eqn: Any) -> bool:
    """Return whether an operation moves PRNG keys, which NumPy cannot hold: JAX itself runs it."""
    held = [var.aval for var in (*eqn.invars, *eqn.outvars)]
    return any(is_key(one) for one in held if hasattr(one, "dtype"))  # a token has no dtype


def _called(eqn: Any) -> ClosedJaxpr | Jaxpr | None:
    """Return the program that a call runs on its operands.

    None for a kernel or a mesh, which run it on parts of them.
    """
    params = eqn.params
    if any(key in params for key in ON_PARTS):
        return None
    inner = next((params[key] for key in CALLS if isinstance(params.get(key), ClosedJaxpr | Jaxpr)), None)
    if inner is None or params.get("name") == AS_A_WHOLE:
        return None
    outer, own = ([*one.invars, *one.outvars] for one in (eqn, _inner(inner)))
    alike = len(outer) == len(own) and not any(is_reference(var) for var in own)
    return inner if alike and all(_shape(a) == _shape(b) for a, b in zip(outer, own, strict=True)) else None


def _substituted(eqn: Any, operands: list[Values], substitution: Substitution) -> Values:
    shape = eqn.outvars[0].aval.shape
    count = max(len(values) for values in operands)
    return tuple(
        np.broadcast_to(substitution.change(*(_pick(v, replica) for v in operands)), shape)
        for replica in range(count)
    )


def _dtype(var: Any) -> Any:
    return np.bool_ if is_key(var.aval) else var.aval.dtype


def _widened(params: dict[str, Any], wide: bool) -> dict[str, Any]:
    """Return `params` with its dtypes replaced by those in which values are held."""
    keys = [key for key in ("new_dtype", "dtype") if wide and params.get(key) is not None]
    return {**params, **{key: widest(np.dtype(params[key]), wide) for key in keys}}


def _as_list(out: Any) -> list[Any]:
    return list(out) if isinstance(out, list | tuple) else [out]


def _sorted_as_first(operands: list[Values], values: list[Any], params: dict[str, Any]) -> list[Any]:
    """Return keys that sort as those of the unperturbed replica do."""
    keys = params["num_keys"]
    order = indexing.sort_order([_pick(v, 0) for v in operands[:keys]], params["dimension"])
    ranks = np.argsort(order, axis=-1)
    moved = [np.moveaxis(v, params["dimension"], -1) for v in values[:keys]]
    monotone = [np.take_along_axis(np.sort(v, axis=-1), ranks, -1) for v in moved]
    return (
        [np.moveaxis(v, -1, params["dimension"]) for v in monotone] + values[keys:] if keys == 1 else values
    )


def _call(inner: ClosedJaxpr | Jaxpr, operands: Sequence[Values], how: Arithmetic) -> list[Values]:
    consts = [(_held(c, how.wide),) for c in inner.consts] if isinstance(inner, ClosedJaxpr) else []
    return _evaluate(_inner(inner), consts, operands, how)


def _cond(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    index, *rest = operands
    branches = eqn.params["branches"]
    return _call(branches[int(np.clip(_pick(index, 0), 0, len(branches) - 1))], rest, how)


def _while(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    params = eqn.params
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts, carry = operands[:nc], operands[nc : nc + nb], operands[nc + nb :]
    while bool(np.any(_pick(_call(params["cond_jaxpr"], [*cond_consts, *carry], how)[0], 0))):
        carry = _call(params["body_jaxpr"], [*body_consts, *carry], how)
    return list(carry)


def _scan(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    body, length = eqn.params["jaxpr"], eqn.params["length"]
    ins, outs = _inner(body).invars, _inner(body).outvars
    # An array that is scanned over has one axis more outside the body than inside. The shapes show it in
    # every release of jax; the parameters that count such arrays have changed between releases.
    n_rows = sum(_shape(a) != _shape(b) for a, b in zip(eqn.invars, ins, strict=True))
    n_carry = sum(_shape(a) == _shape(b) for a, b in zip(eqn.outvars, outs, strict=True))
    first_row = len(ins) - n_rows
    consts, carry, rows = (
        operands[: first_row - n_carry],
        operands[first_row - n_carry : first_row],
        operands[first_row:],
    )
    found: list[list[Values]] = []
    for i in range(length)[::-1] if eqn.params["reverse"] else range(length):
        one = _call(body, [*consts, *carry, *(tuple(v[i] for v in row) for row in rows)], how)
        carry = one[:n_carry]
        found.append(one[n_carry:])
    found = found[::-1] if eqn.params["reverse"] else found
    ys = [_stacked([one[j] for one in found], var.aval, how) for j, var in enumerate(outs[n_carry:])]
    return [*carry, *ys]


def _linear_solve(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    """Run the program that solves; the others say what is solved, for derivatives."""
    lengths = eqn.params["const_lengths"]
    first = lengths.matvec + lengths.vecmat
    consts, right_sides = operands[first : first + lengths.solve], operands[sum(lengths) :]
    return _call(eqn.params["jaxprs"].solve, [*consts, *right_sides], how)


def _shape(var: Any) -> tuple[int, ...]:
    return var.aval.shape


def _inner(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr


def _stacked(rows: list[Values], aval: Any, how: Arithmetic) -> Values:
    if not rows:
        return (np.zeros((0, *aval.shape), widest(np.dtype(aval.dtype), how.wide)),)
    count = max(len(row) for row in rows)
    return tuple(np.stack([np.asarray(_pick(row, r)) for row in rows]) for r in range(count))


CONTROL: dict[str, Callable[[Any, list[Values], Arithmetic], list[Values]]] = {
    "cond": _cond,
    "while": _while,
    "scan": _scan,
    "custom_linear_solve": _linear_solve,
}
