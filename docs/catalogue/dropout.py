"""Dropout: from the definition, by autodiff, to the line that is run."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import rules
from backproof.derivations import line

RATE = 0.25


def is_kept(key, x):
    return jax.random.bits(jax.random.split(key)[0], x.shape, "uint32") >= jnp.uint32(RATE * 2**32)


def through_dropout(x, delta, key):
    return jnp.vdot(delta, jnp.where(is_kept(key, x), x / (1 - RATE), 0))


def shipped_dropout(x, delta, key):
    rule = rules.dropout(RATE)
    return rule.backward((), rule.forward((), (x, key))[1], (delta, None))[1][0]


@bp.derivation(
    r"\frac{\partial L}{\partial x}",
    of=through_dropout,
    ships=shipped_dropout,
    args=[*[bp.array("n")] * 2, bp.array("2", "uint32", 0, 2**32 - 1)],
)
def dropout(x, delta, key):
    """y = m ⊙ x/(1 − p) with a mask m drawn from the key, and δy = ∂L/∂y arrives; m does not depend on x."""
    yield line(
        r"\frac{m \odot \delta y}{1 - p}",
        is_kept(key, x) * delta / (1 - RATE),
        "y_i depends on x_i alone, with slope m_i/(1 − p)",
    )
