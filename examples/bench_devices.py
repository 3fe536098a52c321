"""Reports the cost of dividing a training step among devices, as ratios to the time on one device.

The work is the same on every mesh. If dividing it cost nothing, N devices on N free cores would take 1/N of
the time. Here one CPU stands for eight devices, which share its cores; a ratio above 1 is the cost of
dividing the work and adding up the results.

    python examples/bench_devices.py
"""

import itertools
import statistics
import time

import jax
import numpy as np
import optax

import backproof as bp
from backproof import training

WIDTH, BATCH, STEPS, ROUNDS = 256, 256, 16, 5


def layouts(devices):
    """Return the layouts for at most `devices` devices, that of one device first."""
    counts = [n for n in (1, 2, 4, 8) if n <= devices]
    found = {f"data {n}": training.data_parallel(n) for n in counts}
    found |= {f"model {n}": training.tensor_parallel(n, n) for n in counts[1:]}
    return found


def seconds(layout, width, epochs):
    """Return the seconds that each epoch took; the first is left out, because it compiles."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(BATCH * STEPS, width)).astype(np.float32), rng.integers(0, 10, BATCH * STEPS)
    marks = []
    training.fit(
        bp.mlp([width, width, width, 10], bp.rules.relu),
        bp.losses.mean(bp.losses.softmax_cross_entropy),
        training.Data(x, labels.astype(np.int32)),
        optax.adam(1e-3),
        epochs=epochs + 2,
        batch_size=BATCH,
        layout=layout,
        on_epoch=lambda _: marks.append(time.perf_counter()),
    )
    return [later - earlier for earlier, later in itertools.pairwise(marks[1:])]


def main(width=WIDTH, epochs=ROUNDS):
    meshes = layouts(len(jax.devices()))
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}; width {width}, batches of {BATCH}")
    print("mesh      time of a step / on one device")
    times = {name: statistics.median(seconds(layout, width, epochs)) for name, layout in meshes.items()}
    for name, spent in times.items():
        print(f"{name:8}  {spent / times['data 1']:.2f}")


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)
    main()
