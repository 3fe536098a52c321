"""The constants in the code of both sides, used as fuzzers use a dictionary.

Numbers drawn without knowledge of the code meet a branch at 20, a clip at 6 or a guard of 1e-8 only by luck.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics.decisions import COMPARISONS
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import is_floating
from backproof.numerics.tolerance import LARGEST_CONSTANT
from backproof.numerics.tracing import Program, inner_programs
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.point import point_of

# Numbers that are drawn anyway.
KNOWN = (0.0, 0.5, 1.0, 2.0)
# A factor shifts no branch.
FACTORS = frozenset({"mul", "div", "dot_general", "integer_pow", "pow"})


def constants_of(evaluators: Evaluators) -> tuple[float, ...]:
    """Return the constants in either side except factors: thresholds, guards, bounds."""
    return constants_in(program.jaxpr for program in _programs(evaluators))


def constants_in(programs: Iterable[ClosedJaxpr]) -> tuple[float, ...]:
    """Return the constants in some programs except factors, at most a few of every magnitude."""
    found = {abs(number) for program in programs for number in _constants(program)} - set(KNOWN)
    fitting = sorted(number for number in found if number <= LARGEST_CONSTANT)
    # if there are many, some of every magnitude are kept
    some = np.linspace(0, len(fitting) - 1, min(len(fitting), EFFORT.constants)).astype(int)
    return tuple(fitting[i] for i in some)


def integers_of(evaluators: Evaluators) -> tuple[int, ...]:
    """Return the whole numbers with which either side compares others, for their meaning is their own."""
    found = {number for program in _programs(evaluators) for number in _compared(program.jaxpr)}
    return tuple(sorted(found, key=abs)[: EFFORT.constants])


def _programs(evaluators: Evaluators) -> list[Program]:
    """Return both programs at plain numbers; none if there are no such draws, or the code raises."""
    draws = [one for one in evaluators.claim.points.plain() if not one.empty]
    try:
        points = [point_of(evaluators.claim, one) for one in draws[-1:]]
        return [side.program(point) for point in points for side in (evaluators.truth, evaluators.hand)]
    except Exception:
        # What the code raises is reported where it is run.
        return []


def _compared(program: ClosedJaxpr | Jaxpr) -> Iterator[int]:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in COMPARISONS:
            held = [atom.val for atom in eqn.invars if isinstance(atom, Literal)]
            yield from (int(value) for value in held if np.issubdtype(np.asarray(value).dtype, np.integer))
        for one in inner_programs(eqn.params):
            yield from _compared(one)


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
