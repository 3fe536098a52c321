"""Descent."""

import jax
import jax.numpy as jnp
import optax

import backproof as bp
from backproof import line

from . import INPUT, f_hidden, f_last, with_bias
from .s7_bias_gradients import bias_gradients

half_squared_error = bp.losses.half_squared_error

LAYERS = ({"W": bp.array("p d"), "b": bp.array("p")}, {"W": bp.array("q p"), "b": bp.array("q")})


@bp.derivation(
    r"\theta - \eta \frac{\partial g^K}{\partial \theta}",
    items=("S2.11",),
    uses=(bias_gradients,),
    args=[LAYERS, INPUT, bp.array("q"), bp.array("")],
)
def descent(theta, x, t, eta):
    """θ ← θ − η ∂g^K/∂θ, with W^k and b^k merged into θ. The loss here is half the squared error to t."""

    def loss(theta):
        y = f_hidden(theta[0]["W"] @ x + theta[0]["b"])
        return jnp.sum((f_last(theta[1]["W"] @ y + theta[1]["b"]) - t) ** 2) / 2

    yield line(
        r"\theta - \eta \frac{\partial g^K}{\partial \theta}",
        jax.tree.map(lambda p, of_p: p - eta * of_p, theta, jax.grad(loss)(theta)),
        "definition",
    )
    net = bp.mlp((x.size, len(theta[0]["b"]), t.size), bp.rules.tanh, bp.rules.sigmoid)
    _, grads = bp.value_and_grad(net, half_squared_error)(theta, x, t)
    merged = [
        with_bias(p["W"], p["b"]) - eta * with_bias(of_p["W"], of_p["b"])
        for p, of_p in zip(theta, grads, strict=True)
    ]
    yield line(
        r"[W^k | b^k] - \eta \left[\frac{\partial g}{\partial W^k} \middle| \frac{\partial g}{\partial"
        r" b^k}\right]",
        tuple({"W": one[:, :-1], "b": one[:, -1]} for one in merged),
        "merged in one matrix, moved, and taken apart",
    )
    y_K, kept = net.forward(theta, x)
    e = half_squared_error.backward(half_squared_error.forward(y_K, t)[1])
    yield line(
        r"\texttt{backproof}",
        bp.descend(net, theta, kept, e, lambda p, of_p: p - eta * of_p)[0],
        "what this library runs, layer by layer",
    )


@bp.derivation(
    r"\theta - \eta \frac{\partial g^K}{\partial \theta}",
    items=("S2.11",),
    uses=(descent,),
    args=[LAYERS, INPUT, bp.array("q"), bp.array("")],
)
def descent_is_optax_sgd(theta, x, t, eta):
    """The document's update is the one that optax calls SGD, bit for bit."""
    net, loss = (
        bp.mlp((x.size, len(theta[0]["b"]), t.size), bp.rules.tanh, bp.rules.sigmoid),
        half_squared_error,
    )
    y_K, kept = net.forward(theta, x)
    ours, _ = bp.descend(
        net, theta, kept, loss.backward(loss.forward(y_K, t)[1]), lambda p, of_p: p - eta * of_p
    )
    optimizer = optax.sgd(eta)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = optimizer.update(bp.value_and_grad(net, loss)(theta, x, t)[1], optimizer.init(theta))
        theirs = optax.apply_updates(theta, updates)
    for k, (mine, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        for leaf in ("W", "b"):
            yield line(
                rf"{leaf}^{k} - \eta \frac{{\partial g}}{{\partial {leaf}^{k}}} = \texttt{{optax.sgd}}",
                bp.holds(mine[leaf] == other[leaf]),
                "every bit",
            )
