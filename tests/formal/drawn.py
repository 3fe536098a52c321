"""Drawn networks: the formal network and its parameters beside the shipped rule."""

from itertools import pairwise

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import backproof as bp
import mirror
from backproof import rules

FORMAL = {name: getattr(mirror, name) for name in ("identity", "sigmoid", "tanh", "softplus", "relu")}
SIZES = [(3, 2), (2, 1, 3), (4, 3, 2), (2, 5, 1, 3)]  # neighbours differ, so that no transposed factor fits
seeds = st.integers(0, 2**32 - 1)
sizes_of_nets, names = st.sampled_from(SIZES), st.sampled_from(sorted(FORMAL))
batches = st.sampled_from([1, 3])
two_classes = st.sampled_from([(3, 2), (3, 4, 2), (2, 5, 3, 2)])


class Drawn:
    """One network, `A` and `th` as in the proofs, `rule` as shipped; X and G have samples as columns."""

    def __init__(self, sizes, batch, activation, last, seed):
        rng = np.random.default_rng(seed)
        self.sizes = sizes
        self.A = mirror.arch(*(FORMAL[activation],) * (len(sizes) - 2), FORMAL[last])
        layers = ((rng.normal(size=(n, m)) / m**0.5, rng.normal(size=(n, 1))) for m, n in pairwise(sizes))
        self.th = mirror.params(*layers)
        self.X, self.G = rng.normal(size=(sizes[0], batch)), rng.normal(size=(sizes[-1], batch))
        self.rule = bp.mlp(sizes, getattr(rules, activation), getattr(rules, last))

    def shipped(self, th, X):
        """Return the shipped output, its residuals and the shipped form of the parameters."""
        params = to_shipped(th)
        return *self.rule.forward(params, X.T), params


def to_shipped(th):
    return tuple({"W": W, "b": b[:, 0]} for W, b in th)


def to_formal(layers):
    return tuple((layer["W"], layer["b"][:, None]) for layer in layers)


nets = st.builds(Drawn, sizes_of_nets, batches, names, names, seeds)
few = settings(max_examples=6)  # every example traces a network anew, by hand and by the mirror


def shipped_grads(net, th, X, G):
    _, residuals, params = net.shipped(th, X)
    grads, delta_x = net.rule.backward(params, residuals, G.T)
    return to_formal(grads), delta_x.T
