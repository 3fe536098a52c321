"""Rounding noise, measured: the unit in which two values are called equal or different.

No user states a tolerance. A function is run as an ensemble (see `interpreter`), and the spread of
each entry, plus one unit in its last place, is that entry's noise at this point. A right formula
stays within a few units; the slips that people make stand 10^6 to 10^14 units away.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.interpreter import Edit, run
from backproof.verification.perturbation import epsilon
from backproof.verification.tracing import Program, trace

# Perturbed runs per measurement. Each single rounding moves by at least half a unit, so one operation is
# never missed; of a sum of many, the largest of four spreads is below a third of its median in about one
# entry of sixty, and AGREES_WITHIN leaves room for that.
REPLICAS = 4
# A right formula lies within this many noise units. The slips that people make stand 10^6 or more away; a
# constant wrong in its twelfth digit would stand a few thousand away.
AGREES_WITHIN = 8.0
# Perturbed runs where that is exceeded: among thousands of entries four spreads may be small by chance.
MORE_REPLICAS = 16
# Below the smallest normal number XLA flushes to zero: there a value is known to this and no better.
FLUSHED = 4.0


class Measured(NamedTuple):
    """Holds a result and, in the same tree, the noise of each of its entries."""

    value: Any
    noise: Any


def measure(f: Callable[..., Any], *args: Any, wide: bool = False, seed: int = 0) -> Measured:
    """Return `f(*args)` in float64 and the rounding noise of every entry."""
    return measure_program(trace(f, *args), args, wide=wide, seed=seed)


def measure_program(
    program: Program,
    args: Any,
    *,
    wide: bool = False,
    seed: int = 0,
    edit: Edit | None = None,
    replicas: int = REPLICAS,
) -> Measured:
    """Return the output of a traced program, one operation edited or none, and the noise of every entry."""
    value, *varied = run(program, args, replicas=replicas, wide=wide, seed=seed, edit=edit)
    least = epsilon(np.float32) if program.in_float32 else 0.0
    return Measured(value, jax.tree.map(lambda *runs: _spread(least, *runs), value, *varied))


def _spread(least: float, value: Any, *replicas: Any) -> Any:
    if not jnp.issubdtype(value.dtype, np.inexact):
        return np.zeros(np.shape(value))
    with np.errstate(all="ignore"):
        apart = np.max([np.abs(replica - value) for replica in replicas], axis=0)
        floor = max(least, epsilon(value.dtype)) * np.abs(value) + FLUSHED * np.finfo(np.float64).tiny
        return np.where(np.isfinite(apart), apart, 0) + np.where(np.isfinite(floor), floor, 0)


def units(got: Any, want: Any, noise: Any) -> Any:
    """Return how many noise units `got` is from `want`, entry by entry.

    Infinities agree when they are equal; NaN is never equal to anything, NaN included.
    """
    got, want = np.asarray(got), np.asarray(want)
    if not jnp.issubdtype(want.dtype, np.inexact):
        return np.where(got == want, 0.0, np.inf)
    with np.errstate(all="ignore"):
        apart = np.asarray(np.abs(got - want) / noise)
        if np.isfinite(np.max(apart, initial=0.0)):
            return apart.astype(np.float64, copy=False)
        finite = np.isfinite(got) & np.isfinite(want)
        return np.where(finite, apart, np.where(got == want, 0.0, np.inf)).astype(np.float64)


def distance(f: Callable[..., Any], g: Callable[..., Any], *args: Any) -> float:
    """Return the largest distance between f(*args) and g(*args), in units of the noise of both.

    Raises:
        ValueError: the two results differ in tree or shape.
    """
    ours, theirs = measure(f, *args), measure(g, *args)
    worst = 0.0
    tree_f, tree_g = jax.tree.structure(ours.value), jax.tree.structure(theirs.value)
    if tree_f != tree_g:
        raise ValueError(f"the two results differ in tree: {tree_f} against {tree_g}")
    leaves = [jax.tree.leaves(part) for part in (*ours, *theirs)]
    for a, noise_a, b, noise_b in zip(*leaves, strict=True):
        if np.shape(a) != np.shape(b):
            raise ValueError(f"the two results differ in shape: {np.shape(a)} against {np.shape(b)}")
        worst = max(worst, float(np.max(units(a, b, noise_a + noise_b), initial=0.0)))
    return worst
