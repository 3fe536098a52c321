"""A forgotten sum over devices is named on 2 and on 4 of them, and is said to be unseen on one."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parent / "sharded_layers.py"
# The cause of each slip, and what its sentence must contain.
CAUSES = {
    "dense, forgotten": ("missing-psum", "psum over d is missing, after sharded_layers.py:", "dw = x.T @ ct"),
    "dense, twice": ("surplus-psum", "once too often", "return lax.psum(lax.psum"),
    "dense, a mean for a sum": ("factor", "the number of devices along d"),
    "standardised, forgotten inside": ("missing-psum", "pmean over d is missing", "part = (ct * hat).mean("),
}


@pytest.fixture(scope="module", params=[1, 2, 4], ids=["one device", "two devices", "four devices"])
def found(request):
    """Return what the script prints; one process each, as the number of devices is settled once."""
    devices = {"JAX_NUM_CPU_DEVICES": str(request.param), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(SCRIPT)]
    run = subprocess.run(command, env={**os.environ, **devices}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return {"devices": request.param, **json.loads(run.stdout)}


def test_what_is_right_on_one_device_is_right_on_several(found):
    assert found["both sides"] == "AGREES"
    right = [one for name, one in found["reports"].items() if name.endswith("right")]
    assert len(right) == 2
    assert {one["verdict"] for one in right} == {"AGREES"}


def test_what_explains_some_sizes_alone_is_not_named(found):
    if found["devices"] > 1:
        assert found["reports"]["dense, by size"]["cause"] == "unknown"


def test_the_slip_in_a_sum_over_devices_is_named(found):
    for name, (cause, *words) in CAUSES.items():
        one = found["reports"][name]
        if found["devices"] == 1:  # a sum over one device changes nothing
            assert one["verdict"] == "AGREES"
            assert "the mesh has one device along d" in one["text"]
            continue
        assert (one["verdict"], one["cause"]) == ("WRONG", cause), (name, one)
        assert all(word in one["said"] for word in words), one["said"]
