"""A small convolutional network on the embedded digits, trained with hand-written gradients alone.

python examples/conv_digits.py
"""

import numpy as np
import optax

import backproof as bp
from backproof import rules


def network():
    """Return the network for images of 8 × 8 pixels: three convolutions and an affine layer."""
    return bp.chain(
        rules.conv2d(16, 3),
        rules.relu,
        rules.conv2d(32, 3),
        rules.relu,
        rules.max_pool(2),
        rules.conv2d(64, 3),
        rules.relu,
        rules.max_pool(2),
        rules.flatten(3),
        rules.affine(10),
    )


def images(x):
    """Return rows of 64 pixels, each from 0 to 16, as images with numbers from 0 to 1."""
    return x.reshape(-1, 8, 8, 1).astype(np.float32) / np.float32(16)


def shifted(x, y):
    """Return the images, and each one moved by one pixel up, down, left and right, with zeros moved in."""
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moved = [wide[:, 1 + i : 9 + i, 1 + j : 9 + j] for i, j in moves]
    return np.concatenate(moved), np.tile(y, len(moves))


def trained(seed, epochs):
    """Return the outcome on the split with this seed: one in five digits is held out, and never moved."""
    data = bp.training.split(*bp.datasets.digits(), seed=seed)
    x, y = shifted(images(data.x_train), data.y_train)
    data = bp.training.Data(x, y, images(data.x_test), data.y_test)
    loss = bp.losses.mean(bp.losses.softmax_cross_entropy)
    rate = optax.cosine_decay_schedule(3e-3, epochs * (-(-len(x) // 64)))
    return bp.fit(network(), loss, data, optax.adam(rate), epochs=epochs, batch_size=64, seed=seed)


def main(seeds=5, epochs=8):
    accuracies = []
    for seed in range(seeds):
        accuracies.append(trained(seed, epochs).history[-1].metric)
        print(f"seed {seed}: {accuracies[-1]:.2%} of the digits held out")
    print(f"median {np.median(accuracies):.2%}")
    return accuracies


if __name__ == "__main__":
    main()
