"""A claim about growth, which is false, and what is true.

The document says: "If the input data grow by a factor of 1000, the gradient grows by at least 1000."
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import ONE, cross_entropy, of_weight
from .s11_hidden_parameters import hidden_weights


@bp.derivation(
    r"\frac{\partial J}{\partial W^{(1)}}",
    items=("S3.18",),
    uses=(hidden_weights,),
    ships=lambda W, b, x, delta, c: c * bp.rules.affine(len(b)).backward({"W": W, "b": b}, x, delta)[0]["W"],
)
def factor_at_a_fixed_residual(
    W: Float[Array, "n m"],
    b: Float[Array, " n"],
    x: Float[Array, " m"],
    delta: Float[Array, " n"],
    c: Float[Array, ""],
):
    """What the document has in mind: δ xᵀ carries the factor of x. But only if δ stays as it was."""
    yield line(
        r"\frac{\partial J}{\partial W} \text{ at } c x",
        jax.vjp(lambda W: W @ (c * x) + b, W)[1](delta)[0],
        "definition, δ held fixed",
    )
    yield line(r"\delta (c x)^{\top}", delta[:, None] @ (c * x)[None, :], "a column times a row")
    yield line(r"c\, \delta x^{\top}", c * (delta[:, None] @ x[None, :]), "c is a number")
    yield line(
        r"\frac{\partial J}{\partial b} = \delta",
        bp.equal(bp.rules.affine(len(b)).backward({"W": W, "b": b}, c * x, delta)[0]["b"], delta),
        "the bias does not carry it",
    )


def hinge(t, s):
    """Return Σ max(0, 1 − t s), the loss of the course's linear classifier."""
    return jnp.sum(jnp.where(1 - t * s > 0, 1 - t * s, 0.0))


@bp.derivation(
    r"\frac{\partial J}{\partial W}",
    items=("S3.18",),
    args=[bp.array("n m"), bp.array("m"), bp.array("", low=1, high=1000)],
)
def linear_scores_and_a_hinge(W, x, c):
    """Where the remark comes from: linear scores, a hinge, and a margin that is missed at both scales."""
    t = jnp.where(W @ x >= 0, -1.0, 1.0)  # every score is on the wrong side, at any scale
    yield line(
        r"\frac{\partial J}{\partial W} \text{ at } c x",
        jax.grad(lambda W: hinge(t, W @ (c * x)))(W),
        "definition",
    )
    yield line(r"-t (c x)^{\top}", -t[:, None] @ (c * x)[None, :], "t s ≤ 0 < 1: every margin is missed")
    yield line(r"-c\, t x^{\top}", c * (-t[:, None] @ x[None, :]), "c is a number")
    _, kept = bp.losses.hinge.forward(W @ x, t)
    yield line(
        r"c \cdot \texttt{backproof}",
        c
        * bp.rules.affine(len(W)).backward(
            {"W": W, "b": jnp.zeros(len(W))}, x, bp.losses.hinge.backward(kept)
        )[0]["W"],
        "exactly c times the gradient at x",
    )


@bp.derivation(
    r"\left|\frac{\partial J}{\partial W}\right| \text{ at } 1000 x",
    items=("S3.18",),
    uses=(factor_at_a_fixed_residual,),
    args=[ONE],
)
def the_claim_is_false(x):
    """The smallest counterexample: z = W x, W = (1, 0)ᵀ, the class is 1. At x = 1 there is a gradient."""
    W, y = jnp.array([[1.0], [0.0]]), jnp.array(0)
    at_x = of_weight(cross_entropy, W, x, y)
    thousand = of_weight(cross_entropy, W, 1000 * x, y)
    yield line(
        r"\frac{\partial J}{\partial W} \text{ at } x = 1",
        jax.grad(lambda W: -jax.nn.log_softmax(W[:, 0] * x)[0])(W),
        "definition",
    )
    yield line(
        r"\left(-\frac{1}{1 + e}, \frac{1}{1 + e}\right) = (-0.269, 0.269)",
        jnp.array([[-1.0], [1.0]]) / (1 + np.e),
        "δ = p − 1(y), times x = 1",
    )
    yield line(r"\texttt{backproof}", of_weight(cross_entropy, W, x, y), "what this library runs")
    yield line(
        r"\frac{\partial J}{\partial W} = 0 \text{ at } x = 1000",
        bp.equal(thousand, jnp.zeros((2, 1))),
        "p is 1(y)",
    )
    yield line(
        r"\left|\frac{\partial J}{\partial W}\right|_{1000} < 1000 \left|\frac{\partial J}{\partial"
        r" W}\right|_1",
        bp.less(jnp.abs(thousand), 1000 * jnp.abs(at_x)),
        "the claim says ≥",
    )
    yield line(
        r"\frac{\partial J}{\partial W}(1000 x) \neq 1000 \frac{\partial J}{\partial W}(x)",
        bp.differ(thousand, 1000 * at_x),
        "δ has vanished, while the input grew",
    )


@bp.derivation(r"\text{other losses}", items=("S3.18",), uses=(the_claim_is_false,), args=[ONE])
def other_losses(one):
    """With a squared error the factor can be 0, its square, or anything; with a hinge 2 can become 0."""
    squared, hinge_loss = bp.losses.half_squared_error, bp.losses.hinge
    f = 1 / (1 + np.exp(-1.0))
    at_1, at_1000 = (
        of_weight(squared, [[1.0]], x * one, jnp.zeros(1), bp.rules.sigmoid)[0, 0] for x in (1.0, 1000.0)
    )
    yield line(
        r"\sigma(1)^2 (1 - \sigma(1)) = 0.144 \text{ at } x = 1",
        bp.equal(at_1, f * f * (1 - f)),
        "sigmoid and half the squared error",
    )
    yield line(r"0 \text{ at } x = 1000", bp.equal(at_1000, 0.0), "σ′ has vanished")
    for latex, loss, W, xs, t, want in (
        (r"1 \to 10^6", squared, 1.0, (1.0, 1000.0), 0.0, (1.0, 1e6)),
        (r"-999 \to 0", squared, 1.0, (1.0, 1000.0), 1000.0, (-999.0, 0.0)),
        (r"-2 \to 0", hinge_loss, 0.1, (2.0, 2000.0), 1.0, (-2.0, 0.0)),
    ):
        got = jnp.stack([of_weight(loss, [[W]], x * one, jnp.array([t]))[0, 0] for x in xs])
        yield line(
            latex,
            bp.equal(got, jnp.array(want)),
            f"linear, {loss.name}, target {t:g}: x = {xs[0]:g}, {xs[1]:g}",
        )


@bp.derivation(
    r"\text{share of random TestNets that gain 1000}", items=("S3.18",), uses=(the_claim_is_false,)
)
def shares_of_random_testnets():
    """A thousand TestNets with normal weights: how many gain the factor, by whether they classify rightly."""
    rng, N = np.random.default_rng(0), 1000
    params = tuple(
        {"W": rng.normal(size=(N, n, m)).astype("f4"), "b": rng.normal(size=(N, n)).astype("f4")}
        for m, n in ((3, 4), (4, 2))
    )
    x, y = rng.normal(size=(N, 3)).astype("f4"), rng.integers(0, 2, N)
    net = bp.mlp((3, 4, 2), bp.rules.relu)

    @jax.jit
    @jax.vmap
    def each(params, x, y):
        gradient = bp.value_and_grad(net, cross_entropy)
        return net.forward(params, x)[0], gradient(params, x, y)[1], gradient(params, 1000 * x, y)[1]

    z, before, after = each(params, x, y)
    right = np.argmax(z, axis=1) == y
    for layer, leaf, shares in (
        (1, "W", (0.22, 0.61)),
        (2, "W", (0.22, 0.32)),
        (1, "b", (0.002, 0.0)),
        (2, "b", (0.002, 0.0)),
    ):
        small, large = (
            np.linalg.norm(np.reshape(g[layer - 1][leaf], (N, -1)), axis=1) for g in (before, after)
        )
        for kind, share, name in ((right, shares[0], "right"), (~right, shares[1], "wrong")):
            alive = kind & (small > 0)  # where every hidden unit is dead there is no gradient
            gained = np.mean(large[alive] >= 1000 * small[alive])
            yield line(
                rf"\partial J / \partial {leaf}^{{({layer})}}, \text{{{name}}}: {100 * share:g}\,\%",
                bp.at_most(abs(gained - share), 0.07),
                "the share that gains the factor, within five standard deviations of the one reported",
            )
