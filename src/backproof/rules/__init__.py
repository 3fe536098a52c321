"""The shipped rules, one file each, and the catalogue of them."""

from backproof.rules._affine import affine
from backproof.rules._batch_norm import (
    batch_norm,
    batch_norm_frozen,
    batch_norm_frozen_with,
    batch_norm_with,
)
from backproof.rules._cholesky import cholesky
from backproof.rules._dropout import dropout
from backproof.rules._elu import elu, elu_with
from backproof.rules._fixed_point import fixed_point, kepler
from backproof.rules._gelu import gelu, gelu_tanh
from backproof.rules._group_norm import group_norm
from backproof.rules._hard_tanh import hard_tanh
from backproof.rules._identity import identity
from backproof.rules._layer_norm import layer_norm, layer_norm_with
from backproof.rules._leaky_relu import leaky_relu, leaky_relu_with
from backproof.rules._log_determinant import log_determinant
from backproof.rules._relu import relu, relu_with
from backproof.rules._rms_norm import rms_norm, rms_norm_with
from backproof.rules._sigmoid import sigmoid
from backproof.rules._silu import silu
from backproof.rules._sin import sin
from backproof.rules._softmax import softmax
from backproof.rules._softplus import softplus
from backproof.rules._solve import solve
from backproof.rules._tanh import tanh
from backproof.rules._weight_norm import weight_norm

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
    "Norms": (layer_norm, rms_norm, batch_norm, batch_norm_frozen, group_norm(2), weight_norm(3)),
    "Dropout": (dropout(0.25),),
    "Linear algebra and fixed points": (solve, log_determinant, cholesky, kepler),
}
CATALOGUE = tuple(rule for family in FAMILIES.values() for rule in family)

__all__ = [
    "ACTIVATIONS",
    "CATALOGUE",
    "FAMILIES",
    "affine",
    "batch_norm",
    "batch_norm_frozen",
    "batch_norm_frozen_with",
    "batch_norm_with",
    "cholesky",
    "dropout",
    "elu",
    "elu_with",
    "fixed_point",
    "gelu",
    "gelu_tanh",
    "group_norm",
    "hard_tanh",
    "identity",
    "kepler",
    "layer_norm",
    "layer_norm_with",
    "leaky_relu",
    "leaky_relu_with",
    "log_determinant",
    "relu",
    "relu_with",
    "rms_norm",
    "rms_norm_with",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "solve",
    "tanh",
    "weight_norm",
]
