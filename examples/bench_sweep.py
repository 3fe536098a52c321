"""Compares a sweep, a grid of learning rates and seeds as one program, with one call of `fit` for each pair.

One by one, `fit` compiles once for each learning rate, whatever the seeds. Where a step costs nothing but
arithmetic, as on a few CPU cores, a sweep saves two things: it shares the work among the cores, and it
avoids what each call of `fit` costs apart from its steps.

    python examples/bench_sweep.py
"""

import statistics
import time

import jax
import numpy as np

import backproof as bp
from backproof import training

# fit keeps the compiled programs of eight rates; with a ninth, every round would compile again
RATES, SEEDS = tuple(float(rate) for rate in np.geomspace(0.01, 0.3, 8)), range(32)
LAYERS, EPOCHS, ROUNDS = (128, 128), 5, 3
LOSS = bp.losses.mean(bp.losses.softmax_cross_entropy)


def main(layers=LAYERS, rates=RATES, seeds=SEEDS, epochs=EPOCHS, rounds=ROUNDS):
    data = training.standardise(training.split(*bp.datasets.digits(), seed=0))
    network = bp.mlp([64, *layers, 10], bp.rules.relu)
    how = {"epochs": epochs, "batch_size": 64}

    def at_once():
        grid = {"learning_rate": rates}
        return training.sweep(network, LOSS, data, bp.in_sweep_sgd, grid, seeds=seeds, **how).final()

    def one_by_one():
        return [
            [training.fit(network, LOSS, data, bp.in_sweep_sgd(rate), seed=seed, **how) for seed in seeds]
            for rate in rates
        ]

    first = {"at once": seconds(at_once), "one by one": seconds(one_by_one)}
    again = [(seconds(at_once), seconds(one_by_one)) for _ in range(rounds)]
    count = len(rates) * len(seeds)
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}; {count} experiments of {epochs} epochs")
    print(f"at once, compilation included:     {first['at once']:7.2f} s")
    print(f"one by one, compilations included: {first['one by one']:7.2f} s, "
          f"{first['one by one'] / first['at once']:.2f} times as long")  # fmt: skip
    ratios = sorted(slow / quick for quick, slow in again)
    print(f"compiled before: one by one takes {statistics.median(ratios):.2f} times as long as at once "
          f"[{ratios[0]:.2f} {ratios[-1]:.2f}]")  # fmt: skip


def seconds(run):
    """Return the seconds until `run` has computed its numbers."""
    begun = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
