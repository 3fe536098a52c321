"""The results of one run, with the environment in which they were measured."""

import json
import os
import platform
from dataclasses import asdict, dataclass

import jax

from backproof import __version__
from backproof.benchmark.compare import Comparison
from backproof.benchmark.estimate import LeftOut, Speed
from backproof.benchmark.grid import Grid
from backproof.benchmark.libraries import Peer, threads
from backproof.benchmark.tables import Table


@dataclass(frozen=True)
class Environment:
    """Holds the device and the versions with which the figures were measured.

    Attributes:
        device: its kind, as JAX names it.
        backend: cpu, gpu or tpu.
        cores: the number of CPU cores that this process may use.
        jax, backproof, python: versions.
        omp_num_threads: the value of OMP_NUM_THREADS in the peers' processes.
    """

    device: str
    backend: str
    cores: int
    jax: str
    backproof: str
    python: str
    omp_num_threads: str


@dataclass(frozen=True)
class Settings:
    """Holds the settings of one run.

    Attributes:
        grid: the sizes.
        seconds: how long each of them was timed.
        longest_step: seconds; sizes with a longer step are left out.
        peers: whether the peers ran.
    """

    grid: Grid
    seconds: float
    longest_step: float
    peers: bool


@dataclass(frozen=True)
class Benchmark:
    """Holds one run of `backproof bench`.

    Attributes:
        environment, settings: where the run was, and what it was asked to measure.
        speeds: the speed of this device for each dtype, from which the time of steps was estimated.
        comparisons: one for each size that was measured.
        left_out: the sizes that were not measured, and why.
        tables: the tables of deep stacks and of architectures.
        peers: backproof and its peers on the digits; empty if they were not asked for.
    """

    environment: Environment
    settings: Settings
    speeds: dict[str, Speed]
    comparisons: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    tables: tuple[Table, ...]
    peers: tuple[Peer, ...]

    def to_json(self) -> str:
        """Return everything as one JSON object; fields are named as here, times are in seconds."""
        return json.dumps(asdict(self), indent=2, allow_nan=False)


def environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        device=jax.devices()[0].device_kind,
        backend=jax.default_backend(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        jax=jax.__version__,
        backproof=__version__,
        python=platform.python_version(),
        omp_num_threads=threads(),
    )
