"""Sums over devices that the hand-written side forgets, or takes too often.

A program for several devices (`shard_map`) is run once more on the same mesh, with one collective changed:
`psum`, `pmean` or `pmax` over an axis of the mesh after an operation of one device, or a `psum` left out.
What makes the result right at every point looked at is the slip. Along an axis of one device nothing of this
can be seen, of which the report has a note.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics.comparison import same
from backproof.numerics.coverage import called
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Substitution, as_list
from backproof.numerics.leaves import is_inexact
from backproof.numerics.noise import measure_program
from backproof.verification.diagnosis.compared import Compared, noise_of_ratio
from backproof.verification.diagnosis.operations import Held, Place, line_of, places
from backproof.verification.running.evaluator import Evaluator

# A place that is no operation: a result of the program, whatever made it.
RESULT = "result"
SUMS = ("psum", "psum_invariant", "psum2")
# What one device computes of its part where all of it is meant, and what gives all of it.
OF_A_PART: dict[str, tuple[Any, ...]] = {
    "dot_general": (lax.psum,),
    "reduce_sum": (lax.psum, lax.pmean),
    "reduce_max": (lax.pmax,),
    "reduce_min": (lax.pmin,),
}


class Change(NamedTuple):
    """Holds one way to change one operation inside the program of a device.

    Attributes:
        cause: the slip that it turns back.
        place: where that operation stands.
        axes: the axes of the mesh.
        collective: what its result goes through; None where the operation itself is left out.
    """

    cause: str
    place: Place
    axes: tuple[str, ...]
    collective: Callable[..., Any] | None

    def through(self, value: Any) -> Any:
        """Return a value after the collective."""
        return value if self.collective is None else self.collective(value, self.axes)

    def words(self, at: Compared, where: str) -> str:
        """Return the slip in a sentence."""
        names = ", ".join(self.axes)
        if self.collective is None:
            return f"{at.name} is summed over the devices along {names} once too often{where}"
        return f"{at.name} is one device's part: {self.collective.__name__} over {names} is missing{where}"


def explaining_collective(
    cause: str, hand: Evaluator, wrong: Sequence[Compared], right: Callable[[], Sequence[Compared]]
) -> tuple[str, str] | None:
    """Return cause and sentence of the one collective with which the leaf is right at every point.

    Args:
        cause: the slip that is looked for.
        hand: the hand-written side.
        wrong: points at which the leaf is wrong, the smallest first.
        right: gives points at which it may be right.
    """
    first, tried = wrong[0], 0
    for place, parts in _on_parts(hand, first).items():
        for change in (one for one in _changes(parts.eqn) if one.cause == cause):
            tried += 1
            if tried > EFFORT.collectives:
                return None
            if all(_is_right(hand, one, place, change) for one in wrong[: EFFORT.slip_witnesses]) and all(
                _is_right(hand, one, place, change) for one in right()[: EFFORT.slip_witnesses]
            ):
                line = line_of(_made(parts.eqn.params["jaxpr"], change.place), parts.eqn)
                return change.cause, change.words(first, f", after {line}" if line else "")
    return None


def _on_parts(hand: Evaluator, at: Compared) -> dict[Place, Held]:
    """Return the operations of the hand-written side that run a program on several devices."""
    found = places(hand.program(at.point).jaxpr.jaxpr, frozenset({"shard_map"}))
    return {place: held for place, held in found.items() if _axes(held.eqn)}


def _axes(eqn: Any) -> tuple[str, ...]:
    """Return the axes of a mesh along which there are several devices."""
    return tuple(str(name) for name, size in eqn.params["mesh"].shape.items() if size > 1)


def _changes(eqn: Any) -> list[Change]:
    """Return the ways to change the collectives in the program of a device, those of its results first."""
    program, axes = eqn.params["jaxpr"], _axes(eqn)
    over = [*((name,) for name in axes), *([axes] if len(axes) > 1 else [])]
    own = {place: held.eqn for place, held in places(program).items()}
    dropped = [
        Change("surplus-psum", place, tuple(map(str, one.params["axes"])), None)
        for place, one in own.items()
        if place[0] in SUMS
    ]
    after: list[tuple[Place, Any]] = [
        ((RESULT, "", number), how)
        for number, var in enumerate(program.outvars)
        if is_inexact(var.aval)
        for how in (lax.psum, lax.pmean)
    ]
    partial = [place for place in own if place[0] in OF_A_PART]
    after += [(place, how) for place in reversed(partial) for how in OF_A_PART[place[0]]]
    return [*dropped, *(Change("missing-psum", place, names, how) for place, how in after for names in over)]


def _made(program: Jaxpr, place: Place) -> Any:
    """Return the operation at a place, or the one that makes a result; None if the program has none such."""
    if place[0] != RESULT:
        held = places(program).get(place)
        return held and held.eqn
    return _maker(program, program.outvars[place[2]])


def _maker(program: Jaxpr, var: Any) -> Any:
    """Return the operation that makes a variable, inside the programs that are called; None for an input."""
    for eqn in program.eqns:
        for number, out in enumerate(eqn.outvars):
            if out is var:
                inner = called(eqn)
                bare = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
                return (bare and _maker(bare, bare.outvars[number])) or eqn
    return None


def _is_right(hand: Evaluator, at: Compared, where: Place, change: Change) -> bool:
    """Return whether the leaf is right with a change in the program that runs at some place."""
    held = _on_parts(hand, at).get(where)
    if held is None or _made(held.eqn.params["jaxpr"], change.place) is None:
        return not at.is_wrong  # at this size there is nothing to change
    changed = _changed(held.eqn, change)
    try:
        program = hand.program(at.point)
        found = measure_program(program, at.point, substitution=Substitution(held.eqn, changed))
    except Exception:
        # JAX refuses a sum over devices that hold the same value: then none is missing there.
        return False
    value = jax.tree.leaves(found.value)[[leaf.path for leaf in at.leaves].index(at.leaf.path)]
    devices = float(np.prod([held.eqn.params["mesh"].shape[name] for name in change.axes]))
    return same(value, at.leaf.true, noise_of_ratio(at.leaf.noise, devices))


@functools.lru_cache(maxsize=EFFORT.kernels)
def _changed(eqn: Any, change: Change) -> Callable[..., Any]:
    """Return the operation with the change in its program, compiled."""
    names = {"in_specs", "out_specs", "check_vma"}
    params = {name: eqn.params[name] for name in names if name in eqn.params}
    program, mesh = eqn.params["jaxpr"], eqn.params["mesh"]
    manual = eqn.params.get("newly_manual_axes", frozenset(mesh.shape))
    at = None if change.place[0] == RESULT else _made(program, change.place)

    def local(*operands: Any) -> tuple[Any, ...]:
        outs = _run(program, (), at, change, operands)
        result = change.place[2] if at is None else None
        return tuple(change.through(out) if number == result else out for number, out in enumerate(outs))

    sharded = jax.shard_map(local, mesh=mesh, axis_names=set(manual), **params)
    compiled = jax.jit(sharded)
    return lambda *operands: [np.asarray(out) for out in compiled(*map(_narrow, operands))]


def _narrow(operand: Any) -> Any:
    return np.asarray(operand, np.result_type(operand.dtype, np.float64)) if is_inexact(operand) else operand


def _run(
    program: Jaxpr, consts: Sequence[Any], at: Any, change: Change, operands: Sequence[Any]
) -> list[Any]:
    """Run the program of one device with a change at one operation; programs that are called run in place."""
    known = dict(zip((*program.constvars, *program.invars), (*consts, *operands), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in program.eqns:
        given, inner = [read(atom) for atom in eqn.invars], called(eqn)
        if eqn is at and change.collective is None:
            outs = given
        elif inner is not None:
            bare = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
            held = inner.consts if isinstance(inner, ClosedJaxpr) else ()
            outs = _run(bare, held, at, change, given)
        else:
            outs = as_list(eqn.primitive.bind(*given, **eqn.primitive.get_bind_params(eqn.params)))
        outs = list(map(change.through, outs)) if eqn is at else outs
        known.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in program.outvars]
