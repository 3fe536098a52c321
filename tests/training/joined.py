"""One of two processes that train together, on two simulated devices each, in float64.

    python tests/training/joined.py PORT PROCESS LAYOUT SEED OUT FOLDER

It writes its parameters to OUT, with checkpoints in FOLDER unless that is empty.
"""

import sys

import jax
import numpy as np

PORT, PROCESS, LAYOUT, SEED, OUT, FOLDER = sys.argv[1:]
jax.distributed.initialize(
    f"127.0.0.1:{PORT}", 2, int(PROCESS), heartbeat_timeout_seconds=10, shutdown_timeout_seconds=10
)

from on_meshes import MOMENTUM, trained  # noqa: E402  JAX must have met the others before it is used

from backproof import training  # noqa: E402

layout = {"data": training.data_parallel, "model": lambda: training.tensor_parallel(4)}[LAYOUT]()
save = {"checkpoints": training.Checkpoints(FOLDER, every_steps=1, every_seconds=0.0)} if FOLDER else {}
outcome = trained(
    "mlp", layout, 2 if OUT else 10**6, MOMENTUM, seed=int(SEED), **save,
    on_epoch=lambda epoch: print(epoch.number, flush=True),
)  # fmt: skip
np.savez(OUT, *(np.asarray(leaf) for leaf in jax.tree.leaves(training.gathered(outcome.params))))
