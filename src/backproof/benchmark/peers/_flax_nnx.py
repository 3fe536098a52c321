"""The digits in flax.nnx, in the loop of its documentation: `nnx.jit` of one step, called for each batch.

Run as a script of its own: `_flax_nnx.py DATA.npz EPOCHS DEVICE`.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx


class Model(nnx.Module):
    """64-128-128-10 with relu."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(64, 128, rngs=rngs)
        self.second = nnx.Linear(128, 128, rngs=rngs)
        self.last = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits."""
        return self.last(nnx.relu(self.second(nnx.relu(self.first(x)))))


@nnx.jit
def train_step(model: Model, optimizer: nnx.Optimizer, x: jax.Array, y: jax.Array) -> jax.Array:
    """Take one step and return the loss before it."""

    def loss_of(model: Model) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    loss, grads = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, grads)
    return loss


@nnx.jit
def accuracy_of(model: Model, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the fraction that is classified rightly."""
    return (model(x).argmax(-1) == y).mean()


def main(path: str, epochs: int) -> None:
    """Train as `libraries` says and print one line of JSON."""
    data = np.load(path)
    x, y, x_test, y_test = (data[name] for name in ("x", "y", "x_test", "y_test"))
    x_test, y_test = jnp.asarray(x_test), jnp.asarray(y_test)
    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    numbers = np.random.default_rng(0)
    steps, seconds, accuracy = 0, 0.0, 0.0
    for epoch in range(epochs):
        begun = time.perf_counter()
        order, loss = numbers.permutation(len(x)), None
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            loss = train_step(model, optimizer, x[rows], y[rows])
            steps += epoch > 0
        jax.block_until_ready((loss, nnx.state(model)))
        seconds += (time.perf_counter() - begun) * (epoch > 0)
        accuracy = float(accuracy_of(model, x_test, y_test))
    print(json.dumps({"steps_per_second": steps / seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
