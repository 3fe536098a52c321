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


RATE = 0.1


def through_batch_norm(g, b, x, mean, variance, delta, delta_mean, delta_variance):
    m, v = jnp.mean(x, axis=0), jnp.var(x, axis=0)
    y = g * (x - m) / jnp.sqrt(v + EPSILON) + b
    state = (1 - RATE) * mean + RATE * m, (1 - RATE) * variance + RATE * v
    return jnp.vdot(delta, y) + jnp.vdot(delta_mean, state[0]) + jnp.vdot(delta_variance, state[1])


def shipped_batch_norm(g, b, x, mean, variance, delta, delta_mean, delta_variance):
    params, state = {"gain": g, "shift": b}, {"mean": mean, "variance": variance}
    cotangent = delta, {"mean": delta_mean, "variance": delta_variance}
    kept = rules.batch_norm.forward(params, (x, state))[1]
    grads, (delta_x, delta_state) = rules.batch_norm.backward(params, kept, cotangent)
    return grads["gain"], grads["shift"], delta_x, delta_state["mean"], delta_state["variance"]


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial g}, \frac{\partial L}{\partial b}, \frac{\partial L}{\partial x},"
    r" \frac{\partial L}{\partial M}, \frac{\partial L}{\partial V}\Bigr)",
    of=through_batch_norm,
    wrt=("g", "b", "x", "mean", "variance"),
    ships=shipped_batch_norm,
)
def batch_norm(
    g: Float[Array, " n"],
    b: Float[Array, " n"],
    x: Float[Array, "rows>=1 n"],
    mean: Float[Array, " n"],
    variance: Float[Array, " n"],
    delta: Float[Array, "rows n"],
    delta_mean: Float[Array, " n"],
    delta_variance: Float[Array, " n"],
):
    """y = g ⊙ (x − m)/d + b with m and v the mean and variance over N rows, and d = √(v + ε).

    Beside y there are M' = M + r (m − M) and V' = V + r (v − V), and δy, δM' and δV' arrive. The second line has the six equations of Ioffe and Szegedy (2015), with what the state adds to the two in
    the middle. The last two lines are their short form.
    """
    m, v = jnp.mean(x, axis=0), jnp.var(x, axis=0)
    centred, d, rows = x - m, jnp.sqrt(v + EPSILON), x.shape[0]
    by_hat = g * delta
    hat = centred / d
    by_v = jnp.sum(by_hat * centred, axis=0) * -0.5 * (v + EPSILON) ** -1.5 + RATE * delta_variance
    by_m = jnp.sum(by_hat * -1 / d, axis=0) + by_v * jnp.mean(-2 * centred, axis=0) + RATE * delta_mean
    by_state = (1 - RATE) * delta_mean, (1 - RATE) * delta_variance
    grads = jnp.sum(delta * hat, axis=0), jnp.sum(delta, axis=0)
    yield line(
        r"\Bigl(\sum \delta y \odot \hat x,\; \sum \delta y,\; \frac{1}{d} \frac{\partial L}{\partial \hat x}"
        r" + \frac{2}{N} (x - m) \frac{\partial L}{\partial v} + \frac{1}{N} \frac{\partial L}{\partial m},\;"
        r" (1 - r) \delta M',\; (1 - r) \delta V'\Bigr)",
        (*grads, by_hat / d + by_v * 2 * centred / rows + by_m / rows, *by_state),
        "∂L/∂x̂ = g ⊙ δy, ∂L/∂v = −½ Σ ∂L/∂x̂ ⊙ (x − m) d⁻³ + r δV', "
        "∂L/∂m = −Σ ∂L/∂x̂ / d − (2/N) Σ (x − m) ∂L/∂v + r δM'",
    )
    by_m = -jnp.sum(by_hat / d, axis=0) + RATE * delta_mean
    yield line(
        r"\Bigl(\sum \delta y \odot \hat x,\; \sum \delta y,\; \frac{1}{d} \frac{\partial L}{\partial \hat x}"
        r" + \frac{2}{N} (x - m) \frac{\partial L}{\partial v} - \frac{1}{N d} \sum"
        r" \frac{\partial L}{\partial \hat x} + \frac{r}{N} \delta M',\; (1 - r) \delta M',\; (1 - r) \delta V'\Bigr)",
        (*grads, by_hat / d + by_v * 2 * centred / rows + by_m / rows, *by_state),
        "Σ (x − m) = 0, so the path through m and then v is no path at all",
    )
    short = (by_hat - jnp.mean(by_hat, axis=0) - hat * jnp.mean(by_hat * hat, axis=0)) / d
    yield line(
        r"\Bigl(\sum \delta y \odot \hat x,\; \sum \delta y,\; \frac{1}{d} \bigl(\hat\delta -"
        r" \operatorname{mean}(\hat\delta) - \hat x \operatorname{mean}(\hat\delta \odot \hat x)\bigr) + \frac{r}{N}"
        r" \bigl(\delta M' + 2 (x - m) \delta V'\bigr),\; (1 - r) \delta M',\; (1 - r) \delta V'\Bigr)",
        (*grads, short + RATE / rows * (delta_mean + 2 * centred * delta_variance), *by_state),
        "δ̂ = ∂L/∂x̂, and (2/N)(x − m)(−½) Σ δ̂ ⊙ (x − m) d⁻³ = −x̂ mean(δ̂ ⊙ x̂)/d",
    )


def through_batch_norm_frozen(g, b, x, mean, variance, delta, delta_mean, delta_variance):
    y = g * (x - mean) / jnp.sqrt(variance + EPSILON) + b
    return jnp.vdot(delta, y) + jnp.vdot(delta_mean, mean) + jnp.vdot(delta_variance, variance)


def shipped_batch_norm_frozen(g, b, x, mean, variance, delta, delta_mean, delta_variance):
    params, state = {"gain": g, "shift": b}, {"mean": mean, "variance": variance}
    cotangent = delta, {"mean": delta_mean, "variance": delta_variance}
    kept = rules.batch_norm_frozen.forward(params, (x, state))[1]
    grads, (delta_x, delta_state) = rules.batch_norm_frozen.backward(params, kept, cotangent)
    return grads["gain"], grads["shift"], delta_x, delta_state["mean"], delta_state["variance"]


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial g}, \frac{\partial L}{\partial b}, \frac{\partial L}{\partial x},"
    r" \frac{\partial L}{\partial M}, \frac{\partial L}{\partial V}\Bigr)",
    of=through_batch_norm_frozen,
    wrt=("g", "b", "x", "mean", "variance"),
    ships=shipped_batch_norm_frozen,
    args=[
        *[bp.array("n")] * 2,
        bp.array("rows n"),
        bp.array("n"),
        bp.array("n", low=0),
        bp.array("rows n"),
        *[bp.array("n")] * 2,
    ],
)
def batch_norm_frozen(g, b, x, mean, variance, delta, delta_mean, delta_variance):
    """y = g ⊙ (x − M)/d + b with d = √(V + ε), and M and V go through unchanged; δy, δM', δV' arrive."""
    d = jnp.sqrt(variance + EPSILON)
    hat, by_x = (x - mean) / d, g * delta / d
    yield line(
        r"\Bigl(\sum \delta y \odot \hat x,\; \sum \delta y,\; \delta x,\; \delta M' - \sum \delta x,\;"
        r" \delta V' - \sum \frac{\delta x \odot (x - M)}{2 d^2}\Bigr)",
        (
            jnp.sum(delta * hat, axis=0),
            jnp.sum(delta, axis=0),
            by_x,
            delta_mean - jnp.sum(by_x, axis=0),
            delta_variance - jnp.sum(by_x * (x - mean) / (2 * d**2), axis=0),
        ),
        "δx = g ⊙ δy/d, ∂x̂/∂M = −1/d, ∂x̂/∂V = −(x − M)/(2 d³)",
    )


def through_group_norm(g, b, x, delta):
    groups = x.reshape(len(x), 2, -1)
    centred = groups - jnp.mean(groups, axis=(0, 2), keepdims=True)
    d = jnp.sqrt(jnp.mean(centred**2, axis=(0, 2), keepdims=True) + EPSILON)
    return jnp.vdot(delta, g * (centred / d).reshape(x.shape) + b)


def shipped_group_norm(g, b, x, delta):
    rule, params = rules.group_norm(2, 1), {"gain": g, "shift": b}
    grads, delta_x = rule.backward(params, rule.forward(params, x)[1], delta)
    return grads["gain"], grads["shift"], delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial g}, \frac{\partial L}{\partial b}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_group_norm,
    wrt=("g", "b", "x"),
    ships=shipped_group_norm,
)
def group_norm(
    g: Float[Array, " 2*c>=2"],
    b: Float[Array, " 2*c"],
    x: Float[Array, "p>=1 2*c"],
    delta: Float[Array, "p 2*c"],
):
    """y = g ⊙ (x − m)/d + b, with m and d those of each of two groups of channels, over all positions.

    A group is a row of the layer norm, whose gain is repeated at every position.
    """
    groups = x.reshape(len(x), 2, -1)

    def mean(z):  # over each group, at every entry of it
        means = jnp.mean(z.reshape(groups.shape), axis=(0, 2), keepdims=True)
        return jnp.broadcast_to(means, groups.shape).reshape(x.shape)

    centred = x - mean(x)
    d = jnp.sqrt(mean(centred**2) + EPSILON)
    grads = jnp.sum(delta * centred / d, axis=0), jnp.sum(delta, axis=0)
    by_centred = g * delta / d - mean(g * delta * centred) / d**3 * centred
    yield line(
        r"\Bigl(\sum \delta y \odot \frac{c}{d},\; \sum \delta y,\; \frac{\partial L}{\partial c} -"
        r" \operatorname{mean} \frac{\partial L}{\partial c}\Bigr)",
        (*grads, by_centred - mean(by_centred)),
        "as in the layer norm, with means over a group; sums over the positions, since g and b serve each",
    )
    hat, delta_hat = centred / d, g * delta
    yield line(
        r"\Bigl(\sum \delta y \odot \hat x,\; \sum \delta y,\; \frac{1}{d} \bigl(\hat\delta -"
        r" \operatorname{mean}(\hat\delta) - \hat x \operatorname{mean}(\hat\delta \odot \hat x)\bigr)\Bigr)",
        (*grads, (delta_hat - mean(delta_hat) - hat * mean(delta_hat * hat)) / d),
        "x̂ = c/d has mean 0 in each group",
    )


def through_weight_norm(v, g, b, x, delta):
    W = g[:, None] * v / jnp.linalg.norm(v, axis=1, keepdims=True)
    return jnp.vdot(delta, x @ W.T + b)


def shipped_weight_norm(v, g, b, x, delta):
    rule, params = rules.weight_norm(len(g)), {"v": v, "g": g, "b": b}
    grads, delta_x = rule.backward(params, rule.forward(params, x)[1], delta)
    return grads["v"], grads["g"], grads["b"], delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial v}, \frac{\partial L}{\partial g}, \frac{\partial L}{\partial b},"
    r" \frac{\partial L}{\partial x}\Bigr)",
    of=through_weight_norm,
    wrt=("v", "g", "b", "x"),
    ships=shipped_weight_norm,
)
def weight_norm(
    v: Float[Array, "m>=1 n>=1"],
    g: Float[Array, " m"],
    b: Float[Array, " m"],
    x: Float[Array, "rows n"],
    delta: Float[Array, "rows m"],
):
    """z = W x + b with rows w_i = g_i v_i/‖v_i‖, and δz = ∂L/∂z arrives; W̄ = Σ δz xᵀ, as of any affine map.

    v_i reaches w_i on two paths: as the numerator, and through its norm.
    """
    W_bar, norm = delta.T @ x, jnp.linalg.norm(v, axis=1, keepdims=True)
    gain, by_b = g[:, None], jnp.sum(delta, axis=0)
    along = jnp.sum(W_bar * v, axis=1, keepdims=True)
    by_x = delta @ (gain * v / norm)
    yield line(
        r"\Bigl(\frac{g}{\|v\|} \bar W + \frac{\partial L}{\partial \|v\|} \frac{v}{\|v\|},\;"
        r" \frac{\langle \bar w_i, v_i \rangle}{\|v_i\|},\; \sum \delta z,\; W^{\top} \delta z\Bigr)",
        (gain / norm * W_bar - gain * along / norm**2 * v / norm, (along / norm)[:, 0], by_b, by_x),
        "∂L/∂‖v_i‖ = −g_i ⟨w̄_i, v_i⟩/‖v_i‖², ∂‖v‖/∂v = v/‖v‖",
    )
    hat = v / norm
    along = jnp.sum(W_bar * hat, axis=1, keepdims=True)
    yield line(
        r"\Bigl(\frac{g_i}{\|v_i\|} \bigl(\bar w_i - \hat v_i \langle \bar w_i, \hat v_i \rangle\bigr),\;"
        r" \langle \bar w_i, \hat v_i \rangle,\; \sum \delta z,\; W^{\top} \delta z\Bigr)",
        (gain / norm * (W_bar - hat * along), along[:, 0], by_b, by_x),
        "v̂ = v/‖v‖, row by row",
    )
