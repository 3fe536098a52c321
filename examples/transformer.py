"""Trains a decoder-only transformer, letter by letter, with hand-written gradients alone.

The text is Python's own licence. The same network is also trained with `jax.grad`: the losses of 200 steps
agree as closely as rounding lets them, which a third run shows that starts one rounding away.

    python examples/transformer.py
"""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

import backproof as bp

LENGTH, WIDTH, HEADS, DEPTH = 64, 64, 4, 2
BATCH, LEARNING_RATE = 32, 3e-3
LOSS = bp.losses.mean(bp.losses.softmax_cross_entropy)


def licence():
    """Return the text that comes with every Python."""
    return (pathlib.Path(os.__file__).parent / "LICENSE.txt").read_text(encoding="utf-8")


def windows(text, letters):
    """Return windows from every fourth letter on, as numbers, and the letters that follow each place."""
    numbers = np.array([letters.index(letter) for letter in text], np.int32)
    seen = np.lib.stride_tricks.sliding_window_view(numbers, LENGTH + 1)[::4]
    return seen[:, :-1], seen[:, 1:]


def transformer(vocabulary):
    """Return the network: embedding, layers of attention and of gated units, and the embedding once more."""
    attention = bp.chain(bp.rules.rms_norm, bp.rules.self_attention(HEADS))
    gated = bp.chain(bp.rules.rms_norm, bp.rules.affine(4 * WIDTH), bp.rules.swiglu, bp.rules.affine(WIDTH))
    layer = bp.chain(bp.residual(attention), bp.residual(gated))
    return bp.rules.tied_embedding(vocabulary, WIDTH, bp.chain(bp.repeat(layer, DEPTH), bp.rules.rms_norm))


def losses_of(value_and_grad, params, batches):
    """Return the loss of each step of training."""
    optimizer = optax.adam(LEARNING_RATE)

    @jax.jit
    def step(params, memory, x, y):
        value, grads = value_and_grad(params, x, y)
        updates, memory = optimizer.update(grads, memory, params)
        return optax.apply_updates(params, updates), memory, value

    memory, found = optimizer.init(params), []
    for x, y in batches:
        params, memory, value = step(params, memory, x, y)
        found.append(float(value))
    return np.array(found)


def one_rounding_away(params):
    """Return the next number above every parameter."""
    return jax.tree.map(lambda leaf: jnp.nextafter(leaf, jnp.inf), params)


def compared(network, x, y, steps):
    """Return the losses of each step: by hand, by `jax.grad`, and by `jax.grad` from one rounding away."""

    def value(params, x, y):
        return LOSS.forward(network.forward(params, x)[0], y)[0]

    params, _ = network.init(jax.random.key(0), jax.ShapeDtypeStruct((BATCH, LENGTH), "int32"))
    chosen = np.random.default_rng(0).integers(0, len(x), (steps, BATCH))
    batches = [(x[rows], y[rows]) for rows in chosen]
    by_hand, by_jax = bp.value_and_grad(network, LOSS), jax.value_and_grad(value)
    runs = ((by_hand, params), (by_jax, params), (by_jax, one_rounding_away(params)))
    return [losses_of(gradient, start, batches) for gradient, start in runs]


def continued(network, params, window, count):
    """Return the `count` letters that follow a window, each the likeliest after those before it."""
    forward = jax.jit(lambda window: network.forward(params, window)[0][-1].argmax())
    found = []
    for _ in range(count):
        found.append(int(forward(window)))
        window = np.append(window[1:], np.int32(found[-1]))
    return found


def main(steps=200, epochs=8):
    text = licence()
    letters = sorted(set(text))
    held_out = len(text) // 10
    data = bp.training.Data(*windows(text[:-held_out], letters), *windows(text[-held_out:], letters))
    network = transformer(len(letters))

    by_hand, by_jax, nudged = compared(network, data.x_train, data.y_train, steps)
    print(
        f"loss {by_hand[0]:.3f}, and after {steps} steps {by_hand[-1]:.3f}; it differs from that of jax.grad"
    )
    print(f"by at most {np.abs(by_hand - by_jax).max():.1e}; one rounding at the start makes a difference of")
    print(f"up to {np.abs(nudged - by_jax).max():.1e}")

    def show(epoch):
        print(
            f"epoch {epoch.number}   loss {epoch.loss:.3f}   of the letters held out {epoch.metric:.1%} right"
        )

    outcome = bp.fit(
        network, LOSS, data, optax.adam(LEARNING_RATE), epochs=epochs, batch_size=BATCH, on_epoch=show
    )
    written = continued(network, outcome.params, data.x_test[0], 2 * LENGTH)
    print("".join(letters[number] for number in [*data.x_test[0], *written]))
    return by_hand, by_jax, nudged


if __name__ == "__main__":
    main()
