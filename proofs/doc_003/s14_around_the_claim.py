"""The two sentences around the claim: what grows together with the input, and which step is small enough.

Before the claim the document says: "the gradient is positively correlated with the input data". After it:
"then an extremely small step is needed".
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import ONE, cross_entropy, of_weight
from .s13_growth import factor_at_a_fixed_residual, the_claim_is_false

SCALES = (1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)


def covariance(c, sizes):
    """Return Σ (c − mean c) (size − mean size)."""
    return jnp.sum((c - jnp.mean(c)) * (sizes - jnp.mean(sizes)))


@bp.derivation(
    r"\operatorname{cov}(c, \|\partial J / \partial W\|) > 0",
    items=("S3.18",),
    uses=(factor_at_a_fixed_residual,),
)
def correlated_at_a_fixed_residual(x: Float[Array, " m"], delta: Float[Array, " n"]):
    """At a fixed δ the first sentence is true: ‖δ (c x)ᵀ‖ is c ‖δ xᵀ‖, and grows with c where it is not 0."""
    c = jnp.array(SCALES)
    yield bp.assume((jnp.max(jnp.abs(x)) > 1e-3) & (jnp.max(jnp.abs(delta)) > 1e-3), r"x, \delta \neq 0")
    norms = jax.vmap(lambda c: jnp.linalg.norm(delta[:, None] * (c * x)[None, :]))(c)
    yield line(r"\|\delta (c x)^{\top}\|", norms, "a column times a row")
    yield line(
        r"c\, \|\delta\| \|x\|",
        c * jnp.linalg.norm(delta) * jnp.linalg.norm(x),
        "the norm of such a product is that of its factors",
    )
    yield line(
        r"\operatorname{cov} > 0",
        bp.less(0.0 * c[0], covariance(c, norms)),
        "c itself, times a positive number",
    )


@bp.derivation(
    r"\operatorname{cov}(c, |\partial J / \partial W|) < 0",
    items=("S3.18",),
    uses=(the_claim_is_false,),
    args=[ONE],
)
def not_correlated_in_general(x):
    """In general it is false: for z = W x, W = (1, 0)ᵀ and class 1 the gradient falls as the input grows."""
    W, y = jnp.array([[1.0], [0.0]]), jnp.array(0)
    sizes = jnp.stack([jnp.max(jnp.abs(of_weight(cross_entropy, W, c * x, y))) for c in SCALES])
    yield line(
        r"\left|\frac{\partial J}{\partial W}\right| \text{ at } c",
        jnp.stack([jax.grad(lambda w, c=c: jax.nn.softplus(-c * w))(1.0 * x) for c in SCALES]) * -1,
        "definition: J = ln(1 + e^{−c w}) at w = 1",
    )
    yield line(r"\frac{c}{1 + e^c}", jnp.array(SCALES) / (1 + jnp.exp(jnp.array(SCALES))), "the slope of it")
    yield line(r"\texttt{backproof}", sizes, "what this library runs")
    yield line(
        r"\text{falls from } c = 2 \text{ on}", bp.at_most(sizes[2:], sizes[1:-1]), "p approaches 1(y) faster"
    )
    yield line(
        r"\operatorname{cov} < 0",
        bp.less(covariance(jnp.array(SCALES), sizes), 0.0),
        "the largest inputs have the smallest gradients",
    )


@bp.derivation(
    r"w_1 - w^* = (1 - \eta x^2)(w_0 - w^*)",
    items=("S3.18",),
    args=[bp.array(""), bp.array(""), bp.array("", low=1e-3, high=1)],
)
def one_step_of_descent(w, y, eta):
    """The sentence after the claim, where it is true: one weight, J = ½ (w x − y)², and its minimum w* = y/x.

    A step multiplies the distance from the minimum by 1 − η x². With η = 0.1 this converges at x = 1 and
    diverges at x = 1000, where η must be a million times smaller: the square of the factor.
    """

    def after_a_step(x):
        return w - eta * jax.grad(lambda w: (w * x - y) ** 2 / 2)(w) - y / x

    def shrunk(x):
        return (1 - eta * x**2) * (w - y / x)

    yield line(
        r"w_0 - \eta \frac{\partial J}{\partial w} - w^*",
        (after_a_step(1.0), after_a_step(1000.0)),
        "one step, at x = 1 and at x = 1000",
    )
    yield line(
        r"(1 - \eta x^2)(w_0 - w^*)", (shrunk(1.0), shrunk(1000.0)), "∂J/∂w = x (w x − y) = x² (w − w*)"
    )
    yield line(r"|1 - \eta x^2| \le 1", bp.at_most(jnp.abs(1 - eta), 1.0 + 0 * eta), "x = 1: no farther away")
    yield line(
        r"|1 - \eta x^2| > 1", bp.less(1.0 + 0 * eta, jnp.abs(1 - eta * 1000.0**2)), "x = 1000: it diverges"
    )
    yield line(
        r"|1 - 10^{-6} \eta x^2| \le 1",
        bp.at_most(jnp.abs(1 - 1e-6 * eta * 1000.0**2), 1.0 + 0 * eta),
        "a step smaller by 1000²: it converges again",
    )
