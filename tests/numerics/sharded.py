"""Runs code on a mesh of simulated devices, interpreted and compiled, and prints in JSON what came of it.

It is a process of its own, for the number of devices is settled before JAX starts:

    JAX_NUM_CPU_DEVICES=2 python tests/numerics/sharded.py

`apart` says how far the interpreted value is from the compiled one, in units of measured rounding noise;
`verdicts` are those on pullbacks that run on a mesh, right and wrong.
"""

import contextlib
import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import backproof as bp
from backproof.numerics.comparison import units
from backproof.numerics.noise import measure
from backproof.numerics.tracing import float64

warnings.filterwarnings("ignore", message=".*pmap.*", category=DeprecationWarning)
N = jax.device_count()
AUTO = jax.make_mesh((N,), ("d",), axis_types=(AxisType.Auto,))
EXPLICIT = jax.make_mesh((N,), ("d",), axis_types=(AxisType.Explicit,))
ROUND = [(i, (i + 1) % N) for i in range(N)]
X = np.random.default_rng(0).standard_normal((4, 3))
W = np.random.default_rng(1).standard_normal(3)
ROWS = P("d")


def on(f, ins, outs, mesh=AUTO, **settings):
    return jax.shard_map(f, mesh=mesh, in_specs=ins, out_specs=outs, **settings)


def split(x):
    return jax.sharding.reshard(x, NamedSharding(EXPLICIT, ROWS))


def summed(w, x):
    return lax.psum(jnp.sin(x @ w).sum(), "d")


def rotate_thrice(x):
    return lax.scan(lambda c, _: (lax.ppermute(jnp.sin(c), "d", ROUND), None), x, None, length=3)[0]


def per_device(x):
    return lax.cond(lax.axis_index("d") == 0, jnp.sin, jnp.cos, x)


def named(x):
    return lax.psum(jnp.sin(x), "i") * lax.axis_index("i") + lax.all_gather(x, "i").sum(0)


CASES = {
    "psum": (on(summed, (P(), ROWS), P()), W, X),
    "psum of what is whole": (on(lambda w: lax.psum(w, "d"), P(), P(), check_vma=False), W),
    "all_gather": (on(lambda x: lax.all_gather(jnp.sin(x), "d", tiled=True), ROWS, ROWS), X),
    "ppermute": (on(lambda x: lax.ppermute(jnp.sin(x), "d", ROUND), ROWS, ROWS), X),
    "all_to_all": (on(lambda x: lax.all_to_all(jnp.sin(x), "d", 0, 0, tiled=True), P(None), ROWS), X),
    "psum_scatter": (on(lambda x: lax.psum_scatter(jnp.sin(x), "d", tiled=True), P(None), ROWS), X),
    "pmax, pmean": (on(lambda x: lax.pmax(x, "d") + lax.pmean(x, "d"), ROWS, P()), X),
    "axis_index": (on(lambda x: x * (1 + lax.axis_index("d")), ROWS, ROWS), X),
    "a branch for each device": (on(per_device, ROWS, ROWS), X),
    "a loop around a ring": (on(rotate_thrice, ROWS, ROWS), X),
    "its gradient": (jax.grad(on(summed, (P(), ROWS), P()), (0, 1)), W, X),
    "under vmap": (jax.vmap(on(summed, (P(), ROWS), P()), (None, 0)), W, np.stack([X, 2 * X])),
    "with_sharding_constraint": (
        jax.grad(lambda x: lax.with_sharding_constraint(jnp.sin(x), NamedSharding(AUTO, ROWS)).sum()),
        X,
    ),
    "device_put": (lambda x: jax.device_put(jnp.sin(x), NamedSharding(AUTO, ROWS)).sum(0), X),
    "jit with shardings": (jax.jit(lambda x: jnp.sin(x).sum(0), in_shardings=NamedSharding(AUTO, ROWS)), X),
    "pmap": (jax.grad(lambda x: jax.pmap(named, axis_name="i")(x).sum()), X[:N]),
    "vmap over a named axis": (jax.grad(lambda x: jax.vmap(named, axis_name="i")(x).sum()), X),
    "explicit: reshard": (jax.grad(lambda w, x: (jnp.tanh(split(x)) @ w).sum(), (0, 1)), W, X),
    "explicit: sort, cumsum": (lambda x: jnp.sort(jnp.cumsum(split(x), 1), 1), X),
    "explicit: windows": (lambda x: lax.reduce_window(split(x), 0.0, lax.add, (1, 2), (1, 1), "VALID"), X),
    "explicit: einsum": (
        lambda x: jnp.einsum("ab,cb->ac", split(x), x, out_sharding=NamedSharding(EXPLICIT, ROWS)),
        X,
    ),
    "explicit: psum": (lambda w, x: on(summed, (P(), ROWS), P(), EXPLICIT)(w, split(x)), W, X),
}


def in_mesh(name):
    return jax.set_mesh(EXPLICIT) if name.startswith("explicit") else contextlib.nullcontext()


def apart(name):
    """Return how far the interpreted value is from the compiled one, in units of noise."""
    f, *args = CASES[name]
    with in_mesh(name):
        measured = measure(f, *args)
        with float64():
            expected = jax.device_get(jax.jit(f)(*args))
    leaves = map(jax.tree.leaves, (measured.value, expected, measured.noise))
    return max(float(np.max(units(got, want, noise))) for got, want, noise in zip(*leaves, strict=True))


def pullback(slip=1.0, explicit=False):
    """Return a pullback of Σ sin(x w) in which each device holds some rows of x."""

    def local(w, x, ct):
        c = jnp.cos(x @ w) * ct
        return slip * lax.psum(x.T @ c, "d"), c[:, None] * w

    mesh = EXPLICIT if explicit else AUTO
    both = on(local, (P(), ROWS, P()), (P(), ROWS), mesh)
    return lambda args, ct: both(args[0], split(args[1]) if explicit else args[1], ct)


def verdict(name, vjp, args=None):
    of = lambda w, x: jnp.sum(jnp.sin(x @ w))
    args = args or [bp.array("3"), bp.array("4 3")]
    with in_mesh(name):
        report = bp.verify(of=of, vjp=vjp, args=args, examples=12)
    return report.verdict.name


def collective_forgotten(args, ct):
    """Return each device's own part of the gradient of w as if it were the whole."""
    w, x = args
    local = lambda w, x, ct: (x.T @ (jnp.cos(x @ w) * ct), (jnp.cos(x @ w) * ct)[:, None] * w)
    return on(local, (P(), ROWS, P()), (P(), ROWS), check_vma=False)(w, x, ct)


VERDICTS = {
    "right": (pullback(),),
    "a part in a million too much": (pullback(1 + 1e-6),),
    "the sum over devices forgotten": (collective_forgotten,),
    "explicit: right": (pullback(explicit=True),),
    "arrays that lie on the mesh": (
        pullback(),
        [jnp.ones(3), jax.device_put(jnp.ones((4, 3)), NamedSharding(AUTO, ROWS))],
    ),
}


if __name__ == "__main__":
    found = {
        "apart": {name: apart(name) for name in CASES},
        "verdicts": {name: verdict(name, *case) for name, case in VERDICTS.items()},
    }
    print(json.dumps(found))
