"""The shipped rules, one file each, and the catalogue of them."""

from backproof.arguments import array as _array
from backproof.arguments import integers as _integers
from backproof.arguments import partition as _partition
from backproof.rules._affine import affine
from backproof.rules._attention import attention, attention_with
from backproof.rules._batch_norm import (
    batch_norm,
    batch_norm_frozen,
    batch_norm_frozen_with,
    batch_norm_with,
)
from backproof.rules._blockwise_attention import attention_in_blocks
from backproof.rules._cholesky import cholesky
from backproof.rules._conv import conv1d, conv2d
from backproof.rules._dropout import dropout
from backproof.rules._elu import elu, elu_with
from backproof.rules._embedding import embedding, tied_embedding
from backproof.rules._fixed_point import fixed_point, kepler
from backproof.rules._flatten import flatten
from backproof.rules._gelu import gelu, gelu_tanh
from backproof.rules._group_norm import group_norm
from backproof.rules._gru import gru
from backproof.rules._hard_tanh import hard_tanh
from backproof.rules._identity import identity
from backproof.rules._layer_norm import layer_norm, layer_norm_with
from backproof.rules._leaky_relu import leaky_relu, leaky_relu_with
from backproof.rules._linear_head import linear_head
from backproof.rules._linear_recurrence import linear_recurrence
from backproof.rules._linear_recurrence_in_blocks import linear_recurrence_in_blocks
from backproof.rules._log_determinant import log_determinant
from backproof.rules._lstm import lstm
from backproof.rules._pool import average_pool, max_pool
from backproof.rules._ragged import ragged_matmul
from backproof.rules._relu import relu, relu_with
from backproof.rules._rms_norm import rms_norm, rms_norm_with
from backproof.rules._rnn import rnn
from backproof.rules._rope import rope
from backproof.rules._selective_scan import selective_scan
from backproof.rules._self_attention import self_attention
from backproof.rules._sigmoid import sigmoid
from backproof.rules._silu import silu
from backproof.rules._sin import sin
from backproof.rules._softmax import softmax
from backproof.rules._softplus import softplus
from backproof.rules._solve import solve
from backproof.rules._swiglu import geglu, swiglu
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
# Each with an axis of any length, or at one small shape, so that a verdict takes a few seconds.
# Two samples with two queries for each head of keys and values, four heads of queries in all.
_QKV = (_array("2 4 4 3"), _array("2 2 5 3"), _array("2 2 5 2"))
# One of each variant, by family. Where more sizes of an axis would show nothing more, it has one size.
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
    "Norms": (layer_norm, rms_norm, batch_norm, batch_norm_frozen, group_norm(2, 1), weight_norm(3)),
    "Dropout": (dropout(0.25),),
    "Heads": (linear_head(3),),
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
    "Attention, gates and positions": (
        attention._replace(domain=(_array("2 s 3"), _array("2 3 3"), _array("2 3 2"))),
        attention_with(
            causal=True, window=2, soft_cap=2, sink=True, padding="lengths", group=2, lse=True
        )._replace(domain=(*_QKV, _integers("2", 0, 5))),
        attention_in_blocks(
            2, causal=True, soft_cap=2, sink=True, padding="mask", group=2, lse=True
        )._replace(domain=(*_QKV, _array("2 5", "bool"))),
        swiglu,
        geglu,
        rope(),
        rope("pairs", base=100, offset=3),
        self_attention(2, kv_heads=1)._replace(domain=_array("2 3 4")),
    ),
    "Recurrences": (
        rnn(3)._replace(domain=_array("2 s 4")),
        lstm(2)._replace(domain=_array("4 3 5")),
        gru(2)._replace(domain=_array("4 3 5")),
        linear_recurrence,
        linear_recurrence_in_blocks(2)._replace(domain=(_array("s 3", low=-1, high=1), _array("s 3"))),
        selective_scan(2)._replace(
            domain=(_array("3 4 5"), _array("3 4 5", low=0), _array("3 4 2"), _array("3 4 2"))
        ),
    ),
    "Linear algebra and fixed points": (solve, log_determinant, cholesky, kepler),
}
CATALOGUE = tuple(rule for family in FAMILIES.values() for rule in family)

__all__ = [
    "ACTIVATIONS",
    "CATALOGUE",
    "FAMILIES",
    "affine",
    "attention",
    "attention_in_blocks",
    "attention_with",
    "average_pool",
    "batch_norm",
    "batch_norm_frozen",
    "batch_norm_frozen_with",
    "batch_norm_with",
    "cholesky",
    "conv1d",
    "conv2d",
    "dropout",
    "elu",
    "elu_with",
    "embedding",
    "fixed_point",
    "flatten",
    "geglu",
    "gelu",
    "gelu_tanh",
    "group_norm",
    "gru",
    "hard_tanh",
    "identity",
    "kepler",
    "layer_norm",
    "layer_norm_with",
    "leaky_relu",
    "leaky_relu_with",
    "linear_head",
    "linear_recurrence",
    "linear_recurrence_in_blocks",
    "log_determinant",
    "lstm",
    "max_pool",
    "ragged_matmul",
    "relu",
    "relu_with",
    "rms_norm",
    "rms_norm_with",
    "rnn",
    "rope",
    "selective_scan",
    "self_attention",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "solve",
    "swiglu",
    "tanh",
    "tied_embedding",
    "weight_norm",
]
