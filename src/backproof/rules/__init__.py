"""The shipped rules, one file each, and the catalogue of them."""

from backproof.rules._affine import affine
from backproof.rules._attention import attention, attention_with
from backproof.rules._blockwise_attention import attention_in_blocks
from backproof.rules._elu import elu, elu_with
from backproof.rules._gelu import gelu, gelu_tanh
from backproof.rules._hard_tanh import hard_tanh
from backproof.rules._identity import identity
from backproof.rules._layer_norm import layer_norm, layer_norm_with
from backproof.rules._leaky_relu import leaky_relu, leaky_relu_with
from backproof.rules._relu import relu, relu_with
from backproof.rules._rms_norm import rms_norm, rms_norm_with
from backproof.rules._rope import rope
from backproof.rules._self_attention import self_attention
from backproof.rules._sigmoid import sigmoid
from backproof.rules._silu import silu
from backproof.rules._sin import sin
from backproof.rules._softmax import softmax
from backproof.rules._softplus import softplus
from backproof.rules._swiglu import geglu, swiglu
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
    "Attention, gates and positions": (
        attention,
        attention_with(causal=True, window=2, padding="lengths", group=2),
        attention_with(window=2, soft_cap=2, sink=True, padding="mask", lse=True),
        attention_in_blocks(2),
        attention_in_blocks(2, causal=True, soft_cap=2, sink=True, padding="mask", group=2, lse=True),
        swiglu,
        geglu,
        rope(),
        rope("pairs", base=100, offset=3),
        self_attention(2, kv_heads=1),
    ),
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
    "elu",
    "elu_with",
    "geglu",
    "gelu",
    "gelu_tanh",
    "hard_tanh",
    "identity",
    "layer_norm",
    "layer_norm_with",
    "leaky_relu",
    "leaky_relu_with",
    "relu",
    "relu_with",
    "rms_norm",
    "rms_norm_with",
    "rope",
    "self_attention",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "swiglu",
    "tanh",
]
