"""Measurements on the user's own device: hand sweep, autodiff, the matrix-multiplication limit, peers."""

from backproof.benchmark.architectures import attention, transformer
from backproof.benchmark.compare import Comparison, compare_each
from backproof.benchmark.estimate import LeftOut, Speed, feasible, free_memory, speed
from backproof.benchmark.grid import FULL, QUICK, Grid, Size, sizes
from backproof.benchmark.libraries import FailedError, Peer, race
from backproof.benchmark.record import Benchmark, Environment, Settings, environment
from backproof.benchmark.stacks import compiled_deep, in_sweep, recomputed
from backproof.benchmark.tables import Row, Table
from backproof.benchmark.timing import Spread
from backproof.benchmark.verdicts import VerdictCost, verdict_costs

__all__ = [
    "FULL",
    "QUICK",
    "Benchmark",
    "Comparison",
    "Environment",
    "FailedError",
    "Grid",
    "LeftOut",
    "Peer",
    "Row",
    "Settings",
    "Size",
    "Speed",
    "Spread",
    "Table",
    "VerdictCost",
    "attention",
    "compare_each",
    "compiled_deep",
    "environment",
    "feasible",
    "free_memory",
    "in_sweep",
    "race",
    "recomputed",
    "sizes",
    "speed",
    "transformer",
    "verdict_costs",
]
