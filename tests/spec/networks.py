"""Random networks of the documents: shapes from a short menu, values from a NumPy seed.

Beside the shipped network stands an independent one, written for a single sample as the documents
write it (z = W a + b on column vectors), carried over batches by `jax.vmap`; only autodiff
differentiates it.
"""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import backproof as bp
from backproof import rules

# Widths n_0 … n_L: neighbours differ wherever a width is not 1, so that no transposed factor fits.
SIZES = [(1, 1), (3, 2), (2, 1, 3), (4, 3, 2), (2, 5, 1, 3), (3, 4, 2, 5, 2), (2, 3, 1, 4, 2, 5)]
DEEP = [sizes for sizes in SIZES if len(sizes) > 2]  # at least one hidden layer
BATCHES = [(), (1,), (3,)]  # the empty shape is a single sample

# σ as an independent function; jax.nn.relu has slope 0 at 0, as the strict gate of S1.7.
REFERENCE = {
    "identity": lambda z: z,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "sin": jnp.sin,
}
SIGMAS = [rules.identity, rules.sigmoid, rules.tanh, rules.relu, rules.softplus, rules.sin]


class Net(NamedTuple):
    """A drawn network.

    Attributes:
        rule: the shipped `mlp`.
        sigma: (σ^1, …, σ^L), independent functions of z.
        params: ({"W", "b"}, …), NumPy float64.
        x: the input a^0, of shape (*batch, n_0).
        y: a target, of the shape of the output.
        delta: a cotangent ∂J/∂a^L, never of ones.
    """

    rule: bp.Rule
    sigma: tuple
    params: tuple
    x: np.ndarray
    y: np.ndarray
    delta: np.ndarray

    @property
    def depth(self):
        return len(self.params)


seeds = st.integers(0, 2**32 - 1)


def draw_network(sizes, batch, activation, last, seed, scale=1.0):
    """Return the `Net` of these shapes with normal values from `seed`."""
    rng = np.random.default_rng(seed)
    params = tuple(
        {"W": scale * rng.normal(size=(n, m)) / m**0.5, "b": scale * rng.normal(size=n)}
        for m, n in pairwise(sizes)
    )
    x, y, delta = (rng.normal(size=(*batch, n)) for n in (sizes[0], sizes[-1], sizes[-1]))
    sigma = (REFERENCE[activation.name],) * (len(sizes) - 2) + (REFERENCE[last.name],)
    return Net(bp.mlp(sizes, activation, last), sigma, params, x, y, delta)


def networks(sizes=SIZES, batches=BATCHES, activations=SIGMAS, lasts=(rules.identity, rules.sigmoid)):
    """Draw a `Net`; `batches=[()]` gives a single sample."""
    return st.builds(
        draw_network,
        st.sampled_from(sizes),
        st.sampled_from(batches),
        st.sampled_from(activations),
        st.sampled_from(lasts),
        seeds,
    )


def layers(sigma, params, x):
    """Return ([z^1 … z^L], [a^0 … a^L]) for one sample: z^l = W^l a^{l−1} + b^l, a^l = σ(z^l)."""
    z, a = [], [x]
    for layer, f in zip(params, sigma, strict=True):
        z.append(layer["W"] @ a[-1] + layer["b"])
        a.append(f(z[-1]))
    return z, a


def output(sigma, params, x):
    """Return a^L for any leading batch axes of `x`."""

    def single(x):
        return layers(sigma, params, x)[1][-1]

    for _ in range(jnp.ndim(x) - 1):
        single = jax.vmap(single)
    return single(x)


def from_z(sigma, params, k, z):
    """Return a^L as a function of z^k (k = 1 … L) for one sample."""
    return layers(sigma[k:], params[k:], sigma[k - 1](z))[1][-1]


def hand(rule):
    """Return (params, x, ∂J/∂a^L) -> (∂J/∂params, ∂J/∂x) by the shipped backward pass."""
    return lambda params, x, delta: rule.backward(params, rule.forward(params, x)[1], delta)


def hand_deltas(rule):
    """Return (params, x, ∂J/∂a^L) -> (δ^1, …, δ^L) by the shipped recursion."""
    return lambda params, x, delta: bp.deltas(params, rule.forward(params, x)[1], delta)


def autodiff(sigma):
    """Return (params, x, ∂J/∂a^L) -> (∂J/∂params, ∂J/∂x) by autodiff of J = ⟨∂J/∂a^L, a^L⟩."""

    def gradient(params, x, delta):
        return jax.grad(lambda params, x: jnp.sum(delta * output(sigma, params, x)), (0, 1))(params, x)

    return gradient
