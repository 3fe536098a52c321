"""Kills a training process at random moments, in saves too, until it ends; then compares the bits.

    python tests/training/kills.py 50

Each attempt is a process of its own that trains with checkpoints and is sent SIGKILL after a random time,
unless it is done first. The end must be that of an uninterrupted run, bit for bit.
"""

import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

WORKER = """
import sys, warnings
import jax, numpy as np, optax
import backproof as bp
from backproof import training

warnings.simplefilter("error")
folder, out, epochs, width = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
x, y = bp.datasets.digits()
data = training.standardise(training.split(x, y, seed=0))
network = bp.mlp([64, width, 10], bp.rules.relu)
checkpoints = training.Checkpoints(folder, every_steps=7, every_seconds=0.0) if folder else None
result = bp.fit(
    network, bp.losses.mean(bp.losses.softmax_cross_entropy), data, optax.adam(1e-3),
    epochs=epochs, batch_size=64, seed=5, checkpoints=checkpoints,
    on_epoch=lambda epoch: print(epoch.number, flush=True),
)
leaves = jax.tree.leaves((result.params, result.memory, [tuple(epoch) for epoch in result.history]))
np.savez(out, *[np.asarray(leaf) for leaf in leaves])
"""


def trained(folder, out, epochs, width):
    """Begin a training process."""
    command = [sys.executable, "-c", WORKER, folder, out, str(epochs), str(width)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def survived(kills, *, epochs, width, seed, longest=4.0):
    """Return how often the process was killed before it ended, after at most `kills` kills.

    Raises:
        AssertionError: a process fails by itself, or the end differs from that of an uninterrupted run.
    """
    random.seed(seed)
    killed = 0
    with tempfile.TemporaryDirectory() as place:
        whole, resumed = (pathlib.Path(place) / name for name in ("whole.npz", "resumed.npz"))
        ended(trained("", str(whole), epochs, width))
        folder = pathlib.Path(place) / "checkpoints"
        while not resumed.exists():
            process = trained(str(folder), str(resumed), epochs, width)
            if killed < kills:
                wait_for_begin(folder, process)
                time.sleep(random.uniform(0.0, longest))
                process.send_signal(signal.SIGKILL)
            killed += ended(process) == -signal.SIGKILL
        assert whole.read_bytes() == resumed.read_bytes()
    return killed


def ended(process):
    """Return the exit status of a process that ended well or was killed."""
    _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode


def wait_for_begin(folder, process):
    """Wait until the process writes, so that kills fall into training and saves and not into imports."""
    before = listed(folder)
    while process.poll() is None and listed(folder) == before:
        time.sleep(0.02)


def listed(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    began, total, rounds = time.time(), 0, 0
    while total < wanted:
        total += survived(wanted - total, epochs=40, width=64, seed=rounds)
        rounds += 1
        print(f"{total} kills in {rounds} experiments, each ended bit-identical; {time.time() - began:.0f} s")
