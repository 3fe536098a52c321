"""The norms of a row: from the definition, by autodiff, to the line that is run."""

import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import rules
from backproof.derivations import line

ROOT_EPSILON, EPSILON = 1e-6, 1e-5


def through_rms_norm(g, x, delta):
    return jnp.vdot(delta, g * x / jnp.sqrt(jnp.mean(x**2) + ROOT_EPSILON))


def shipped_rms_norm(g, x, delta):
    grads, delta_x = rules.rms_norm.backward({"gain": g}, rules.rms_norm.forward({"gain": g}, x)[1], delta)
    return grads["gain"], delta_x


GRADIENTS = r"\Bigl(\frac{\partial L}{\partial g}, \frac{\partial L}{\partial x}\Bigr)"


@bp.derivation(GRADIENTS, of=through_rms_norm, wrt=("g", "x"), ships=shipped_rms_norm)
def rms_norm(g: Float[Array, " n>=1"], x: Float[Array, " n>=1"], delta: Float[Array, " n>=1"]):
    """y = g ⊙ x / r with r = √(mean(x²) + ε), and δy = ∂L/∂y arrives.

    x reaches y on two paths: as the numerator of its own entry, and through r in every entry.
    """
    r = jnp.sqrt(jnp.mean(x**2) + ROOT_EPSILON)
    n = x.size
    yield line(
        r"\Bigl(\delta y \odot \frac{x}{r},\;"
        r" \frac{g \odot \delta y}{r} + \frac{\partial L}{\partial r} \frac{\partial r}{\partial x}\Bigr)",
        (delta * x / r, g * delta / r - jnp.vdot(g * delta, x) / r**2 * x / (n * r)),
        "∂L/∂r = −⟨g ⊙ δy, x⟩/r², ∂r/∂x = x/(n r)",
    )
    hat = x / r
    yield line(
        r"\Bigl(\delta y \odot \hat x,\; \frac{1}{r} \bigl(\hat\delta - \hat x \operatorname{mean}(\hat\delta"
        r" \odot \hat x)\bigr)\Bigr)",
        (delta * hat, (g * delta - hat * jnp.mean(g * delta * hat)) / r),
        "x̂ = x/r, δ̂ = g ⊙ δy",
    )


def through_layer_norm(g, b, x, delta):
    centred = x - jnp.mean(x)
    return jnp.vdot(delta, g * centred / jnp.sqrt(jnp.mean(centred**2) + EPSILON) + b)


def shipped_layer_norm(g, b, x, delta):
    params = {"gain": g, "shift": b}
    grads, delta_x = rules.layer_norm.backward(params, rules.layer_norm.forward(params, x)[1], delta)
    return grads["gain"], grads["shift"], delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial g}, \frac{\partial L}{\partial b}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_layer_norm,
    wrt=("g", "b", "x"),
    ships=shipped_layer_norm,
)
def layer_norm(
    g: Float[Array, " n>=1"],
    b: Float[Array, " n>=1"],
    x: Float[Array, " n>=1"],
    delta: Float[Array, " n>=1"],
):
    """y = g ⊙ (x − m)/d + b with m = mean(x) and d = √(mean((x − m)²) + ε), and δy = ∂L/∂y arrives.

    x reaches y on three paths: as the numerator of its own entry, through m, and through d.
    """
    centred = x - jnp.mean(x)
    d = jnp.sqrt(jnp.mean(centred**2) + EPSILON)
    n = x.size
    by_centred = g * delta / d - jnp.vdot(g * delta, centred) / d**2 * centred / (n * d)
    yield line(
        r"\Bigl(\delta y \odot \frac{c}{d},\; \delta y,\; \frac{\partial L}{\partial c} -"
        r" \operatorname{mean} \frac{\partial L}{\partial c}\Bigr)",
        (delta * centred / d, delta, by_centred - jnp.mean(by_centred)),
        "c = x − m, so ∂L/∂x_i = ∂L/∂c_i − (1/n) Σ_j ∂L/∂c_j; ∂L/∂c as in the root mean square norm",
    )
    hat, delta_hat = centred / d, g * delta
    yield line(
        r"\Bigl(\delta y \odot \hat x,\; \delta y,\; \frac{1}{d} \bigl(\hat\delta - \operatorname{mean}(\hat\delta)"
        r" - \hat x \operatorname{mean}(\hat\delta \odot \hat x)\bigr)\Bigr)",
        (
            delta * hat,
            delta,
            (delta_hat - jnp.mean(delta_hat) - hat * jnp.mean(delta_hat * hat)) / d,
        ),
        "x̂ = c/d has mean 0, so the mean of the second term of ∂L/∂c is 0",
    )
