"""The digits in backproof: `fit`, whose epoch is one program.

Run as a script of its own: `_backproof.py DATA.npz EPOCHS DEVICE`.
"""

import json
import sys
import time

import jax
import numpy as np

import backproof as bp


def main(path: str, epochs: int) -> None:
    """Train as `libraries` says and print one line of JSON."""
    arrays = np.load(path)
    x, y, x_test, y_test = (arrays[name] for name in ("x", "y", "x_test", "y_test"))
    network = bp.mlp([64, 128, 128, 10], bp.rules.relu)
    loss = bp.losses.mean(bp.losses.softmax_cross_entropy)
    ends = []
    trained = bp.fit(
        network,
        loss,
        bp.training.Data(x, y),  # the peers' test part is not timed either
        bp.training.OPTIMIZERS["sgd"].make(0.1),
        epochs=epochs,
        batch_size=64,
        on_epoch=lambda _: ends.append(time.perf_counter()),
    )
    predict = jax.jit(lambda params, x: network.forward(params, x)[0])
    accuracy = bp.training.accuracy(predict(trained.params, x_test), jax.numpy.asarray(y_test))
    steps = (epochs - 1) * -(-len(x) // 64)
    found = {"steps_per_second": steps / (ends[-1] - ends[0]), "accuracy": float(accuracy)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
