"""The shipped losses, one file each, and the catalogue of them; all but `mean` sum over the batch."""

from backproof.losses._binary_cross_entropy import binary_cross_entropy
from backproof.losses._half_squared_error import half_squared_error
from backproof.losses._hinge import hinge
from backproof.losses._huber import huber, huber_with
from backproof.losses._linear_cross_entropy import linear_cross_entropy_with
from backproof.losses._mean import mean
from backproof.losses._softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_dense
from backproof.losses._token_cross_entropy import token_cross_entropy, token_cross_entropy_with

CATALOGUE = (
    half_squared_error,
    softmax_cross_entropy,
    softmax_cross_entropy_dense,
    binary_cross_entropy,
    huber,
    huber_with(0.5),
    hinge,
    mean(half_squared_error),
    mean(softmax_cross_entropy),
    token_cross_entropy,
    token_cross_entropy_with(smoothing=0.1, z_loss=0.01),
    mean(token_cross_entropy),
    linear_cross_entropy_with(chunk=2, ignored=-100),
)

__all__ = [
    "CATALOGUE",
    "binary_cross_entropy",
    "half_squared_error",
    "hinge",
    "huber",
    "huber_with",
    "linear_cross_entropy_with",
    "mean",
    "softmax_cross_entropy",
    "softmax_cross_entropy_dense",
    "token_cross_entropy",
    "token_cross_entropy_with",
]
