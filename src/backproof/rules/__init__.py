"""The shipped rules, one file each, and the catalogue of them."""

from backproof.arguments import array as _array
from backproof.rules._affine import affine
from backproof.rules._elu import elu, elu_with
from backproof.rules._gelu import gelu, gelu_tanh
from backproof.rules._gru import gru
from backproof.rules._hard_tanh import hard_tanh
from backproof.rules._identity import identity
from backproof.rules._layer_norm import layer_norm, layer_norm_with
from backproof.rules._leaky_relu import leaky_relu, leaky_relu_with
from backproof.rules._linear_recurrence import linear_recurrence
from backproof.rules._linear_recurrence_in_blocks import linear_recurrence_in_blocks
from backproof.rules._lstm import lstm
from backproof.rules._relu import relu, relu_with
from backproof.rules._rms_norm import rms_norm, rms_norm_with
from backproof.rules._rnn import rnn
from backproof.rules._selective_scan import selective_scan
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
NORMS = (layer_norm, rms_norm)
# Each with an axis of any length, or at one small shape, so that a verdict takes a few seconds.
RECURRENCES = (
    rnn(3)._replace(domain=_array("2 s 4")),
    lstm(2)._replace(domain=_array("4 3 5")),
    gru(2)._replace(domain=_array("4 3 5")),
    linear_recurrence,
    linear_recurrence_in_blocks(2)._replace(domain=(_array("s 3", low=-1, high=1), _array("s 3"))),
    selective_scan(2)._replace(
        domain=(_array("3 4 5"), _array("3 4 5", low=0), _array("3 4 2"), _array("3 4 2"))
    ),
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
    "Norms": NORMS,
    "Recurrences": RECURRENCES,
}
CATALOGUE = tuple(rule for family in FAMILIES.values() for rule in family)

__all__ = [
    "ACTIVATIONS",
    "CATALOGUE",
    "FAMILIES",
    "NORMS",
    "RECURRENCES",
    "affine",
    "elu",
    "elu_with",
    "gelu",
    "gelu_tanh",
    "gru",
    "hard_tanh",
    "identity",
    "layer_norm",
    "layer_norm_with",
    "leaky_relu",
    "leaky_relu_with",
    "linear_recurrence",
    "linear_recurrence_in_blocks",
    "lstm",
    "relu",
    "relu_with",
    "rms_norm",
    "rms_norm_with",
    "rnn",
    "selective_scan",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "tanh",
]
