"""The constants in the code of both sides, used as fuzzers use a dictionary.

Numbers drawn without knowledge of the code meet a branch at 20, a clip at 6 or a guard of 1e-8 only by luck.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_floating
from backproof.numerics.tolerance import LARGEST_CONSTANT
from backproof.numerics.tracing import inner_programs
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import point_of

# Numbers that are drawn anyway.
KNOWN = (0.0, 0.5, 1.0, 2.0)
# A factor shifts no branch.
FACTORS = frozenset({"mul", "div", "dot_general", "integer_pow", "pow"})


def constants_of(evaluators: Evaluators) -> tuple[float, ...]:
    """Return the constants in either side except factors: thresholds, guards, bounds."""
    draws = [one for one in evaluators.claim.points.plain() if not one.empty]
    if not draws:
        return ()
    try:
        point = point_of(evaluators.claim, draws[-1])
        programs = [evaluators.truth.program(point), evaluators.hand.program(point)]
    except Exception:
        # What the code raises is reported where it is run.
        return ()
    found = {abs(number) for program in programs for number in _constants(program.jaxpr)} - set(KNOWN)
    fitting = sorted(number for number in found if number <= LARGEST_CONSTANT)
    # if there are many, some of every magnitude are kept
    some = np.linspace(0, len(fitting) - 1, min(len(fitting), EFFORT.constants)).astype(int)
    return tuple(fitting[i] for i in some)


def _constants(program: ClosedJaxpr | Jaxpr) -> Iterator[float]:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    held = program.consts if isinstance(program, ClosedJaxpr) else []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name not in FACTORS:
            held = [*held, *(atom.val for atom in eqn.invars if isinstance(atom, Literal))]
        for one in inner_programs(eqn.params):
            yield from _constants(one)
    yield from (float(value) for value in held if _is_number(value))


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and is_floating(value) and value == value
