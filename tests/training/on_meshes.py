"""What is trained on meshes, alike in every process: small, and such that no mesh divides all of it."""

from functools import partial

import jax
import numpy as np
import optax

import backproof as bp
from backproof import training
from backproof.training import Data, fit

M, BATCH, EPOCHS, N_IN, N_OUT = 13, 5, 2, 5, 6  # batches of 5, 5 and 3: no mesh but 1 divides them
NETWORKS = {
    "mlp": bp.mlp([N_IN, 8, N_OUT], bp.rules.tanh),
    "repeat": bp.chain(bp.rules.affine(8), bp.repeat(bp.chain(bp.rules.affine(8), bp.rules.tanh), 3)),
}
LAYOUTS = {
    **{f"{n}": partial(training.data_parallel, n) for n in (1, 2, 3, 4, 8)},
    "2x4": partial(training.tensor_parallel, 4),
    "2x3": partial(training.tensor_parallel, 3),  # two devices idle, and 3 divides only 6
}
MOMENTUM = optax.sgd(0.1, momentum=0.9)


def draw():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(M + 7, N_IN)), rng.integers(0, N_OUT, M + 7).astype(np.int32)
    return Data(x[:M], y[:M], x[M:], y[M:])


DATA = draw()


def first(network):
    x = jax.ShapeDtypeStruct(DATA.x_train.shape, "float64")
    return jax.tree.map(np.asarray, network.init(jax.random.key(1), x)[0])


def trained(name, layout, epochs=EPOCHS, optimizer=MOMENTUM, **settings):
    network = NETWORKS[name]
    how = {"epochs": epochs, "batch_size": BATCH, "params": first(network), "layout": layout, **settings}
    return fit(network, bp.losses.mean(bp.losses.softmax_cross_entropy), DATA, optimizer, **how)
