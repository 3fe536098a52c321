"""X.3: mistakes, each on the smallest network that shows it.

The gate at zero, for relu alone, is in document 001.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import shipped, slope


def swept(params, x, y, slip=None):
    """Return (∂J/∂W^l, ∂J/∂b^l) of half the squared error, for samples in rows, with at most one slip."""
    rows = jnp.ones((len(x), 1))
    z, a = [], [x]
    for layer in params:
        z.append(a[-1] @ layer["W"].T + rows * layer["b"][None, :])
        a.append(jax.nn.sigmoid(z[-1]))
    delta = (a[-1] - y) * slope(z[-1])
    if slip == "sign":
        delta = -delta
    if slip == "factor 2":
        delta = 2 * delta
    if slip == "missing outer slope":
        delta = a[-1] - y
    if slip == "dropped cotangent":
        delta = slope(z[-1])
    deltas = [delta]
    for l in range(len(params) - 1, 0, -1):
        W = params[l]["W"]
        if slip == "W updated first":
            W = W - 0.5 * deltas[0].T @ a[l]
        through = deltas[0] @ (W.T if slip == "missing transpose" else W)
        at = {"slope at a": a[l], "slope of the wrong layer": z[l]}.get(slip, z[l - 1])
        deltas.insert(0, through if slip == "missing hidden slope" else through * slope(at))
    below = [x, *z[:-1]] if slip == "z for a" else a[:-1]
    grads = [{"W": d.T @ v, "b": d.sum(axis=0)} for d, v in zip(deltas, below, strict=True)]
    if slip == "mean of b only":
        grads = [{**g, "b": g["b"] / len(x)} for g in grads]
    if slip == "shared bias":
        grads = [{**g, "b": jnp.full_like(g["b"], g["b"].sum())} for g in grads]
    return tuple(grads)


def drawn(batch, *sizes):
    """Return what the parameters, the input and the target of a network of these sizes may be."""
    params = tuple({"W": bp.array(f"{n} {m}"), "b": bp.array(f"{n}")} for m, n in pairwise(sizes))
    return [params, bp.array(f"{batch} {sizes[0]}"), bp.array(f"{batch} {sizes[-1]}")]


@bp.derivation(r"n = 1, 1", items=("X.3",), args=drawn(1, 1, 1))
def slips_seen_by_one_unit(params, x, y):
    """One weight, one bias, one sample: enough to see these four."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    for slip in ("sign", "factor 2", "missing outer slope", "dropped cotangent"):
        yield line(
            rf"\nabla J \neq \text{{{slip}}}",
            bp.differ(shipped(params, x, y), swept(params, x, y, slip), somewhere=True),
            "by one thing",
        )


@bp.derivation(r"n = 1, 1; B = 2", items=("X.3",), args=drawn(2, 1, 1))
def a_mean_of_b_alone(params, x, y):
    """Two samples: W summed and b averaged."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    yield line(
        r"\nabla J \neq \text{mean of b only}",
        bp.differ(shipped(params, x, y), swept(params, x, y, "mean of b only"), somewhere=True),
        "by one thing",
    )


@bp.derivation(r"n = 1, 2", items=("X.3",), args=drawn(1, 1, 2))
def a_shared_bias(params, x, y):
    """Two outputs: one bias for both."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    yield line(
        r"\nabla J \neq \text{shared bias}",
        bp.differ(shipped(params, x, y), swept(params, x, y, "shared bias"), somewhere=True),
        "by one thing",
    )


@bp.derivation(r"n = 1, 1, 1", items=("X.3",), args=drawn(1, 1, 1, 1))
def slips_seen_by_two_units(params, x, y):
    """One unit after the other: what can go wrong between two layers."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    for slip in (
        "z for a",
        "W updated first",
        "missing hidden slope",
        "slope at a",
        "slope of the wrong layer",
    ):
        yield line(
            rf"\nabla J \neq \text{{{slip}}}",
            bp.differ(shipped(params, x, y), swept(params, x, y, slip), somewhere=True),
            "by one thing",
        )


@bp.derivation(r"n = 1, 2, 2", items=("X.3",), args=drawn(1, 1, 2, 2))
def a_missing_transpose(params, x, y):
    """Two and two: W for Wᵀ fits, for W is square, and shows where W is not symmetric."""
    yield line(
        r"\nabla J",
        bp.equal(shipped(params, x, y), swept(params, x, y)),
        "without a slip: the pass that is shipped",
    )
    yield line(
        r"\nabla J \neq \text{missing transpose}",
        bp.differ(shipped(params, x, y), swept(params, x, y, "missing transpose"), somewhere=True),
        "by one thing",
    )
