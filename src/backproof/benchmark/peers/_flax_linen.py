"""The digits in flax.linen, in its usual loop: a jitted step on a `TrainState`, called for each batch.

Run as a script of its own: `_flax_linen.py DATA.npz EPOCHS DEVICE`.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState


class Model(nn.Module):
    """64-128-128-10 with relu."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits."""
        x = nn.relu(nn.Dense(128)(x))
        x = nn.relu(nn.Dense(128)(x))
        return nn.Dense(10)(x)


@jax.jit
def train_step(state: TrainState, x: jax.Array, y: jax.Array) -> tuple[TrainState, jax.Array]:
    """Take one step and return the loss before it."""

    def loss_of(params: dict) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(state.apply_fn(params, x), y).mean()

    loss, grads = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=grads), loss


@jax.jit
def accuracy_of(state: TrainState, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the fraction that is classified rightly."""
    return (state.apply_fn(state.params, x).argmax(-1) == y).mean()


def main(path: str, epochs: int) -> None:
    """Train as `libraries` says and print one line of JSON."""
    data = np.load(path)
    x, y, x_test, y_test = (data[name] for name in ("x", "y", "x_test", "y_test"))
    x_test, y_test = jnp.asarray(x_test), jnp.asarray(y_test)
    model = Model()
    params = model.init(jax.random.key(0), x_test)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))
    numbers = np.random.default_rng(0)
    steps, seconds, accuracy = 0, 0.0, 0.0
    for epoch in range(epochs):
        begun = time.perf_counter()
        order = numbers.permutation(len(x))
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            state, _ = train_step(state, x[rows], y[rows])
            steps += epoch > 0
        jax.block_until_ready(state.params)
        seconds += (time.perf_counter() - begun) * (epoch > 0)
        accuracy = float(accuracy_of(state, x_test, y_test))
    print(json.dumps({"steps_per_second": steps / seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
