"""X.4: inputs at which passes go wrong."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import NET, widths


@bp.derivation(
    r"\frac{\partial J}{\partial W}, \frac{\partial J}{\partial b}",
    items=("X.4",),
    args=[bp.array("n"), bp.array("n")],
)
def ties_and_signed_zeros(z, delta_a):
    """At zeros of either sign every smooth rule has autodiff's slope, and relu is shut."""
    zero = 0 * z  # +0 and −0, by the sign of z
    for rule, function in (
        (bp.rules.sigmoid, jax.nn.sigmoid),
        (bp.rules.tanh, jnp.tanh),
        (bp.rules.softplus, jax.nn.softplus),
        (bp.rules.sin, jnp.sin),
        (bp.rules.relu, jax.nn.relu),
    ):
        yield line(
            rf"\texttt{{{rule.name}}} \text{{ at }} \pm 0",
            bp.equal(
                rule.backward((), rule.forward((), zero)[1], delta_a)[1],
                jax.vjp(function, zero)[1](delta_a)[0],
            ),
            "by hand and by autodiff",
        )


@bp.derivation(r"p - 1(y)", items=("X.4",), args=[bp.array("K"), bp.integers("", 0, "K-1")])
def saturated_scores(z, y):
    """Scores far apart: the error of the logits stays that of log_softmax."""
    cross_entropy = bp.losses.softmax_cross_entropy
    yield line(
        r"\nabla_z \left(-\ln p_y(100 z)\right)",
        jax.grad(
            lambda z: (
                -jnp.sum(jnp.where(jnp.arange(z.size, dtype=y.dtype) == y, jax.nn.log_softmax(100 * z), 0.0))
            )
        )(z),
        "definition",
    )
    yield line(
        r"100 \cdot \texttt{backproof}",
        100 * cross_entropy.backward(cross_entropy.forward(100 * z, y)[1]),
        "what this library runs",
    )


@bp.derivation(r"\delta_y = 1", items=("X.4",), args=[NET[:1], bp.array("B d"), bp.array("B p")])
def never_a_cotangent_of_ones(params, x, delta_y):
    """A pass that forgets its cotangent is right when that is all ones; a random one shows it."""
    (layer,) = params
    a = jax.nn.sigmoid(x @ layer["W"].T + jnp.ones((len(x), 1)) * layer["b"][None, :])
    forgetful = ({"W": (a * (1 - a)).T @ x, "b": (a * (1 - a)).sum(axis=0)},)
    net = bp.mlp(widths(params), bp.rules.sigmoid, bp.rules.sigmoid)

    def shipped(delta_y):
        return net.backward(params, net.forward(params, x)[1], delta_y)[0]

    yield line(r"\delta_y = 1", bp.equal(shipped(jnp.ones_like(delta_y)), forgetful), "nothing is seen")
    yield line(
        r"\delta_y \text{ random}", bp.differ(shipped(delta_y), forgetful, somewhere=True), "it is seen"
    )


@bp.derivation(
    r"n = 1, B = 1",
    items=("X.4",),
    args=[bp.array("1 1"), bp.array("1"), bp.array("1 1"), bp.array("1 1")],
    of=(r"\frac{\partial J}{\partial W}", lambda W, b, x, delta: jnp.sum(delta * (x @ W.T + b[None, :]))),
    ships=lambda W, b, x, delta: bp.rules.affine(1).backward({"W": W, "b": b}, x, delta)[0]["W"],
)
def sizes_of_one(W, b, x, delta):
    """One input, one output, one sample: every product is a number, and nothing is lost by squeezing."""
    yield line(r"\delta x", delta * x, "numbers")
    for batch in ((), (1,), (3, 1)):
        net = bp.mlp((1, 1), bp.rules.tanh)
        a, kept = net.forward(({"W": W, "b": b},), jnp.ones((*batch, 1)))
        grads, delta_x = net.backward(({"W": W, "b": b},), kept, a)
        yield line(
            rf"\text{{batch }} {batch}",
            bp.holds(a.shape == delta_x.shape == (*batch, 1) and grads[0]["W"].shape == (1, 1)),
            "shapes are kept",
        )
