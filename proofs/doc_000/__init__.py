r"""Document 000: backpropagation in a network with σ on every layer, from the loss to the recursion on δ.

Letters as in the document: layers l = 1 … L; z^l = W^l a^{l−1} + b^l; a^l = σ(z^l); a^0 = x; the loss
J(W, b, x, y) = ½‖a^L − y‖²; δ^l = ∂J/∂z^l. The document never says which σ: what follows needs it to be
differentiable and to act on each component alone, and nothing else. Where one must be taken, several are.

Vectors are arrays of one axis, a matrix W^l has the shape (n_l, n_{l−1}). A Jacobian from `jax.jacobian`
has a row for each output. The document's matrices ∂z^{l+1}/∂z^l have a column for each output: they are
its transpose, and S0.11 says so.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

import backproof as bp
from backproof import rules

SIGMAS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "softplus": jax.nn.softplus, "sin": jnp.sin}

SHIPPED = {name: getattr(rules, name) for name in SIGMAS}


def sigma(z):
    """σ where the document leaves it open and one is enough: the sigmoid."""
    return jax.nn.sigmoid(z)


def dsigma(z):
    """σ′, of each component alone."""
    return jax.nn.sigmoid(z) * (1 - jax.nn.sigmoid(z))


def J(a, y):
    """½‖a − y‖²."""
    return jnp.sum((a - y) ** 2) / 2


def network(sizes, rule):
    """The shipped network with this σ on every layer."""
    return bp.mlp(sizes, rule, rule)


def drawn(sizes, samples=()):
    """Parameters, inputs and targets of a network of these widths, from a fixed seed."""
    rng = np.random.default_rng(0)
    pairs = list(pairwise(sizes))
    params = tuple(
        {"W": jnp.array(rng.normal(size=(n, m)) / m**0.5), "b": jnp.array(rng.normal(size=n))}
        for m, n in pairs
    )
    x, y = (jnp.array(rng.normal(size=(*samples, n))) for n in (sizes[0], sizes[-1]))
    return params, x, y


STEP = [bp.array("k n"), bp.array("k"), bp.array("n"), bp.array("k")]  # W^{l+1}, b^{l+1}, z^l, δ^{l+1}

NETWORK = [
    (
        {"W": bp.array("n m"), "b": bp.array("n")},
        {"W": bp.array("k n"), "b": bp.array("k")},
        {"W": bp.array("q k"), "b": bp.array("q")},
    ),
    bp.array("m"),
    bp.array("q"),
]  # ((W^1, b^1), (W^2, b^2), (W^3, b^3)), x, y


def forward(params, x):
    """[z^1 … z^L] and [a^0 … a^L]."""
    z, a = [], [x]
    for layer in params:
        z.append(layer["W"] @ a[-1] + layer["b"])
        a.append(sigma(z[-1]))
    return z, a


def shipped_deltas(params, x, y):
    """(δ^1, …, δ^L) by the shipped recursion."""
    sizes = (params[0]["W"].shape[1], *(layer["W"].shape[0] for layer in params))
    a, residuals = network(sizes, rules.sigmoid).forward(params, x)
    return bp.deltas(params, residuals, a - y)


def shipped_gradient(params, x, y):
    """The gradients of all layers by the shipped backward pass."""
    sizes = (params[0]["W"].shape[1], *(layer["W"].shape[0] for layer in params))
    net = network(sizes, rules.sigmoid)
    a, residuals = net.forward(params, x)
    return net.backward(params, residuals, a - y)[0]
