"""The optimizers that the command line knows by name, each with its default learning rate."""

from collections.abc import Callable
from typing import NamedTuple

import optax

from backproof.training.step import Optimizer, in_sweep_sgd


class Choice(NamedTuple):
    """Holds the function that makes an optimizer from a learning rate, and the rate used if none is given."""

    make: Callable[[float], Optimizer]
    learning_rate: float


OPTIMIZERS = {
    "sgd": Choice(optax.sgd, 0.1),
    "in-sweep-sgd": Choice(in_sweep_sgd, 0.1),
    "momentum": Choice(lambda learning_rate: optax.sgd(learning_rate, momentum=0.9), 0.02),
    "adam": Choice(optax.adam, 0.001),
    "adamw": Choice(optax.adamw, 0.001),
}
