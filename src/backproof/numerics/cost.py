"""What a program costs to run: its operations, and the entries that they compute."""

import math
from typing import NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr

from backproof.numerics.effort import EFFORT
from backproof.numerics.tracing import inner_programs


class Cost(NamedTuple):
    """Holds the cost of a program: operations written, operations run, and entries computed."""

    operations: int
    run: int
    entries: int

    @property
    def interpreted(self) -> int:
        """The work of the interpreter, in entries."""
        return self.entries + EFFORT.operation * self.run


def cost_of(program: ClosedJaxpr | Jaxpr) -> Cost:
    """Return the cost of a program; each pass through a loop of known length counts."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    operations = run = entries = 0
    for eqn in jaxpr.eqns:
        inner = [cost_of(one) for one in inner_programs(eqn.params)]
        times = eqn.params.get("length", 1)
        operations += 1 + sum(cost.operations for cost in inner)
        run += 1 + times * sum(cost.run for cost in inner)
        entries += sum(math.prod(getattr(var.aval, "shape", ())) for var in eqn.outvars)
        entries += times * sum(cost.entries for cost in inner)
    return Cost(operations, run, entries)
