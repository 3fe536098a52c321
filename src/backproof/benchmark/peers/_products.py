"""The matrix products of the same steps and nothing else: a speed that no loop in JAX can exceed here.

Run as a script of its own: `_products.py DATA.npz EPOCHS DEVICE`.
"""

import itertools
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SIZES, BATCH = (64, 128, 128, 10), 64


def products(weights: tuple[jax.Array, ...], x: jax.Array) -> tuple[tuple[jax.Array, ...], None]:
    """Return ∂L/∂W of each layer for δ = y: eight products, none of which can be left out."""
    activations = [x]
    for W in weights:
        activations.append(activations[-1] @ W.T)
    delta, *below = activations[::-1]
    grads = []
    for W, a in zip(weights[::-1], below, strict=True):
        grads.append(delta.T @ a)
        if a is not x:
            delta = delta @ W
    return tuple(grads[::-1]), None


def main(path: str, epochs: int) -> None:
    """Do the products of each step of each epoch and print one line of JSON."""
    samples = len(np.load(path)["x"])
    # zeros stay zeros from step to step, and are multiplied as fast as other numbers
    batches = jnp.zeros((samples // BATCH, BATCH, SIZES[0]))
    rest = jnp.zeros((samples % BATCH, SIZES[0]))
    weights = tuple(jnp.zeros((n, m)) for m, n in itertools.pairwise(SIZES))

    @jax.jit
    def epoch(weights: tuple[jax.Array, ...], batches: jax.Array, rest: jax.Array) -> tuple[jax.Array, ...]:
        weights, _ = lax.scan(products, weights, batches)
        return products(weights, rest)[0] if len(rest) else weights

    weights = jax.block_until_ready(epoch(weights, batches, rest))
    begun = time.perf_counter()
    for _ in range(epochs - 1):
        weights = epoch(weights, batches, rest)
    jax.block_until_ready(weights)
    seconds = time.perf_counter() - begun
    steps = (epochs - 1) * -(-samples // BATCH)
    print(json.dumps({"steps_per_second": steps / seconds, "accuracy": None}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
