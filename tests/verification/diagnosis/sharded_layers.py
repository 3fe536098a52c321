"""Layers whose backward pass runs on several devices, right and with a slip; prints the reports in JSON.

It is a process of its own, for the number of devices is settled before JAX starts:

    JAX_NUM_CPU_DEVICES=4 python tests/verification/diagnosis/sharded_layers.py
"""

import functools
import json

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import backproof as bp

N = jax.device_count()
MESH = jax.make_mesh((N,), ("d",), axis_types=(AxisType.Auto,))
ROWS, COLUMNS, WHOLE = P("d"), P(None, "d"), P()


def on_devices(local, ins, outs):
    return jax.shard_map(local, mesh=MESH, in_specs=ins, out_specs=outs, check_vma=False)


def dense(x, w):
    return x @ w


def dense_back(args, ct, sum_over):
    def local(x, w, ct):
        dw = x.T @ ct
        return ct @ w.T, sum_over(dw)

    return on_devices(local, (ROWS, WHOLE, ROWS), (ROWS, WHOLE))(*args, ct)


def dense_by_size(args, ct, sum_over):
    """Forget the sum for few rows only, and double the gradient for more."""

    def local(x, w, ct):
        dw = x.T @ ct if x.shape[0] < 3 else 2 * (jnp.sum(x[:, :, None] * ct[:, None], 0))
        return ct @ w.T, sum_over(dw)

    return on_devices(local, (ROWS, WHOLE, ROWS), (ROWS, WHOLE))(*args, ct)


def standardised(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)


def standardised_back(args, ct, last_mean):
    def mean(v):
        return lax.pmean(v.mean(-1, keepdims=True), "d")

    def local(x, ct):
        centred = x - mean(x)
        deviation = jnp.sqrt(mean(centred**2) + 1e-5)
        hat = centred / deviation
        part = (ct * hat).mean(-1, keepdims=True)
        return (ct - mean(ct) - hat * last_mean(part)) / deviation

    return (on_devices(local, (COLUMNS, COLUMNS), COLUMNS)(*args, ct),)


def once(v):
    return lax.psum(v, "d")


def twice(v):
    return lax.psum(lax.psum(v, "d"), "d")


def forgotten(v):
    return v


def averaged(v):
    return lax.pmean(v, "d")


OF_ROWS = [bp.array(f"{N}*b n"), bp.array("n m")]
OF_COLUMNS = [bp.array(f"b {N}*n")]
CASES = {
    "dense, right": (dense, dense_back, once, OF_ROWS),
    "dense, forgotten": (dense, dense_back, forgotten, OF_ROWS),
    "dense, by size": (dense, dense_by_size, forgotten, OF_ROWS),
    "dense, twice": (dense, dense_back, twice, OF_ROWS),
    "dense, a mean for a sum": (dense, dense_back, averaged, OF_ROWS),
    "standardised, right": (standardised, standardised_back, averaged, OF_COLUMNS),
    "standardised, forgotten inside": (standardised, standardised_back, forgotten, OF_COLUMNS),
}


def found(of, back, over, args):
    vjp = functools.partial(back, **{"last_mean" if back is standardised_back else "sum_over": over})
    report = bp.verify(of=of, vjp=vjp, args=args, examples=40)
    return {
        "verdict": report.verdict.name,
        "cause": report.cause,
        "said": report.explanation,
        "text": str(report),
    }


def sharded_on_both_sides():
    """Return the verdict where the function itself runs on the devices, whose parts may be empty."""
    of = jax.shard_map(dense, mesh=MESH, in_specs=(ROWS, WHOLE), out_specs=ROWS)
    return bp.verify(of=of, vjp=functools.partial(dense_back, sum_over=once), args=OF_ROWS, examples=40)


if __name__ == "__main__":
    reports = {name: found(*case) for name, case in CASES.items()}
    print(json.dumps({"reports": reports, "both sides": sharded_on_both_sides().verdict.name}))
