"""A convolutional network of one's own: its backward pass by hand, verified, trained, saved and used again.

    python examples/own_network.py

The same rules train from the command line:

    cd examples && backproof train --network own_network:network --optimizer adam --save digits.npz

    z[b,i,j,k] = Σ_{p,q,c} x̃[b,i+p,j+q,c] W[p,q,c,k] + b[k]    (x̃ is x with a border of zeros)
    ∂W[p,q,c,k] = Σ_{b,i,j} x̃[b,i+p,j+q,c] δ[b,i,j,k],   ∂b = Σ δ,   δ_x = δ convolved with W turned by 180°

Source: Goodfellow, Bengio and Courville 2016, Deep Learning, section 9.5.
"""

import pathlib
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax

import backproof as bp

SIDE, KERNEL = 8, 3


def patches(x):
    """Return, for every pixel, the KERNEL × KERNEL pixels around it: (b, i, j, p, q, c)."""
    border = KERNEL // 2
    padded = jnp.pad(x, ((0, 0), (border, border), (border, border), (0, 0)))
    _, rows, columns, _ = x.shape
    shifts = [[padded[:, p : p + rows, q : q + columns] for q in range(KERNEL)] for p in range(KERNEL)]
    return jnp.stack([jnp.stack(row, axis=3) for row in shifts], axis=3)


def convolution(channels):
    """Return the rule of a convolution with `channels` outputs at each pixel."""

    def init(key, x):
        size = (KERNEL, KERNEL, x.shape[-1], channels)
        scale = (2 / (KERNEL * KERNEL * x.shape[-1])) ** 0.5
        params = {"W": scale * jax.random.normal(key, size, x.dtype), "b": jnp.zeros(channels, x.dtype)}
        return params, jax.ShapeDtypeStruct((*x.shape[:-1], channels), x.dtype)

    def forward(params, x):
        return jnp.einsum("bijpqc,pqck->bijk", patches(x), params["W"]) + params["b"][None, None, None], (
            x,
            params,
        )

    def backward(params, kept, delta):
        x, _ = kept
        grads = {"W": jnp.einsum("bijpqc,bijk->pqck", patches(x), delta), "b": delta.sum((0, 1, 2))}
        turned = params["W"][::-1, ::-1]
        return grads, jnp.einsum("bijpqk,pqck->bijc", patches(delta), turned)

    return bp.Rule(f"convolution({channels})", init, forward, backward, bp.array("b h w c>=1"))


def init_pool(key, x):
    b, h, w, c = x.shape
    return (), jax.ShapeDtypeStruct((b, h // 2, w // 2, c), x.dtype)


def squares(x):
    """Return the squares of 2 × 2 pixels of an image along an axis of their own: (b, i, j, c, 4)."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(b, h // 2, w // 2, c, 4)


def pool_forward(params, x):
    of_four = squares(x)
    return of_four.max(-1), of_four.argmax(-1)


def pool_backward(params, largest, delta):
    b, h, w, c = delta.shape
    of_four = jax.nn.one_hot(largest, 4, dtype=delta.dtype) * delta[..., None]
    return (), of_four.reshape(b, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(b, 2 * h, 2 * w, c)


pool = bp.Rule(
    "pool", init_pool, pool_forward, pool_backward, bp.array("b 2*h 2*w c"), "the first of equal pixels"
)


def reshaped(name, before, after):
    """Return the rule that gives each sample of shape `before` the shape `after`."""

    def init(key, x):
        return (), jax.ShapeDtypeStruct((x.shape[0], *after), x.dtype)

    return bp.Rule(
        name,
        init,
        lambda _, x: (x.reshape(len(x), *after), ()),
        lambda _, __, delta: ((), delta.reshape(len(delta), *before)),
        bp.array(" ".join(["b", *map(str, before)])),
    )


def network(classes):
    """Return the network for rows of 64 pixels: two convolutions, each followed by relu and pooling."""
    pixels, last = SIDE * SIDE, (SIDE // 4, SIDE // 4, 32)
    return bp.chain(
        reshaped("to_image", (pixels,), (SIDE, SIDE, 1)),
        convolution(16),
        bp.rules.relu,
        pool,
        convolution(32),
        bp.rules.relu,
        pool,
        reshaped("to_row", last, (int(np.prod(last)),)),
        bp.rules.affine(classes),
    )


def verified():
    """Return the reports on the rules that are written here."""
    return [bp.verify(rule, examples=60) for rule in (convolution(2), pool)]


def trained(seed=0, epochs=30):
    """Return the outcome on the digits, one in five held out, and what was held out."""
    data = bp.training.split(*bp.datasets.digits(), seed=seed)
    data = data._replace(x_train=data.x_train / np.float32(16), x_test=data.x_test / np.float32(16))
    loss = bp.losses.mean(bp.losses.softmax_cross_entropy)
    rate = optax.cosine_decay_schedule(3e-3, epochs * (len(data.x_train) // 32 + 1))
    return bp.fit(network(10), loss, data, optax.adam(rate), epochs=epochs, seed=seed), data


def predicted_elsewhere(path, x):
    """Return what a fresh process predicts with the parameters in a file."""
    code = f"""
import numpy as np, own_network, backproof as bp
x, net = np.load({str(path.with_suffix(".npy"))!r}), own_network.network(10)
params = bp.training.load_parameters({str(path)!r}, net, x)
np.save({str(path.with_name("y.npy"))!r}, bp.training.predict(net, params, x))
"""
    np.save(path.with_suffix(".npy"), x)
    subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parent, check=True)
    return np.load(path.with_name("y.npy"))


def main(seeds=1, epochs=30):
    for report in verified():
        print(f"{report.name}: {report.verdict}")
    accuracies = []
    for seed in range(seeds):
        outcome, data = trained(seed, epochs)
        accuracies.append(outcome.history[-1].metric)
        print(f"seed {seed}: {outcome.history[-1].metric:.2%} of {len(data.y_test)} digits held out")
    print(f"median {np.median(accuracies):.2%}")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "digits.npz"
        bp.training.save_parameters(path, network(10), outcome.params, data.x_test)
        here = bp.training.predict(network(10), outcome.params, data.x_test)
        same = np.array_equal(here, predicted_elsewhere(path, data.x_test))
    print("a fresh process predicts the same bits" if same else "a fresh process predicts something else")
    return accuracies, same


if __name__ == "__main__":
    main(seeds=5)
