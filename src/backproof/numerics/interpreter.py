"""Runs a traced program in NumPy, as an ensemble: once as it is, and again with every rounding varied.

Monte Carlo arithmetic (Parker 1997, UCLA CSD-970002): in the perturbed replicas each result is moved by
about one unit in its last place, each sum by one unit of its summed terms. The spread of the replicas
is the rounding noise of the program at this point, cancellations included. Decisions (comparisons,
signs, orders) are taken once, by the unperturbed replica, and replayed by the others, so that noise
never crosses a kink. With `crossing` each replica decides for itself, as rounding alone might make it.
`one_sided` breaks the ties among the decisions as they fall next to the point, on one side of a kink.
Run in `longdouble`, the same program shows what remains once the rounding of float64 is gone.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics import coverage, whole_operations
from backproof.numerics.decisions import COMPARISONS, decides
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import (
    Arithmetic,
    Substitution,
    Values,
    Witness,
    as_list,
    decided,
    decided_beside,
    limit_of,
    operands_of,
    pick,
    witnessed,
)
from backproof.numerics.leaves import is_inexact, is_key
from backproof.numerics.primitives import EXACT, NUMPY, STEPS, widest
from backproof.numerics.rounding import perturbed, rounded, rounding_of_sum
from backproof.numerics.tracing import Program, float64, narrows


def run(
    program: Program,
    args: Sequence[Any],
    *,
    replicas: int = 0,
    wide: bool = False,
    seed: int = 0,
    substitution: Substitution | None = None,
    crossing: bool = False,
    witness: Witness | None = None,
) -> list[Any]:
    """Return `1 + replicas` outputs of the program, as pytrees of NumPy arrays; the first is unperturbed."""
    rng = np.random.default_rng(seed)
    how = Arithmetic(replicas, wide, rng, substitution, crossing, witness=witness)
    return _outputs(program, [(held(leaf, wide),) for leaf in jax.tree.leaves(tuple(args))], how)


def one_sided(program: Program, args: Sequence[Any], moved: Sequence[Any]) -> tuple[Any, Any]:
    """Return the program's output next to a point, and its limit from there: ties broken on that side.

    Args:
        program: the program.
        args: the point.
        moved: the point next to it.
    """
    how = Arithmetic(EFFORT.tie_replicas, wide=False, rng=np.random.default_rng(0), sided=True)
    pairs = zip(jax.tree.leaves(tuple(args)), jax.tree.leaves(tuple(moved)), strict=True)
    sides = [(held(here, wide=False), held(there, wide=False)) for here, there in pairs]
    lanes = [
        (here,) if not is_inexact(here) or here is there else (*[here] * (how.lanes - 2), there, here)
        for here, there in sides
    ]
    *_, next_to, limit = _outputs(program, lanes, how)
    return next_to, limit


def _outputs(program: Program, leaves: list[Values], how: Arithmetic) -> list[Any]:
    with float64(), np.errstate(all="ignore"):
        consts = [(held(const, how.wide),) for const in program.jaxpr.consts]
        outs = _evaluate(program.jaxpr.jaxpr, consts, leaves, how)
    return [program.tree.unflatten([pick(out, r) for out in outs]) for r in range(how.lanes)]


def held(value: Any, wide: bool) -> Any:
    """Return an array as the interpreter holds it."""
    if is_key(value):
        return value  # a PRNG key stays as JAX holds it
    array = np.asarray(value)
    return array.astype(widest(array.dtype, wide))


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
        outs = apply(eqn, [read(atom) for atom in eqn.invars], how)
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def apply(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    """Return the results of one operation, in every run."""
    if how.substitution is not None and how.substitution.eqn is eqn:
        return _substituted(eqn, operands, how.substitution)
    control = CONTROL.get(eqn.primitive.name)
    if control:
        return control(eqn, operands, how)
    inner = coverage.called(eqn)
    if inner is not None:
        return _call(inner, operands, how)
    return _computed(eqn, operands, how)


def _computed(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    """Return the results of an operation that is no call, branch or loop, in every run."""
    name, params = eqn.primitive.name, eqn.params
    # the roundings inside a kernel or a factorisation cannot be varied, so its operands are
    known = coverage.covers(name, params) and not coverage.moves_keys(eqn)
    whole = not known and whole_operations.is_whole(eqn)
    params = _widened(params, how.wide and known)
    operation = NUMPY[name] if known else whole_operations.bound(eqn)
    discrete = name in STEPS or not any(is_inexact(var.aval) for var in eqn.outvars)
    rounds = name == "convert_element_type" and narrows(eqn)
    inexact = (name not in EXACT or rounds) and not discrete
    # an operation whose operands are the same in every replica runs once, and only its rounding is varied
    varied = whole or any(len(v) > 1 for v in operands)
    deciding = discrete and decides(name, [pick(v, 0) for v in operands])
    if how.witness is not None and (deciding or name in COMPARISONS):
        witnessed(eqn, operands, params, how, how.witness, deciding=deciding)
    if how.sided and discrete and varied:
        return decided_beside(eqn, operands, operation, params, how, deciding=deciding)
    alike = (discrete and not how.crossing) or not (inexact or varied)
    runs, values, exact, terms = [], [], [], None
    for run in range(1 if alike else how.lanes):
        if how.is_limit(run):
            limit = limit_of(name, operands, params, how, runs, whole=whole)
            if limit is not None:
                runs.append(limit)
                continue
        if varied or not run:
            values = operands_of(name, operands, params, how, run)
            terms = None
            if whole and how.is_replica(run):
                exact = _beside(eqn, operands, values, how, runs)
            else:
                exact = as_list(operation(*values, **params))
        if inexact and how.is_replica(run):
            terms = terms or rounding_of_sum(name, values, operation, params)
            sizes = [rounded(values[0], exact[0])] if rounds else terms or [None] * len(exact)
            runs.append([perturbed(name, v, size, how.rng) for v, size in zip(exact, sizes, strict=True)])
        else:
            runs.append(exact)
    pairs = ((tuple(run[i] for run in runs), var) for i, var in enumerate(eqn.outvars))
    return [values if is_inexact(var.aval) else decided(values, how) for values, var in pairs]


def _beside(
    eqn: Any, operands: list[Values], values: list[Any], how: Arithmetic, runs: list[list[Any]]
) -> list[Any]:
    """Return the results of an operation on operands as other roundings might leave them.

    The first run decides in it.
    """
    first = None if how.crossing else [pick(v, 0) for v in operands]
    moved = whole_operations.varied(eqn, values, how.rng)
    try:
        return as_list(whole_operations.bound(eqn, first)(*moved))
    except Exception:
        # Code on the host may have no value beside a point; then its rounding there is not seen.
        return runs[0]


def _substituted(eqn: Any, operands: list[Values], substitution: Substitution) -> list[Values]:
    count = max(len(values) for values in operands)
    runs = [as_list(substitution.change(*(pick(v, run) for v in operands))) for run in range(count)]
    pairs = enumerate(eqn.outvars)
    return [tuple(np.broadcast_to(run[i], var.aval.shape) for run in runs) for i, var in pairs]


def _dtype(var: Any) -> Any:
    return np.bool_ if is_key(var.aval) else var.aval.dtype


def _widened(params: dict[str, Any], wide: bool) -> dict[str, Any]:
    """Return `params` with its dtypes replaced by those in which values are held."""
    keys = [key for key in ("new_dtype", "dtype") if wide and params.get(key) is not None]
    return {**params, **{key: widest(np.dtype(params[key]), wide) for key in keys}}


def _call(inner: ClosedJaxpr | Jaxpr, operands: Sequence[Values], how: Arithmetic) -> list[Values]:
    consts = [(held(c, how.wide),) for c in inner.consts] if isinstance(inner, ClosedJaxpr) else []
    return _evaluate(_inner(inner), consts, operands, how)


def _cond(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    index, *rest = operands
    branches = eqn.params["branches"]
    chosen = [int(np.clip(pick(index, lane), 0, len(branches) - 1)) for lane in range(len(index))]
    if len(set(chosen)) == 1:
        return _call(branches[chosen[0]], rest, how)
    outs = {which: _call(branches[which], rest, how) for which in set(chosen)}
    return [
        tuple(pick(outs[which][i], lane) for lane, which in enumerate(chosen))
        for i in range(len(eqn.outvars))
    ]


def _while(eqn: Any, operands: list[Values], how: Arithmetic) -> list[Values]:
    params = eqn.params
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, body_consts, carry = operands[:nc], operands[nc : nc + nb], operands[nc + nb :]
    while any(map(np.any, going := _call(params["cond_jaxpr"], [*cond_consts, *carry], how)[0])):
        after = _call(params["body_jaxpr"], [*body_consts, *carry], how)
        pairs = zip(carry, after, strict=True)
        carry = after if all(map(np.all, going)) else [_moved(*pair, going) for pair in pairs]
    return list(carry)


def _moved(before: Values, after: Values, going: Values) -> Values:
    """Return `after` where a run goes on and `before` where it has left the loop.

    Under `jax.vmap` each sample has a loop of its own as well, and all run until the last one ends.
    """
    shape = (*np.shape(going[0]), *[1] * (np.ndim(pick(after, 0)) - np.ndim(going[0])))
    where = jax.numpy.where if is_key(pick(after, 0)) else np.where
    lanes = range(max(len(before), len(after), len(going)))
    more = [np.reshape(pick(going, lane), shape) for lane in lanes]
    return tuple(where(more[lane], pick(after, lane), pick(before, lane)) for lane in lanes)


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
    return tuple(np.stack([np.asarray(pick(row, r)) for row in rows]) for r in range(count))


CONTROL: dict[str, Callable[[Any, list[Values], Arithmetic], list[Values]]] = {
    "cond": _cond,
    "while": _while,
    "scan": _scan,
    "custom_linear_solve": _linear_solve,
}
