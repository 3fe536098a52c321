r"""The sweep through the documents' TestNet 3-4-2 on one sample: every value of it, from the library.

Forward z, a for both layers, then J; backward δ^(2), ∂W^(2), ∂b^(2), then the same for layer 1 (document 003,
S3.4–S3.16), by its rules, `deltas` and `layer_step`, in float64.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from backproof import losses, rules
from backproof.network import LayerResiduals, deltas, layer_step, mlp
from backproof.numerics.tracing import float64

TESTNET = mlp([3, 4, 2], rules.relu)
# Plain weights, chosen so that one unit of the hidden layer is off, and a sample of class 2.
PARAMS = (
    {
        "W": np.array([[0.5, -1.0, 0.2], [1.0, 0.3, -0.5], [-0.8, 0.4, 1.0], [0.2, 0.6, 0.7]]),
        "b": np.array([0.1, -0.2, 0.3, 0.0]),
    },
    {"W": np.array([[0.7, -0.4, 0.9, 0.3], [-0.6, 0.8, 0.1, 0.5]]), "b": np.array([0.2, -0.1])},
)
X = np.array([1.0, 2.0, -1.0])
CLASS = 1  # counted from 0


class Values(NamedTuple):
    """Holds the values of one sweep; `z`, `a` and `delta` begin with layer 1, and `a_0` is the input.

    Attributes:
        a_0: the input.
        z, a: pre-activations and activations.
        p, loss: the probabilities and J.
        y: the target, one-hot.
        delta: ∂J/∂z of each layer.
        gate: σ′(z^(1)).
        delta_a: ∂J/∂a^(1).
        grads: ∂J/∂W and ∂J/∂b of each layer.
    """

    a_0: Any
    z: Sequence[Any]
    a: Sequence[Any]
    p: Any
    loss: Any
    y: Any
    delta: Sequence[Any]
    gate: Any
    delta_a: Any
    grads: Sequence[dict[str, Any]]


def values() -> Values:
    """Return the values of the sweep, as the library computes them in float64."""
    with float64():
        found = jax.jit(_swept)(PARAMS, X, np.eye(2)[CLASS])
        return Values(*jax.tree.map(np.asarray, tuple(found)))


def _swept(params: Any, x: Any, y: Any) -> Values:
    out, residuals = TESTNET.forward(params, x)
    loss, kept = losses.softmax_cross_entropy.forward(out, y)
    delta_y = losses.softmax_cross_entropy.backward(kept)
    z_1 = rules.affine(4).forward(params[0], x)[0]
    delta = deltas(params, residuals, delta_y)
    grads_2, delta_a = layer_step(params[1], residuals[1], delta_y)
    grads_1, _ = layer_step(params[0], residuals[0], delta_a)
    p = rules.softmax.forward((), out)[0]
    a = (residuals[1].x, out)
    return Values(x, (z_1, out), a, p, loss, y, delta, _slope(residuals[0]), delta_a, (grads_1, grads_2))


def _slope(kept: LayerResiduals) -> Any:
    """Return σ′(z) of a layer, as its activation's own backward pass gives it."""
    return kept.activation.backward((), kept.kept, jax.numpy.ones(4))[1]
