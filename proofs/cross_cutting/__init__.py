r"""Across the documents: what any of their backward passes must satisfy, and where they differ by choice.

The network is that of all five: z^l = W^l a^{l−1} + b^l, a^l = σ(z^l), and δ^l = ∂J/∂z^l. The letters are
those of the library.
"""

import jax

import backproof as bp

NET = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
)


def widths(params):
    """Return n_0, n_1, …, n_L."""
    return (params[0]["W"].shape[1], *(layer["b"].size for layer in params))


def plain_network(sigma, last):
    """Return (params, x) ↦ a^L, for one sample, as the documents write it."""

    def output(params, x):
        for layer in params[:-1]:
            x = sigma(layer["W"] @ x + layer["b"])
        return last(params[-1]["W"] @ x + params[-1]["b"])

    return output


def slope(z):
    """Return σ′(z) of the sigmoid."""
    a = jax.nn.sigmoid(z)
    return a * (1 - a)


def shipped(params, x, y):
    """Return the gradients of half the squared error, as this library takes them."""
    net = bp.mlp(widths(params), bp.rules.sigmoid, bp.rules.sigmoid)
    return bp.value_and_grad(net, bp.losses.half_squared_error)(params, x, y)[1]
