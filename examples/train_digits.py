"""Trains a network on the embedded handwritten digits, with hand-written gradients that are checked first.

python examples/train_digits.py
"""

import optax

import backproof as bp


def main(epochs=10):
    # There are 1,797 digits of 8 × 8 pixels. One in five is held out; the others alone set the scale.
    x, labels = bp.datasets.digits()
    data = bp.training.standardise(bp.training.split(x, labels, seed=0))

    # A rule is a forward pass with a backward pass written by hand; that of mlp is the recursion on δ.
    network = bp.mlp([64, 128, 10], bp.rules.relu)
    loss = bp.losses.mean(bp.losses.softmax_cross_entropy)

    # Is that gradient right? Checking a small network of the same kind takes a moment.
    report = bp.verify(bp.mlp([3, 4, 2], bp.rules.relu), examples=20)
    print(f"{report.name}: {report.verdict}")

    def show(epoch):
        print(f"epoch {epoch.number:2}   loss {epoch.loss:.4f}   test accuracy {epoch.metric:.2%}")

    # Any optax optimizer accepts the gradients; bp.in_sweep_sgd(0.1) is the update loop of the textbooks.
    return bp.fit(network, loss, data, optax.adam(1e-3), epochs=epochs, on_epoch=show)


if __name__ == "__main__":
    main()
