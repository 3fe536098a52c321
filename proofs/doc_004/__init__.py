r"""Document 004: the loop over epochs, batches and levels.

    each epoch:
        each batch:
            each level n = N … 1, from the top down:
                1. ∂L/∂ω^n = ∂L/∂x^{n+1} · ∂x^{n+1}/∂ω^n      for the update of this level
                2. ∂L/∂x^n = ∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n      left for the level below
                update   ω^n ← ω^n − η ∂L/∂ω^n,   b^n ← b^n − η ∂L/∂b^n

x^1 is the input, x^{N+1} the output, x^{n+1} = f(ω^n x^n + b^n); the superscript counts levels. In code
`omega_2` is ω^2 and `dx_3` is ∂L/∂x^3. f is tanh, and the sigmoid at the top; L may be any loss.

Reading notes, for slips of type or wording:

- E4(a): ω and w are one letter, the weights.
- E4(b): 误差, error, is the loss L itself, not a derivative of it.
- E4(h): The superscript n counts levels; nothing is raised to a power.
"""

import jax
import jax.numpy as jnp

import backproof as bp

f, f_top = jnp.tanh, jax.nn.sigmoid

# Levels 1, 2, 3 of widths d → p → q → r.
LEVELS = (
    {"W": bp.array("p d"), "b": bp.array("p")},
    {"W": bp.array("q p"), "b": bp.array("q")},
    {"W": bp.array("r q"), "b": bp.array("r")},
)

INPUT, TARGET, RATE = bp.array("d"), bp.array("r"), bp.array("")

half_squared_error = bp.losses.half_squared_error


def level(f):
    """Return (ω^n and b^n, x^n) ↦ x^{n+1} = f(ω^n x^n + b^n)."""
    return lambda layer, x: f(layer["W"] @ x + layer["b"])


def output(levels, x):
    """Return x^{N+1} of x^1."""
    for layer in levels[:-1]:
        x = level(f)(layer, x)
    return level(f_top)(levels[-1], x)


def L_of(levels, x, t):
    """Return a loss of the output, here half the squared error to t."""
    return jnp.sum((output(levels, x) - t) ** 2) / 2


def network(levels):
    """Return the library's network of these levels."""
    return bp.mlp(
        (levels[0]["W"].shape[1], *(layer["b"].size for layer in levels)), bp.rules.tanh, bp.rules.sigmoid
    )
