"""Two processes on this machine: the trajectory of one, and what is left when one of them is killed."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import jax
import meshes
import numpy as np
import pytest
from test_devices import EIGHT

from backproof.numerics.tolerance import AGREES_WITHIN

WORKER = str(pathlib.Path(__file__).parent / "joined.py")
LONG = 300  # seconds: no process of these tests should need them, and none waits for ever


def begun(layout, seeds=(0, 0), outs=("", ""), folder=""):
    """Begin both processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return [
        subprocess.Popen(
            [sys.executable, WORKER, port, str(i), layout, str(seeds[i]), outs[i], str(folder)],
            env={**os.environ, **EIGHT, "JAX_NUM_CPU_DEVICES": "2", "JAX_ENABLE_COMPILATION_CACHE": "false"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in range(2)
    ]  # fmt: skip


def ended(processes):
    """Return the exit status and the words of each process."""
    said = [process.communicate(timeout=LONG)[1] for process in processes]
    return [(process.returncode, words) for process, words in zip(processes, said, strict=True)]


def whole(folder, saved):
    """Return the parameters that both processes hand back, which are the same."""
    outs = tuple(str(folder / f"{saved.name}-{i}.npz") for i in range(2))
    for status, said in ended(begun("model", outs=outs, folder=saved)):
        assert status == 0, said
    first, second = (list(np.load(out).values()) for out in outs)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    return first


def test_two_processes_give_the_trajectory_of_one_and_a_restart_after_a_kill_the_same_bits(tmp_path):
    untouched = whole(tmp_path, tmp_path / "untouched")
    with jax.enable_x64(True):
        measured = meshes.reference("mlp")
        assert meshes.distance(untouched, measured) <= AGREES_WITHIN

    processes = begun("model", folder=tmp_path / "killed")
    while processes[1].stdout.readline() != "1\n":  # after an epoch of two; gloo speaks too
        assert processes[1].poll() is None
    processes[1].kill()
    (status, said), (killed, _) = ended(processes)
    assert killed == -signal.SIGKILL
    assert status != 0
    assert "Gloo" in said or "another task died" in said

    assert any(path.name.isdecimal() for path in (tmp_path / "killed").iterdir())
    restarted = whole(tmp_path, tmp_path / "killed")
    assert all(one.tobytes() == other.tobytes() for one, other in zip(untouched, restarted, strict=True))


def test_processes_that_do_not_begin_alike_are_refused():
    for i, (status, said) in enumerate(ended(begun("data", seeds=(0, 1)))):
        assert status == 1
        assert (
            "fit: every process must begin with the same data, parameters and seed, but found values that "
            f"differ from those of process {i} in processes [{1 - i}]; let every process make the same call"
        ) in said


@pytest.fixture(autouse=True)
def plain(request):
    """Run what is measured here as the processes do, who know no strict promotion."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
