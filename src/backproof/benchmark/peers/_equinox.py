"""The digits in equinox, in its usual loop: `filter_jit` of one step, called for each batch.

Run as a script of its own: `_equinox.py DATA.npz EPOCHS DEVICE`.
"""

import json
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

OPTIMIZER = optax.sgd(0.1)


def loss_of(model: eqx.nn.MLP, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(x), y).mean()


@eqx.filter_jit
def train_step(
    model: eqx.nn.MLP, memory: optax.OptState, x: jax.Array, y: jax.Array
) -> tuple[eqx.nn.MLP, optax.OptState, jax.Array]:
    """Take one step and return the loss before it."""
    loss, grads = eqx.filter_value_and_grad(loss_of)(model, x, y)
    updates, memory = OPTIMIZER.update(grads, memory)
    return eqx.apply_updates(model, updates), memory, loss


@eqx.filter_jit
def accuracy_of(model: eqx.nn.MLP, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the fraction that is classified rightly."""
    return (jax.vmap(model)(x).argmax(-1) == y).mean()


def main(path: str, epochs: int) -> None:
    """Train as `libraries` says and print one line of JSON."""
    data = np.load(path)
    x, y, x_test, y_test = (data[name] for name in ("x", "y", "x_test", "y_test"))
    x_test, y_test = jnp.asarray(x_test), jnp.asarray(y_test)
    model = eqx.nn.MLP(64, 10, 128, 2, key=jax.random.key(0))
    memory = OPTIMIZER.init(eqx.filter(model, eqx.is_array))
    numbers = np.random.default_rng(0)
    steps, seconds, accuracy = 0, 0.0, 0.0
    for epoch in range(epochs):
        begun = time.perf_counter()
        order = numbers.permutation(len(x))
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            model, memory, _ = train_step(model, memory, x[rows], y[rows])
            steps += epoch > 0
        jax.block_until_ready(eqx.filter(model, eqx.is_array))
        seconds += (time.perf_counter() - begun) * (epoch > 0)
        accuracy = float(accuracy_of(model, x_test, y_test))
    print(json.dumps({"steps_per_second": steps / seconds, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
