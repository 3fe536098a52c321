"""The value of a program on large arrays, with its rounding noise: the ensemble of `interpreter`, compiled.

NumPy passes over memory once for each operation and each run, which takes minutes where arrays have millions
of entries. Here the unperturbed run and one perturbed replica become one program, which XLA fuses. The seed
of the perturbations is an argument, so that further replicas need no other program and no more memory.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import is_inexact
from backproof.numerics.noise import Measured, with_floor
from backproof.numerics.paired_run import PairedRun, Values, consts_of
from backproof.numerics.tracing import Program, float64


class CompiledNoise:
    """Measures a program on large arrays; it is a class to keep what is compiled."""

    def __init__(self, program: Program) -> None:
        """Prepare to measure `program`; nothing is compiled yet."""
        self._program = program
        self._comparisons: list[Any] = []
        self._pair, self._asked = jax.jit(self._both_runs), jax.jit(self._answers)

    def __call__(self, args: Any, replicas: int = EFFORT.replicas, seed: int = 0) -> Measured:
        """Return the result at large arguments, with its noise.

        Args:
            args: the arguments.
            replicas: how many perturbed runs are made.
            seed: the seed of the perturbations.
        """
        with float64():
            value, apart = jax.device_get(functools.reduce(_further, self._pairs(args, replicas, seed)))
        tree = self._program.tree
        return with_floor(self._program, tree.unflatten(value), tree.unflatten(apart))

    def runs(self, args: Any, replicas: int) -> list[Any]:
        """Return the result at large arguments, and results that lie as far from it as perturbed replicas."""
        with float64():
            pairs = jax.device_get(list(self._pairs(args, max(replicas, 1), 0)))
        values = [pairs[0][0], *([v + gap for v, gap in zip(*pair, strict=True)] for pair in pairs)]
        return [self._program.tree.unflatten(one) for one in values[: 1 + replicas]]

    def _pairs(self, args: Any, replicas: int, seed: int) -> Iterator[tuple[Any, Any]]:
        leaves = jax.tree.leaves(tuple(args))
        return (self._pair(np.uint32(1000 * seed + one + 1), *leaves) for one in range(replicas))

    def watch(self, args: Any, witness: Witness) -> None:
        """Write down which answers comparisons give at large arguments; those inside loops are left out."""
        with float64():
            found = jax.device_get(self._asked(*jax.tree.leaves(tuple(args))))
        for eqn, both in zip(self._comparisons, found, strict=True):
            met = {answer for answer, seen in zip((True, False), both, strict=True) if seen}
            witness.met.setdefault(id(eqn), (eqn, set()))[1].update(met)

    def _both_runs(self, seed: Any, *leaves: Any) -> tuple[Any, Any]:
        outs = self._run(seed, leaves)[1]
        return [out[0] for out in outs], [_apart(out) for out in outs]

    def _answers(self, *leaves: Any) -> Any:
        run, _ = self._run(np.uint32(0), leaves)
        self._comparisons = [eqn for eqn, _ in run.met]
        return [answers for _, answers in run.met]

    def _run(self, seed: Any, leaves: Sequence[Any]) -> tuple[PairedRun, list[Values]]:
        run, jaxpr = PairedRun(seed), self._program.jaxpr
        return run, run.evaluate(jaxpr.jaxpr, consts_of(jaxpr), [(leaf,) for leaf in leaves])


def _further(before: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the value with the larger of two distances from a replica."""
    return before[0], [jnp.maximum(*both) for both in zip(before[1], now[1], strict=True)]


def _apart(out: Values) -> Any:
    if len(out) == 1 or not is_inexact(out[0]):
        return jnp.zeros(jnp.shape(out[0]))
    apart = jnp.abs(out[1] - out[0])
    return jnp.where(jnp.isfinite(apart), apart, 0)
