"""Which single slip in autodiff's own program gives the hand-written value?

The oracle's traced program is run again with one operation changed as a slip of the pen would change it:
a term of a sum dropped, a factor of a product dropped, a minus sign lost. If at every failing point the
changed program gives what was written by hand, in every leaf, then that slip explains it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from backproof.numerics.comparison import same
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Substitution
from backproof.numerics.noise import measure_program
from backproof.verification.diagnosis.compared import Compared
from backproof.verification.diagnosis.operations import Held, Place, line_of, places
from backproof.verification.running.evaluator import Evaluator


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
CAUSES = ("dropped-term", "doubled-term", "dropped-factor", "term-sign")
SLIPS: dict[str, tuple[Slip, ...]] = {
    "add": (Slip("dropped-term", "the second term of a sum dropped", _only(0), 1),
            Slip("dropped-term", "the first term of a sum dropped", _only(1), 0),
            Slip("doubled-term", "the first term of a sum doubled", lambda a, b: a + a + b, 0),
            Slip("doubled-term", "the second term of a sum doubled", lambda a, b: a + b + b, 1),
            Slip("term-sign", "a term of a sum subtracted", lambda a, b: a - b, 1)),
    "sub": (Slip("dropped-term", "the subtracted term dropped", _only(0), 1),
            Slip("dropped-term", "the first term of a difference dropped", _negative_second, 0),
            Slip("dropped-term", "b in place of a difference a − b (s for 1 − s)", _only(1), 0),
            Slip("doubled-term", "the subtracted term doubled", lambda a, b: a - b - b, 1),
            Slip("term-sign", "a subtracted term added", lambda a, b: a + b, 1)),
    "mul": (Slip("dropped-factor", "the second factor of a product dropped", _only(0), 1),
            Slip("dropped-factor", "the first factor of a product dropped", _only(1), 0)),
    "div": (Slip("dropped-factor", "a division dropped", _only(0), 1),),
    "neg": (Slip("term-sign", "a minus sign lost", _only(0)),),
}  # fmt: skip
SLIPS["add_any"] = SLIPS["add"]
KNOWN = frozenset(SLIPS)


def explaining_slip(
    truth: Evaluator, failures: Sequence[Compared], right: Callable[[], Sequence[Compared]] = tuple
) -> tuple[str, str] | None:
    """Return cause and sentence of the one slip that gives the hand-written result at every point.

    Args:
        truth: autodiff of the primal, in whose program the slips are planted.
        failures: points at which the result is wrong, the smallest first.
        right: gives points at which it is right.
    """
    first = failures[0]
    held = places(truth.program(first.point).jaxpr.jaxpr, KNOWN)
    candidates = [
        (place, slip)
        for cause in CAUSES
        for place, one in held.items()
        for slip in SLIPS[place[0]]
        if slip.cause == cause and _keeps_shape(one.eqn)
    ]
    if len(candidates) > EFFORT.slips:
        return None
    for place, slip in candidates:
        if all(_explains(truth, one, place, slip) for one in failures) and all(
            _explains(truth, one, place, slip) for one in right()[: EFFORT.slip_witnesses]
        ):
            where = _source(held[place], slip)
            return slip.cause, f"{first.name} is {first.meant} with {slip.words}{where}"
    return None


def _source(held: Held, slip: Slip) -> str:
    """Return the line of the primal from whose derivative the lost operand comes; empty if none is known."""
    lost = None if slip.lost is None else held.eqn.invars[slip.lost]
    made = [one for one in held.within[-1].eqns if any(lost is out for out in one.outvars)]
    if lost is not None and not made and not isinstance(lost, Literal):
        return ""  # the cotangent itself, or an argument, which no line computes
    # inside JAX's own calls no line of the user's is known
    line = line_of(*made, held.eqn, *reversed(held.calls))
    return f"; the slip belongs to the derivative of {line}" if line else ""


def _explains(truth: Evaluator, at: Compared, place: Place, slip: Slip) -> bool:
    """Return whether the program with this slip gives every leaf of the hand-written result."""
    program = truth.program(at.point)
    held = places(program.jaxpr.jaxpr, KNOWN).get(place)
    if held is None:  # at this size there is nothing to slip in, so the result should be right
        return not any(np.any(leaf.wrong) for leaf in at.leaves)
    changed = measure_program(program, at.point, substitution=Substitution(held.eqn, _spread(slip.change)))
    parts = zip(at.leaves, *map(jax.tree.leaves, (changed.value, changed.noise)), strict=True)
    return all(same(leaf.mine, value, noise + leaf.noise) for leaf, value, noise in parts)


def _keeps_shape(eqn: Any) -> bool:
    """Return whether each operand could take the place of the result."""
    out = eqn.outvars[0].aval
    alike = all(isinstance(one, Literal) or one.aval.shape == out.shape for one in eqn.invars)
    return alike and np.issubdtype(out.dtype, np.inexact)


def _spread(change: Callable[..., Any]) -> Callable[..., Any]:
    """Return a change whose result has the shape of the operation's, where an operand has a smaller one."""

    def changed(*operands: Any) -> Any:
        shape = np.broadcast_shapes(*map(np.shape, operands))
        return np.broadcast_to(change(*operands), shape)

    return changed
