"""The loss and the output."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line, losses

from . import SHIPPED, SIGMAS, J, network


@bp.derivation(
    r"\frac{\partial J}{\partial a^L} = a^L - y",
    items=("S0.1",),
    of=(r"\frac{\partial}{\partial a^L} \frac12 \|a^L - y\|_2^2", J),
    ships=lambda a, y: losses.half_squared_error.backward(losses.half_squared_error.forward(a, y)[1]),
)
def loss_slope(a: Float[Array, " n"], y: Float[Array, " n"]):
    """J = ½‖a^L − y‖². The ½ is there so that the 2 of the square falls away."""
    yield line(r"\frac12 \cdot 2 (a^L - y)", 2 * (a - y) / 2, "the square, component by component")
    yield line(r"a^L - y", a - y, "½ · 2 = 1")


@bp.derivation(
    r"\frac{\partial}{\partial a^L} \|a^L - y\|_2^2",
    items=("S0.1",),
    of=(r"\frac{\partial}{\partial a^L}\|a^L - y\|_2^2", lambda a, y: jnp.sum((a - y) ** 2)),
)
def loss_without_the_half(a: Float[Array, " n"], y: Float[Array, " n"]):
    """Without the ½ every gradient doubles: a convention, and no slip, but one that must be stated."""
    yield line(r"2 (a^L - y)", 2 * (a - y), "the square, component by component")
    yield line(r"2 (a^L - y) \neq a^L - y", bp.differ(2 * (a - y), a - y, somewhere=True), "unless a^L = y")


def shipped(W):
    """Each name, its shipped rule, and the shape of W."""
    return [(name, rule, W.shape) for name, rule in SHIPPED.items()]


@bp.derivation(
    r"a^L = \sigma(W^L a^{L-1} + b^L)",
    items=("S0.2",),
    ships=lambda W, b, a_below: {
        name: network((m, n), f).forward(({"W": W, "b": b},), a_below)[0] for name, f, (n, m) in shipped(W)
    },
)
def output(W: Float[Array, "n m"], b: Float[Array, " n"], a_below: Float[Array, " m"]):
    """The output, for every σ: nothing of it is used but that it acts on each component alone."""
    z = W @ a_below + b
    yield line(r"\sigma(z^L)", {name: f(z) for name, f in SIGMAS.items()}, "definition")
    yield line(
        r"\sigma\bigl(\textstyle\sum_j W^L_{ij} a^{L-1}_j + b^L_i\bigr)_i",
        {name: jax.vmap(f)(jnp.sum(W * a_below[None, :], axis=1) + b) for name, f in SIGMAS.items()},
        "each component alone",
    )
