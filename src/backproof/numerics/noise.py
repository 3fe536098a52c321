"""Rounding noise, measured: the unit in which two values are called equal or different.

No user states a tolerance. A function is run as an ensemble (see `interpreter`), and the spread of each
entry, plus one unit in the last place of the coarsest numbers that it comes from, is that entry's noise at
this point. A right formula stays within a few units; the slips that people make are 10^6 to 10^14 units away.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np

from backproof.numerics.effort import EFFORT
from backproof.numerics.interpreter import run
from backproof.numerics.lanes import Substitution, Witness
from backproof.numerics.leaves import is_inexact
from backproof.numerics.rounding import epsilon, smallest_normal
from backproof.numerics.tolerance import FLUSHED
from backproof.numerics.tracing import Program, trace

# What a value may come from.
DTYPES = (np.float64, np.float32, ml_dtypes.bfloat16, np.float16)


class Measured(NamedTuple):
    """Holds a result and, in the same tree, the noise of each of its entries."""

    value: Any
    noise: Any

    def with_noise_of(self, other: "Measured") -> "Measured":
        """Return this result with the noise of the difference between it and `other`."""
        return self._replace(noise=jax.tree.map(np.add, self.noise, other.noise))


def measure(
    f: Callable[..., Any],
    *args: Any,
    wide: bool = False,
    seed: int = 0,
    replicas: int = EFFORT.replicas,
) -> Measured:
    """Return `f(*args)` in float64 and the rounding noise of every entry."""
    return measure_program(trace(f, *args), args, wide=wide, seed=seed, replicas=replicas)


def measure_program(
    program: Program,
    args: Any,
    *,
    wide: bool = False,
    seed: int = 0,
    substitution: Substitution | None = None,
    replicas: int = EFFORT.replicas,
    witness: Witness | None = None,
) -> Measured:
    """Return the output of a traced program and the noise of every entry.

    Args:
        program: the program.
        args: its arguments.
        wide: whether it runs in long double.
        seed: the seed of the perturbations.
        substitution: one operation that is computed in another way, or None.
        replicas: how many perturbed runs are made.
        witness: where to write what is met, if somewhere.
    """
    value, *varied = run(
        program, args, replicas=replicas, wide=wide, seed=seed, substitution=substitution, witness=witness
    )
    return with_floor(program, value, jax.tree.map(_spread, value, *varied))


def with_floor(program: Program, value: Any, spread: Any) -> Measured:
    """Return a program's value with the spread of its replicas, and what its dtypes add to that."""
    flushed = program.tree.unflatten([FLUSHED * _least(unit) for unit in program.units])
    return Measured(value, jax.tree.map(_noise, flushed, value, spread))


def _least(unit: float) -> float:
    """Return the smallest normal number of the dtype with this spacing at 1; smaller ones are flushed."""
    dtype = next((one for one in DTYPES if epsilon(one) == unit), np.float64)
    return float(smallest_normal(dtype))


def _spread(value: Any, *replicas: Any) -> Any:
    if not is_inexact(value):
        return np.zeros(np.shape(value))
    with np.errstate(all="ignore"):
        return np.max([np.abs(replica - value) for replica in replicas], axis=0)


def _noise(flushed: float, value: Any, spread: Any) -> Any:
    if not is_inexact(value):
        return np.zeros(np.shape(value))
    with np.errstate(all="ignore"):
        least = flushed if value.dtype.itemsize >= 8 else FLUSHED * float(smallest_normal(np.float64))
        floor = epsilon(value.dtype) * np.abs(value) + np.float64(least)
        return np.where(np.isfinite(spread), spread, 0) + np.where(np.isfinite(floor), floor, 0)
