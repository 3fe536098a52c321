"""Devices: one trajectory on every mesh within rounding, on one mesh bit for bit, and each does its part."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from backproof.errors import UsageError
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.training import data_parallel, tensor_parallel

HERE = pathlib.Path(__file__).parent
EIGHT = {"JAX_NUM_CPU_DEVICES": "8", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
FAR = 1e6  # noise units, beyond which DESIGN finds every slip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return what `meshes.py` prints; one process for all, as the number of devices is settled once."""
    command = [sys.executable, "-W", "error", str(HERE / "meshes.py"), str(tmp_path_factory.mktemp("meshes"))]
    run = subprocess.run(command, env={**os.environ, **EIGHT}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_mesh_gives_the_trajectory_of_one_device_within_rounding(report):
    """Batches of 5, 5 and 3 divide on none of them; one was saved on another mesh half way."""
    assert len(report["apart"]) == 10
    assert max(report["apart"].values()) <= AGREES_WITHIN, report["apart"]
    assert report["epochs resumed"] == 1
    assert len(set(report["metrics"].values())) == 1


def test_the_same_mesh_gives_the_same_bits_twice_and_where_it_was_resumed(report):
    assert all(report["same bits"].values()), report["same bits"]


def test_a_forgotten_sum_over_devices_would_be_seen(report):
    right, *wrong = report["planted"].values()
    assert right <= AGREES_WITHIN
    assert min(wrong) > FAR, report["planted"]


def test_each_device_does_its_part_of_a_step(report):
    """An eighth of the operations, and what it costs to divide them; all of them if that is forgotten."""
    alone = report["operations"]["1"]
    assert 4 * report["operations"]["8"] < alone
    assert 4 * report["operations"]["2x4"] < alone
    assert report["operations"]["forgotten"] == alone


def test_weights_are_divided_by_rows_else_by_columns_else_not(report):
    assert report["parts"] == {
        "8": [{"W": [8, 5], "b": [8]}, {"W": [6, 8], "b": [6]}],
        "2x4": [{"W": [2, 5], "b": [2]}, {"W": [6, 2], "b": [6]}],
        "2x3": [{"W": [8, 5], "b": [8]}, {"W": [2, 8], "b": [2]}],
    }


@pytest.mark.parametrize("make", [data_parallel, lambda n: tensor_parallel(1, n)])
def test_more_devices_than_there_are_is_refused(make):
    there = len(jax.devices())
    with pytest.raises(UsageError, match=rf"there must be {there + 1} devices .* JAX_NUM_CPU_DEVICES=N"):
        make(there + 1)


def test_more_devices_for_a_layer_than_there_are_is_refused():
    with pytest.raises(UsageError, match=r"every process must have a part .* let fewer devices share"):
        tensor_parallel(len(jax.devices()) + 1)


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
def test_a_number_of_devices_is_a_positive_whole_one(wrong):
    for make in (data_parallel, tensor_parallel):
        with pytest.raises(UsageError, match="whole number"):
            make(wrong)
