"""Times as ratios of interleaved runs, so that a busy machine slows all sides alike.

A round calls every run once forwards and once backwards (A B B A), which cancels a drift that is even
within the round. A ratio is taken within each round; its median and quartiles are over the rounds.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

Run = Callable[[], object]
# Calls shorter than this many seconds are repeated until they take as long; else the clock is measured.
SLOT = 1e-3
LEAST_ROUNDS, MOST_ROUNDS = 5, 200


@dataclass(frozen=True)
class Spread:
    """Holds a number that was measured several times.

    Attributes:
        median: the median of all rounds.
        low, high: the quartiles: half of the rounds lie between them.
        rounds: the number of rounds.
    """

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles of at least one number."""
    low, median, high = np.percentile(np.asarray(values, np.float64), [25, 50, 75])
    return Spread(float(median), float(low), float(high), len(values))


def ratio(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Return the spread over the rounds of one side's number divided by the other's."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def interleaved(
    runs: Sequence[Run],
    seconds: float,
    *,
    least: int = LEAST_ROUNDS,
    most: int = MOST_ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[tuple[float, ...], ...]:
    """Return, for each of `runs`, the seconds that a call took in each round.

    Args:
        runs: the functions to time; each returns arrays, and is timed until they are ready.
        seconds: rounds are added until they have taken this long together.
        least: the fewest rounds, however long they take.
        most: the most rounds.
        clock: returns the time in seconds.
    """

    def timed(run: Run, calls: int) -> float:
        begun = clock()
        for _ in range(calls):
            jax.block_until_ready(run())
        return (clock() - begun) / calls

    for run in runs:
        timed(run, 1)  # warms up: touches memory, and compiles what is not yet compiled
    calls = [max(1, math.ceil(SLOT / max(timed(run, 1), 1e-9))) for run in runs]
    order = [*range(len(runs)), *reversed(range(len(runs)))]
    rounds: list[list[float]] = []
    begun = clock()
    while len(rounds) < least or (len(rounds) < most and clock() - begun < seconds):
        taken = [0.0] * len(runs)
        for i in order:
            taken[i] += timed(runs[i], calls[i]) / 2
        rounds.append(taken)
    return tuple(zip(*rounds, strict=True))
