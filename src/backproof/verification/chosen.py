"""Points chosen for the code at hand: axes longer than its blocks, numbers beside the constants it names.

A branch at 20, a clip at 6 or a guard of 1e-8 is met by numbers drawn without knowing of it only by luck.
Fuzzers keep a dictionary for that; here it is read from the traced programs of both sides.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.verification.lengths import inner_programs, long_draws
from backproof.verification.oracles import point_of
from backproof.verification.points import Drawn
from backproof.verification.runners import Runners
from backproof.verification.values import Style, as_long_as, beside

# Numbers that are drawn anyway, and infinities.
KNOWN = (0.0, 0.5, 1.0, 2.0, math.inf)
# A factor shifts no branch.
FACTORS = frozenset({"mul", "div", "dot_general", "integer_pow", "pow"})
CONSTANTS_AT_MOST = 16
# A norm, or its square, is guarded by the smallest of them, if it is no guard of a division by 0.
GUARDS_AT_MOST, LEAST = 4, 1e-30
# Draws at each size of the menu that are made beside constants, and of all draws the part they may be.
ROUNDS = 3
SHARE = 4


def chosen_draws(runners: Runners, examples: int, seed: int) -> list[Drawn]:
    """Return draws with one long axis each, and draws beside the constants of the code."""
    long = long_draws(runners.float64, runners.lengths, seed)
    found = runners.remembered("constants", lambda: constants_of(runners))
    if not found:
        return long[:examples]
    guards = [length for constant in found if constant > LEAST for length in (constant, constant**0.5)]
    styles = [Style(beside(found))] * ROUNDS + [Style(as_long_as(one)) for one in guards[:GUARDS_AT_MOST]]
    rounds = [runners.claim.points.styled(style, ROUNDS * seed + i) for i, style in enumerate(styles)]
    marked = [one for made in rounds for one in made if not one.empty]
    return [*long, *marked[: examples // SHARE]][:examples]


def constants_of(runners: Runners) -> tuple[float, ...]:
    """Return the constants that stand in either side, but for factors: thresholds, guards, bounds."""
    draws = [one for one in runners.claim.points.plain() if not one.empty]
    if not draws:
        return ()
    try:
        point = point_of(runners.claim, draws[-1])
        programs = [runners.float64.program_of_truth(point), runners.float64.program_of_hand(point)]
    except Exception:
        # What the code raises is told where it is run.
        return ()
    found = {abs(number) for program in programs for number in _constants(program.jaxpr)}
    return tuple(sorted(found - set(KNOWN))[:CONSTANTS_AT_MOST])


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
    return np.ndim(value) == 0 and jnp.issubdtype(jnp.result_type(value), jnp.floating) and value == value
