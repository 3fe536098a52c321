"""Score and loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import CLASS, SCORES, cross_entropy, h, indicator


@bp.derivation(
    r"p(y = k)",
    items=("S3.6",),
    ships=lambda z: bp.rules.softmax.forward((), z)[0],
)
def softmax(z: Float[Array, " K"]):
    """The scores as probabilities."""
    yield line(
        r"\frac{\exp z_k}{\sum_i \exp z_i}",
        jnp.stack([jnp.exp(z[k]) / sum(jnp.exp(z[i]) for i in range(z.size)) for k in range(z.size)]),
        "definition",
    )
    yield line(r"\frac{\exp z}{\sum \exp z}", jnp.exp(z) / jnp.sum(jnp.exp(z)), "as vectors")
    top = jax.lax.stop_gradient(jnp.max(z))
    yield line(
        r"\frac{\exp(z - m)}{\sum \exp(z - m)}, \quad m = \max z",
        jnp.exp(z - top) / jnp.sum(jnp.exp(z - top)),
        "numerator and denominator divided by e^m",
    )
    yield line(
        r"\sum_k p(y = k) = 1", bp.equal(jnp.sum(bp.rules.softmax.forward((), z)[0]), 1.0), "they sum to 1"
    )


@bp.derivation(r"J", items=("S3.7",), uses=(softmax,), args=[SCORES, CLASS])
def loss(z, y):
    """The loss is minus the logarithm of the probability of the class."""
    t = indicator(y, z)
    yield line(r"-\sum_k 1(y = k) \ln p(y = k)", -jnp.sum(t * jnp.log(h(z))), "definition")
    yield line(r"-\ln p_y", -jnp.log(jnp.sum(t * h(z))), "one indicator is 1, the others 0")
    yield line(
        r"-\left(z_y - \ln \sum_i \exp z_i\right)",
        -jnp.sum(t * (z - jnp.log(jnp.sum(jnp.exp(z))))),
        "the logarithm of a quotient",
    )
    yield line(r"\texttt{backproof}", cross_entropy.forward(z, y)[0], "this library, given the class")
    yield line(
        r"\texttt{backproof}", bp.losses.softmax_cross_entropy_dense.forward(z, t)[0], "and given 1(y = k)"
    )
