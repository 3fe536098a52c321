"""Backward: the slopes of the score."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import LABEL, J_of, cross_entropy, h, indicator
from .s05_loss import loss, softmax


@bp.derivation(
    r"\frac{\partial p(y=1)}{\partial z_1}",
    items=("S3.8",),
    uses=(softmax,),
    ships=lambda z: bp.rules.softmax.backward((), bp.rules.softmax.forward((), z)[1], jnp.array([1.0, 0.0]))[
        1
    ][0],
)
def slope_of_p_by_its_own_score(z: Float[Array, " 2"]):
    """The quotient rule, where numerator and denominator both hear z_1."""
    e, total = jnp.exp(z), jnp.sum(jnp.exp(z))
    p = h(z)
    yield line(r"\frac{\partial p(y=1)}{\partial z_1}", jax.grad(lambda z: h(z)[0])(z)[0], "definition")
    yield line(
        r"\frac{\exp z_1 \sum \exp z - \exp z_1 \exp z_1}{(\sum \exp z)^2}",
        (e[0] * total - e[0] * e[0]) / total**2,
        "quotient rule",
    )
    yield line(
        r"\frac{\exp z_1}{\sum \exp z} - \left(\frac{\exp z_1}{\sum \exp z}\right)^2",
        e[0] / total - (e[0] / total) ** 2,
        "the fraction split",
    )
    yield line(r"p(y=1) - p(y=1)^2", p[0] - p[0] ** 2, "softmax")


@bp.derivation(
    r"\frac{\partial p(y=2)}{\partial z_1}",
    items=("S3.8",),
    uses=(softmax,),
    ships=lambda z: bp.rules.softmax.backward((), bp.rules.softmax.forward((), z)[1], jnp.array([0.0, 1.0]))[
        1
    ][0],
)
def slope_of_p_by_another_score(z: Float[Array, " 2"]):
    """The quotient rule, where only the denominator hears z_1."""
    e, total = jnp.exp(z), jnp.sum(jnp.exp(z))
    p = h(z)
    yield line(r"\frac{\partial p(y=2)}{\partial z_1}", jax.grad(lambda z: h(z)[1])(z)[0], "definition")
    yield line(
        r"\frac{-\exp z_2 \exp z_1}{(\sum \exp z)^2}",
        (0.0 * total - e[1] * e[0]) / total**2,
        "quotient rule; the numerator does not hear z_1",
    )
    yield line(
        r"-\frac{\exp z_1}{\sum \exp z} \frac{\exp z_2}{\sum \exp z}",
        -(e[0] / total) * (e[1] / total),
        "the fraction split",
    )
    yield line(r"-p(y=1)\, p(y=2)", -p[0] * p[1], "softmax")


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(2)}_1}",
    items=("S3.8", "S3.9"),
    uses=(loss, slope_of_p_by_its_own_score, slope_of_p_by_another_score),
    args=[bp.array("2"), LABEL],
    ships=lambda z, y: cross_entropy.backward(cross_entropy.forward(z, y)[1])[0],
)
def two_classes(z, y):
    """From the chain rule to p − 1(y), for the two classes of TestNet."""
    p, t = h(z), indicator(y, z)
    yield line(r"\frac{\partial J}{\partial z_1}", jax.grad(lambda z: J_of(z, y))(z)[0], "definition")
    yield line(
        r"-\frac{1(y=1)}{p(y=1)} \frac{\partial p(y=1)}{\partial z_1}"
        r" - \frac{1(y=2)}{p(y=2)} \frac{\partial p(y=2)}{\partial z_1}",
        -t[0] / p[0] * jax.jacobian(h)(z)[0, 0] - t[1] / p[1] * jax.jacobian(h)(z)[1, 0],
        "chain rule at p: ln′ is one over p",
    )
    yield line(
        r"-\frac{1(y=1)}{p_1} (p_1 - p_1^2) - \frac{1(y=2)}{p_2} (-p_1 p_2)",
        -t[0] / p[0] * (p[0] - p[0] ** 2) - t[1] / p[1] * (-p[0] * p[1]),
        "the two slopes of p",
    )
    yield line(r"-1(y=1)(1 - p_1) + 1(y=2)\, p_1", -t[0] * (1 - p[0]) + t[1] * p[0], "p_1 and p_2 cancel")
    yield line(r"p_1 \left(1(y=1) + 1(y=2)\right) - 1(y=1)", p[0] * (t[0] + t[1]) - t[0], "sorted by p_1")
    yield line(r"p(y=1) - 1(y=1)", p[0] - t[0], "one of the two indicators is 1")


@bp.derivation(r"\frac{\partial p}{\partial z}", items=("S3.8", "S3.9"), uses=(softmax,))
def jacobian_of_softmax(z: Float[Array, " K"]):
    """The same for K classes: p_k − p_k² on the diagonal, −p_i p_k off it."""
    p = h(z)
    yield line(r"\frac{\partial p}{\partial z}", jax.jacobian(h)(z), "definition")
    yield line(
        r"p_k - p_k^2 \;(i = k), \quad -p_i p_k \;(i \neq k)",
        jnp.stack(
            [
                jnp.stack([p[i] - p[i] ** 2 if i == k else -p[i] * p[k] for k in range(z.size)])
                for i in range(z.size)
            ]
        ),
        "the quotient rule, entry by entry",
    )
    yield line(r"\mathrm{diag}(p) - p p^{\top}", jnp.diag(p) - jnp.outer(p, p), "both cases in one")
    _, kept = bp.rules.softmax.forward((), z)
    S = jnp.diag(p) - jnp.outer(p, p)
    yield line(r"S = S^{\top}", bp.equal(S, S.T), "symmetric")
    yield line(
        r"\mathrm{diag}(p)\, 1 = p\, p^{\top} 1, \quad S 1 = 0",
        bp.equal(jnp.diag(p) @ jnp.ones(z.size), jnp.outer(p, p) @ jnp.ones(z.size)),
        "a shift of all scores changes nothing",
    )
    yield line(
        r"\det S_{1..K-1} = p_1 \cdots p_K \neq 0",
        bp.equal(jnp.linalg.det(S[:-1, :-1]), jnp.prod(p)),
        "so its rank is K − 1",
    )
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.softmax.backward((), kept, e_i)[1] for e_i in jnp.eye(z.size)]),
        "row by row, what this library runs",
    )
