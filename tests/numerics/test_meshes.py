"""Code on a mesh of devices: interpreted as it is compiled, and a slip in it is seen."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from backproof.numerics.meshes import axes_of_one
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import trace

SCRIPT = pathlib.Path(__file__).parent / "sharded.py"


@pytest.fixture(scope="module", params=[1, 2], ids=["one device", "two devices"])
def found(request):
    """Return what `sharded.py` prints; one process each, as the number of devices is settled once."""
    devices = {"JAX_NUM_CPU_DEVICES": str(request.param), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", str(SCRIPT)]
    run = subprocess.run(command, env={**os.environ, **devices}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return {"devices": request.param, **json.loads(run.stdout)}


def test_code_on_a_mesh_is_interpreted_as_it_is_compiled(found):
    assert len(found["apart"]) > 20
    assert max(found["apart"].values()) <= AGREES_WITHIN, found["apart"]


def test_a_slip_in_code_on_a_mesh_is_seen(found):
    right = {"right", "explicit: right", "arrays that lie on the mesh"}
    # On one device the sum over devices has one term, and to forget it changes nothing.
    right |= {"the sum over devices forgotten"} if found["devices"] == 1 else set()
    wanted = {name: "AGREES" if name in right else "WRONG" for name in found["verdicts"]}
    assert found["verdicts"] == wanted


def test_axes_of_a_mesh_with_one_device_are_named():
    mesh = jax.make_mesh((1,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    summed = jax.shard_map(lambda x: jax.lax.psum(x, "d"), mesh=mesh, in_specs=P("d"), out_specs=P())
    x = np.ones(2)
    assert axes_of_one(trace(lambda x: jax.jit(summed)(x) + 1, x)) == ("d",)
    assert axes_of_one(trace(jnp.sin, x)) == ()
