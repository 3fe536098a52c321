"""Which single slip in autodiff's own program gives the hand-written value?

The oracle's traced program is run again with one operation changed as a slip of the pen would change it:
a term of a sum dropped, a factor of a product dropped, a minus sign lost. If at every failing point the
changed program gives what was written by hand, in every leaf, then that slip explains it.
"""

import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.extend.source_info_util import summarize

from backproof.numerics.comparison import same
from backproof.numerics.coverage import CALLS
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Substitution
from backproof.numerics.noise import measure_program
from backproof.numerics.tracing import Program
from backproof.verification.diagnosis.failure import Failure
from backproof.verification.running.evaluator import Evaluator

Place = tuple[int, ...]


class Slip(NamedTuple):
    """Holds one way to change one operation.

    Attributes:
        cause: its name in the list of causes.
        words: the change in words, for a sentence.
        change: returns the changed result from the operands.
        lost: the operand that is lost; the report names the line that computed it.
    """

    cause: str
    words: str
    change: Callable[..., Any]
    lost: int | None = None


def _only(which: int) -> Callable[..., Any]:
    return lambda *operands: operands[which]


def _negative_second(*operands: Any) -> Any:
    return -operands[1]


# The plainest explanation first. A sign comes last: if one of two equal terms is negated, as in x·x, nothing
# is left, which looks like a lost factor but is none.
CAUSES = ("dropped-term", "dropped-factor", "term-sign")
SLIPS: dict[str, tuple[Slip, ...]] = {
    "add": (Slip("dropped-term", "the second term of a sum dropped", _only(0), 1),
            Slip("dropped-term", "the first term of a sum dropped", _only(1), 0),
            Slip("term-sign", "a term of a sum subtracted", lambda a, b: a - b, 1)),
    "sub": (Slip("dropped-term", "the subtracted term dropped", _only(0), 1),
            Slip("dropped-term", "the first term of a difference dropped", _negative_second, 0),
            Slip("dropped-term", "b in place of a difference a − b (s for 1 − s)", _only(1), 0),
            Slip("term-sign", "a subtracted term added", lambda a, b: a + b, 1)),
    "mul": (Slip("dropped-factor", "the second factor of a product dropped", _only(0), 1),
            Slip("dropped-factor", "the first factor of a product dropped", _only(1), 0)),
    "div": (Slip("dropped-factor", "a division dropped", _only(0), 1),),
    "neg": (Slip("term-sign", "a minus sign lost", _only(0)),),
}  # fmt: skip
SLIPS["add_any"] = SLIPS["add"]


def explaining_slip(
    truth: Evaluator, failures: Sequence[Failure], right: Sequence[Failure] = ()
) -> tuple[str, str] | None:
    """Return cause and sentence of the one slip that gives the hand-written result at every failure.

    Where the hand-written result is right, a slip that would be seen there is refuted.

    Args:
        truth: autodiff of the primal, in whose program the slips are planted.
        failures: points at which the result is wrong, the smallest first.
        right: points at which it is right.
    """
    if not failures:
        return None
    first = failures[0]
    places = list(_places(truth.program(first.point).jaxpr.jaxpr))
    if sum(len(SLIPS[name]) for _, name in places) > EFFORT.slips:
        return None
    candidates = (
        (path, name, slip)
        for cause in CAUSES
        for path, name in places
        for slip in SLIPS[name]
        if slip.cause == cause
    )
    for path, name, slip in candidates:
        if all(
            _explains(truth, one, path, name, slip) for one in (*failures, *right[: EFFORT.slip_witnesses])
        ):
            where = _source(truth.program(first.point), path, slip)
            return slip.cause, f"result{first.leaf.path} is the gradient with {slip.words}{where}"
    return None


def _source(program: Program, path: Place, slip: Slip) -> str:
    """Return the line of the primal from whose derivative the lost operand comes; empty if none is known."""
    for depth in range(len(path), 0, -1):  # inside JAX's own calls no line of the user's is known
        held = _at(program, path[:depth])
        if held is None:
            return ""
        jaxpr, eqn = held
        if slip.lost is not None and depth == len(path):
            lost = eqn.invars[slip.lost]
            made = [one for one in jaxpr.eqns if any(lost is out for out in one.outvars)]
            if not made and not isinstance(lost, Literal):
                return ""  # the cotangent itself, or an argument, which no line computes
            eqn = made[0] if made else eqn
        found = re.match(r"(.*):(\d+):\d+ \(", summarize(eqn.source_info))
        if found:
            file, number = found[1], int(found[2])
            text = linecache.getline(file, number).strip()
            return f"; the slip belongs to the derivative of {Path(file).name}:{number}" + (
                f", {text}" if text else ""
            )
    return ""


def _explains(truth: Evaluator, failure: Failure, path: Place, name: str, slip: Slip) -> bool:
    """Return whether the program with this slip gives every leaf of the hand-written result."""
    program = truth.program(failure.point)
    held = _at(program, path)
    if held is None or held[1].primitive.name != name:
        return False
    eqn = held[1]
    changed = measure_program(program, failure.point, substitution=Substitution(eqn, slip.change))
    parts = zip(failure.leaves, *map(jax.tree.leaves, (changed.value, changed.noise)), strict=True)
    return all(same(leaf.mine, value, noise + leaf.noise) for leaf, value, noise in parts)


def _places(jaxpr: Jaxpr, path: Place = ()) -> Iterator[tuple[Place, str]]:
    """Return where a slip could be planted, inside called programs too, and the operation there."""
    for number, eqn in enumerate(jaxpr.eqns):
        inner = _called(eqn)
        if inner is not None:
            yield from _places(inner, (*path, number))
        elif eqn.primitive.name in SLIPS and _keeps_shape(eqn):
            yield (*path, number), eqn.primitive.name


def _keeps_shape(eqn: Any) -> bool:
    """Return whether each operand could take the place of the result."""
    out = eqn.outvars[0].aval
    alike = all(isinstance(one, Literal) or one.aval.shape == out.shape for one in eqn.invars)
    return alike and np.issubdtype(out.dtype, np.inexact)


def _at(program: Program, path: Place) -> tuple[Jaxpr, Any] | None:
    """Return the operation at a path, and the program that holds it."""
    jaxpr, held = program.jaxpr.jaxpr, None
    for number in path:
        if jaxpr is None or number >= len(jaxpr.eqns):
            return None
        held = jaxpr, jaxpr.eqns[number]
        jaxpr = _called(held[1])
    return held


def _called(eqn: Any) -> Jaxpr | None:
    inner = next(
        (eqn.params[key] for key in CALLS if isinstance(eqn.params.get(key), ClosedJaxpr | Jaxpr)), None
    )
    return inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
