"""From a derivation to a verified gradient: RMS normalisation, y = x / r with r = √(mean(x²) + ε).

python examples/derive_your_own.py
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp

EPSILON = 1e-6


def rms(x):
    return jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + EPSILON)


def rmsnorm(x):
    return x / rms(x)


# The usual slip: r is held fixed, although it depends on x. Line 2 says so, and is therefore wrong.
@bp.derivation(r"\bar x", of=rmsnorm, cotangent="g")
def with_a_slip(x: Float[Array, " n"], g: Float[Array, " n"]):
    """The pullback of y = x / r for a cotangent g."""
    r = rms(x)
    yield bp.line(
        r"\Bigl(\frac{\partial y_i}{\partial x_j}\Bigr)^\top g",
        jax.jacobian(rmsnorm)(x).T @ g,
        "the same, written out",
    )
    yield bp.line(r"g / r", g / r, "y = x / r")


# The slip is mended: the quotient rule has a second term, because r depends on x.
@bp.derivation(r"\bar x", of=rmsnorm, cotangent="g")
def mended(x: Float[Array, " n"], g: Float[Array, " n"]):
    """The pullback of y = x / r for a cotangent g, one rule a line."""
    r, n = rms(x), len(x)
    yield bp.line(
        r"\Bigl(\frac{I}{r} - \frac{x}{r^2} \frac{\partial r}{\partial x}\Bigr)^\top g",
        (jnp.eye(n) / r - jnp.outer(x, jax.grad(lambda x: rms(x)[0])(x)) / r**2).T @ g,
        "quotient rule",
    )
    yield bp.line(
        r"\Bigl(\frac{I}{r} - \frac{x x^\top}{n r^3}\Bigr)^\top g",
        (jnp.eye(n) / r - jnp.outer(x, x) / (n * r**3)).T @ g,
        "∂r/∂x = x / (n r)",
    )
    yield bp.line(
        r"\frac{g}{r} - \frac{x}{r^3} \operatorname{mean}(g x)",
        g / r - x * jnp.mean(g * x) / r**3,
        "no matrix is left",
    )
    y = x / r
    yield bp.line(
        r"\frac{1}{r} (g - y \operatorname{mean}(g y))", (g - y * jnp.mean(g * y)) / r, "y = x / r again"
    )


def main():
    print(with_a_slip.verify())  # line 2, and the smallest example that shows it
    print()
    print(mended.verify())
    print()
    # What is proved is what runs: the last line is the backward pass of this custom_vjp.
    layer = bp.custom_vjp_of(mended)
    print(bp.verify(jax.vmap(layer), of=rmsnorm, args=[bp.array("b n>=1")]))


if __name__ == "__main__":
    main()
