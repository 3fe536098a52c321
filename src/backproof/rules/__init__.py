"""The shipped rules, one file each, and the catalogue of them."""

from backproof.arguments import array as _array
from backproof.arguments import partition as _partition
from backproof.rules._affine import affine
from backproof.rules._conv import conv1d, conv2d
from backproof.rules._elu import elu, elu_with
from backproof.rules._embedding import embedding, tied_embedding
from backproof.rules._flatten import flatten
from backproof.rules._gelu import gelu, gelu_tanh
from backproof.rules._hard_tanh import hard_tanh
from backproof.rules._identity import identity
from backproof.rules._layer_norm import layer_norm, layer_norm_with
from backproof.rules._leaky_relu import leaky_relu, leaky_relu_with
from backproof.rules._pool import average_pool, max_pool
from backproof.rules._ragged import ragged_matmul
from backproof.rules._relu import relu, relu_with
from backproof.rules._rms_norm import rms_norm, rms_norm_with
from backproof.rules._sigmoid import sigmoid
from backproof.rules._silu import silu
from backproof.rules._sin import sin
from backproof.rules._softmax import softmax
from backproof.rules._softplus import softplus
from backproof.rules._tanh import tanh

ACTIVATIONS = (
    identity,
    sigmoid,
    tanh,
    relu,
    leaky_relu,
    elu,
    softplus,
    silu,
    gelu,
    gelu_tanh,
    hard_tanh,
    sin,
)
# One of each variant, by family.
FAMILIES = {
    "Layers and activations": (
        affine(3),
        *ACTIVATIONS,
        relu_with(0.5),
        relu_with(1.0),
        leaky_relu_with(-0.5),
        elu_with(0.5),
        softmax,
    ),
    "Norms": (layer_norm, rms_norm),
    "Linear maps": (
        conv1d(2, 3)._replace(domain=_array("*batch n>=1 2")),
        conv2d(4, 2, (2, 1), "VALID", (1, 2), groups=2)._replace(domain=_array("*batch 5 4 2")),
        max_pool((3,), 2, "SAME")._replace(domain=_array("*batch n>=1 2")),
        max_pool(2)._replace(domain=_array("*batch 5 4 2")),
        average_pool((3, 2), (2, 1), ((1, 0), (1, 1)))._replace(domain=_array("*batch 4 3 2")),
        flatten(3)._replace(domain=_array("*batch 2 n 3")),
        embedding(4, 3),
        tied_embedding(4, 3, affine(3)),
        ragged_matmul(3, 2)._replace(domain=(_array("5 2"), _partition("3", of=5))),
    ),
}
CATALOGUE = tuple(rule for family in FAMILIES.values() for rule in family)

__all__ = [
    "ACTIVATIONS",
    "CATALOGUE",
    "FAMILIES",
    "affine",
    "average_pool",
    "conv1d",
    "conv2d",
    "elu",
    "elu_with",
    "embedding",
    "flatten",
    "gelu",
    "gelu_tanh",
    "hard_tanh",
    "identity",
    "layer_norm",
    "layer_norm_with",
    "leaky_relu",
    "leaky_relu_with",
    "max_pool",
    "ragged_matmul",
    "relu",
    "relu_with",
    "rms_norm",
    "rms_norm_with",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "tanh",
    "tied_embedding",
]
