"""A program evaluated once, and then again from one operation on, where its result is replaced.

Calls are opened, so that an operation inside one is reached as well; those inside branches and loops are not.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics import coverage
from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import CONTROL, apply, held
from backproof.numerics.lanes import Lanes, Values
from backproof.numerics.tracing import Program, float64


class Step(NamedTuple):
    """Holds one operation, and the places of its operands and results."""

    eqn: Any
    operands: tuple[int, ...]
    results: tuple[int, ...]


class Recording:
    """Holds every value of a program at some arguments; it is a class because values are replaced in it."""

    def __init__(self, program: Program, args: Sequence[Any]) -> None:
        """Evaluate `program` at `args`."""
        self._tree = program.tree
        self._values: list[Values] = []
        self.steps: list[Step] = []
        with float64(), np.errstate(all="ignore"):
            inputs = [self._keep((held(leaf, wide=False),)) for leaf in jax.tree.leaves(tuple(args))]
            self._outs = self._run(program.jaxpr, inputs)

    def value(self, place: int) -> Any:
        """Return the value at a place."""
        return self._values[place][0]

    def result(self) -> Any:
        """Return the result, a pytree."""
        return self._tree.unflatten([self.value(place) for place in self._outs])

    def marks(self, read: Callable[[Any], Hashable | None]) -> dict[Any, list[Step]]:
        """Return the steps to which `read` gives a name, by that name."""
        found: dict[Any, list[Step]] = {}
        for step in self.steps:
            name = read(step.eqn)
            if name is not None:
                found.setdefault(name, []).append(step)
        return found

    def replaced(self, steps: Sequence[Step], several: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
        """Yield the leaves of the result for each of several lists of values that the steps have instead.

        Args:
            steps: operations with one result each.
            several: lists of as many values.
        """
        for start in range(0, len(several), EFFORT.lanes):
            part = several[start : start + EFFORT.lanes]
            outs = self._replaced(steps, part)
            yield from ([out[lane if len(out) > 1 else 0] for out in outs] for lane in range(len(part)))

    def _replaced(self, steps: Sequence[Step], several: Sequence[Sequence[Any]]) -> list[Values]:
        how = Lanes(0, wide=False, rng=np.random.default_rng(0), crossing=True, count=len(several))
        changed: dict[int, Values] = {}
        given = {step.results[0]: tuple(one[i] for one in several) for i, step in enumerate(steps)}
        with float64(), np.errstate(all="ignore"):
            for step in self.steps:
                (first, *_) = step.results
                if first in given:
                    changed[first] = given[first]
                elif not changed.keys().isdisjoint(step.operands):
                    operands = [changed.get(place, self._values[place]) for place in step.operands]
                    changed.update(zip(step.results, apply(step.eqn, operands, how), strict=True))
        return [changed.get(place, self._values[place]) for place in self._outs]

    def _keep(self, values: Values) -> int:
        self._values.append(values)
        return len(self._values) - 1

    def _run(self, program: ClosedJaxpr | Jaxpr, inputs: Sequence[int]) -> list[int]:
        """Evaluate a program and return the places of its results."""
        jaxpr, consts = (program.jaxpr, program.consts) if isinstance(program, ClosedJaxpr) else (program, [])
        kept = [self._keep((held(one, wide=False),)) for one in consts]
        env: dict[Any, int] = dict(zip(jaxpr.constvars, kept, strict=True))
        env.update(zip(jaxpr.invars, inputs, strict=True))
        for eqn in jaxpr.eqns:
            operands = [self._place(atom, env) for atom in eqn.invars]
            inner = None if eqn.primitive.name in CONTROL else coverage.called(eqn)
            results = self._run(inner, operands) if inner is not None else self._computed(eqn, operands)
            env.update(zip(eqn.outvars, results, strict=True))
        return [self._place(atom, env) for atom in jaxpr.outvars]

    def _computed(self, eqn: Any, operands: Sequence[int]) -> list[int]:
        how = Lanes(0, wide=False, rng=np.random.default_rng(0), crossing=True)
        outs = apply(eqn, [self._values[place] for place in operands], how)
        results = [self._keep(out) for out in outs]
        if results:
            self.steps.append(Step(eqn, tuple(operands), tuple(results)))
        return results

    def _place(self, atom: Any, env: dict[Any, int]) -> int:
        if isinstance(atom, Literal):
            return self._keep((held(np.asarray(atom.val, _dtype(atom)), wide=False),))
        return env[atom]


def _dtype(atom: Any) -> Any:
    return atom.aval.dtype
