"""Training on the digits with backproof and with each installed peer, each in its own process.

The network is 64-128-128-10 with relu, trained by SGD at 0.1 on batches of 64. `peers/` holds one script for
each library, with the loop that its users write, and one script with the matrix products of the steps alone.
A round runs every script once; ratios are taken within rounds.
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from backproof import __version__, datasets
from backproof.benchmark.timing import Spread, ratio, spread
from backproof.training import split, standardise

EPOCHS, ROUNDS = 80, 3
# Small products are faster in one thread; libraries that use OpenMP collapse when many contend.
THREADS = "OMP_NUM_THREADS"
SCRIPTS = Path(__file__).parent / "peers"
NOT_INSTALLED = "not installed"


class Script(NamedTuple):
    """Names a library, the module that it is imported as, and the script that trains with it."""

    name: str
    module: str
    path: Path


BACKPROOF = Script("backproof", "backproof", SCRIPTS / "_backproof.py")
PEERS = (
    Script("PyTorch", "torch", SCRIPTS / "_torch.py"),
    Script("flax.nnx", "flax", SCRIPTS / "_flax_nnx.py"),
    Script("flax.linen", "flax", SCRIPTS / "_flax_linen.py"),
    Script("equinox", "equinox", SCRIPTS / "_equinox.py"),
    # not a library, but the speed that no loop in JAX can exceed
    Script("the products alone", "jax", SCRIPTS / "_products.py"),
)


@dataclass(frozen=True)
class Peer:
    """Holds the figures of one library; all but the first two are None unless it ran.

    Attributes:
        name: the name of the library.
        status: its version, "not installed", or why it failed.
        accuracy: the accuracy on the test part after the last epoch; None also if nothing is trained.
        steps_per_second: the speed after the first epoch, in which it compiles.
        process_seconds: the time of the whole process: import, compilation and all epochs.
        speedup: steps per second of backproof's `fit` over those of this library.
        process_ratio: its process's seconds over those of `backproof train`.
    """

    name: str
    status: str
    accuracy: float | None = None
    steps_per_second: Spread | None = None
    process_seconds: Spread | None = None
    speedup: Spread | None = None
    process_ratio: Spread | None = None


class Lap(NamedTuple):
    """Holds the figures of one run of one script."""

    steps_per_second: float
    accuracy: float | None
    process_seconds: float


class FailedError(Exception):
    """Raised when a script fails or prints no figures."""


def race(
    scripts: Sequence[Script] = PEERS, *, epochs: int = EPOCHS, rounds: int = ROUNDS
) -> tuple[Peer, ...]:
    """Return the figures of backproof and then of each of `scripts`.

    The processes inherit the environment; where OMP_NUM_THREADS is not set there, they get 1.

    Raises:
        FailedError: backproof's own process fails; if the process of a peer fails, its status says so.
    """
    racing = [BACKPROOF, *(script for script in scripts if is_installed(script))]
    laps: dict[str, list[Lap]] = {script.name: [] for script in racing}
    failures = {script.name: NOT_INSTALLED for script in scripts if script not in racing}
    trains = []
    with tempfile.TemporaryDirectory() as folder:
        data = _written(Path(folder) / "digits.npz")
        for turn in range(rounds):
            trains.append(_train_seconds(epochs))
            for script in racing if turn % 2 == 0 else racing[::-1]:
                if script.name in failures:
                    continue
                try:
                    laps[script.name].append(lap(script, data, epochs))
                except FailedError as error:
                    if script is BACKPROOF:
                        raise
                    failures[script.name] = f"failed: {error}"
    return tuple(
        Peer(script.name, failures[script.name])
        if script.name in failures
        else _figures(script, laps[script.name], laps[BACKPROOF.name], trains)
        for script in (BACKPROOF, *scripts)
    )


def is_installed(script: Script) -> bool:
    """Return whether the library of `script` can be imported."""
    return importlib.util.find_spec(script.module) is not None


def lap(script: Script, data: Path, epochs: int) -> Lap:
    """Return the figures of one run of `script` in a process of its own.

    Raises:
        FailedError: the script fails, or its last line is not one of figures.
    """
    command = [sys.executable, "-P", str(script.path), str(data), str(epochs), jax.default_backend()]
    output, seconds = _run(command)
    try:
        found = json.loads(output.splitlines()[-1])
        return Lap(found["steps_per_second"], found["accuracy"], seconds)
    except (IndexError, KeyError, ValueError) as error:
        raise FailedError(f"no figures in {output!r}") from error


def threads() -> str:
    """Return the value of OMP_NUM_THREADS in the processes."""
    return os.environ.get(THREADS, "1")


def _train_seconds(epochs: int) -> float:
    options = ["--layers", "128,128", "--batch-size", "64", "--epochs", str(epochs)]
    return _run([sys.executable, "-m", "backproof", "train", *options])[1]


def _run(command: Sequence[str]) -> tuple[str, float]:
    """Return what a process prints, and how many seconds it takes."""
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", THREADS: threads()} | os.environ
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise FailedError(said[-1] if said else f"exit status {done.returncode}")
    return done.stdout, seconds


def _written(path: Path) -> Path:
    """Write the digits, split and standardised, for scripts that read only NumPy's format."""
    data = standardise(split(*datasets.digits(), seed=0))
    np.savez(path, x=data.x_train, y=data.y_train, x_test=data.x_test, y_test=data.y_test)
    return path


def _version(module: str) -> str:
    if module == "backproof":  # it may run from a clone
        return __version__
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"


def _figures(script: Script, laps: Sequence[Lap], ours: Sequence[Lap], trains: Sequence[float]) -> Peer:
    speeds = [one.steps_per_second for one in laps]
    seconds = [one.process_seconds for one in laps]
    return Peer(
        script.name,
        _version(script.module),
        accuracy=laps[-1].accuracy,
        steps_per_second=spread(speeds),
        process_seconds=spread(trains if script is BACKPROOF else seconds),
        speedup=ratio([one.steps_per_second for one in ours], speeds),
        process_ratio=ratio(trains if script is BACKPROOF else seconds, trains),
    )
