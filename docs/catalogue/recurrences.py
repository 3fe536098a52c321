"""The recurrences: from the definition, by autodiff, to the line that is run.

Each is derived for one sequence; gradients of parameters are summed over a batch. `delta` is ∂L/∂(output), one row
for each step.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import rules
from backproof.derivations import line


def sigma(z):
    return 1 / (1 + jnp.exp(-z))


def states(step, start, rows):
    """Return the states: the start, and the state after each row."""
    found = [start]
    for row in rows:
        found.append(step(found[-1], row))
    return found


def of_weights(W, delta_z, x, h):
    """Return Σ δz_t x_tᵀ, Σ δz_t h_{t−1}ᵀ, Σ δz_t and Wᵀ δz_t, from the states h_0 … h_s."""
    delta_z = jnp.stack(delta_z)
    return delta_z.T @ x, delta_z.T @ jnp.stack(h[:-1]), delta_z.sum(0), delta_z @ W


def shipped(rule):
    """Return what a recurrent rule runs backward, as a function of W, U, b, x and δ."""

    def ships(W, U, b, x, delta):
        made, params = rule(U.shape[1]), {"W": W, "U": U, "b": b}
        grads, delta_x = made.backward(params, made.forward(params, x)[1], delta)
        return grads["W"], grads["U"], grads["b"], delta_x

    return ships


ALL = ("W", "U", "b", "x")
GRADIENTS = (
    r"\Bigl(\frac{\partial L}{\partial W}, \frac{\partial L}{\partial U}, \frac{\partial L}{\partial b},"
    r" \frac{\partial L}{\partial x}\Bigr)"
)
SUMS = (
    r"\Bigl(\sum_t \delta z_t x_t^{\top},\; \sum_t \delta z_t h_{t-1}^{\top},\; \sum_t \delta z_t,\;"
    r" W^{\top} \delta z_t\Bigr)"
)


def through_rnn(W, U, b, x, delta):
    h = states(lambda h, x_t: jnp.tanh(W @ x_t + U @ h + b), jnp.zeros(len(b)), x)
    return sum(jnp.vdot(delta_t, h_t) for delta_t, h_t in zip(delta, h[1:], strict=True))


def shipped_rnn(W, U, b, x, delta):
    return shipped(rules.rnn)(W, U, b, x, delta)


@bp.derivation(GRADIENTS, of=through_rnn, wrt=ALL, ships=shipped_rnn)
def rnn(
    W: Float[Array, "w>=1 n"],
    U: Float[Array, "w w"],
    b: Float[Array, " w"],
    x: Float[Array, "s>=1 n"],
    delta: Float[Array, "s w"],
):
    """h_t = tanh(z_t) with z_t = W x_t + U h_{t−1} + b and h_0 = 0, and δh_t = ∂L/∂h_t arrives at each step.

    z_t reaches L through h_t, and through it every later state.
    """
    h = states(lambda h, x_t: jnp.tanh(W @ x_t + U @ h + b), jnp.zeros(len(b)), x)
    s = len(x)
    every_path = []
    for t in range(s):
        total, jacobian = jnp.zeros(len(b)), jnp.eye(len(b))  # ∂h_k/∂h_t
        for k in range(t, s):
            jacobian = (1 - h[k + 1] ** 2)[:, None] * (U @ jacobian) if k > t else jacobian
            total = total + jacobian.T @ delta[k]
        every_path.append((1 - h[t + 1] ** 2) * total)
    yield line(
        SUMS + r", \quad \delta z_t = (1 - h_t^2) \odot \sum_{k \ge t} \Bigl(\frac{\partial h_k}{\partial"
        r" h_t}\Bigr)^{\top} \delta h_k",
        of_weights(W, every_path, x, h),
        "z_t is in every step alike; ∂h_k/∂h_t is the product of the matrices diag(1 − h_j²) U, t < j ≤ k",
    )
    delta_z = [jnp.zeros(len(b))]
    for t in reversed(range(s)):
        delta_z.insert(0, (delta[t] + U.T @ delta_z[0]) * (1 - h[t + 1]) * (1 + h[t + 1]))
    yield line(
        SUMS + r", \quad \delta z_t = (\delta h_t + U^{\top} \delta z_{t+1}) \odot (1 - h_t) \odot (1 + h_t)",
        of_weights(W, delta_z[:-1], x, h),
        "the sum without its first term is Uᵀ times that of the step after, times its slope",
    )


def lstm_step(state, z):
    (_, c), (i, f, g, o) = state, jnp.split(z, 4)
    c = sigma(f) * c + sigma(i) * jnp.tanh(g)
    return sigma(o) * jnp.tanh(c), c


def lstm_states(W, U, b, x):
    nothing = jnp.zeros(U.shape[1])
    return states(lambda hc, x_t: lstm_step(hc, W @ x_t + U @ hc[0] + b), (nothing, nothing), x)


def through_lstm(W, U, b, x, delta):
    found = lstm_states(W, U, b, x)[1:]
    return sum(jnp.vdot(delta_t, h_t) for delta_t, (h_t, _) in zip(delta, found, strict=True))


def shipped_lstm(W, U, b, x, delta):
    return shipped(rules.lstm)(W, U, b, x, delta)


@bp.derivation(GRADIENTS, of=through_lstm, wrt=ALL, ships=shipped_lstm)
def lstm(
    W: Float[Array, "4*w n"],
    U: Float[Array, "4*w w>=1"],
    b: Float[Array, " 4*w"],
    x: Float[Array, "s>=1 n"],
    delta: Float[Array, "s w"],
):
    """c_t = f ⊙ c_{t−1} + i ⊙ g and h_t = o ⊙ tanh(c_t), with the gates of z_t = W x_t + U h_{t−1} + b.

    Two things go from step to step, h and c, so two errors come back.
    """
    found, s = lstm_states(W, U, b, x), len(x)
    h = [one[0] for one in found]
    by_steps, to_h, to_c = [], 0 * h[0], 0 * h[0]
    for t in reversed(range(s)):
        z = W @ x[t] + U @ h[t] + b
        pullback = jax.vjp(lstm_step, found[t], z)[1]
        (_, to_c), delta_z = pullback((delta[t] + to_h, to_c))
        to_h = U.T @ delta_z
        by_steps.insert(0, delta_z)
    yield line(
        SUMS + r", \quad \delta z_t = \Bigl(\frac{\partial h_t}{\partial z_t}\Bigr)^{\top} (\delta h_t +"
        r" U^{\top} \delta z_{t+1}) + \Bigl(\frac{\partial c_t}{\partial z_t}\Bigr)^{\top} f_{t+1} \odot"
        r" \delta c_{t+1}",
        of_weights(W, by_steps, x, h),
        "chain rule for one step, from the last to the first",
    )
    by_gates, to_h, to_c = [], 0 * h[0], 0 * h[0]
    for t in reversed(range(s)):
        z_i, z_f, z_g, z_o = jnp.split(W @ x[t] + U @ h[t] + b, 4)
        i, f, g, o = sigma(z_i), sigma(z_f), jnp.tanh(z_g), sigma(z_o)
        a, delta_h = jnp.tanh(found[t + 1][1]), delta[t] + to_h
        delta_c = delta_h * o * (1 - a**2) + to_c
        of_cell = [delta_c * g * i * (1 - i), delta_c * found[t][1] * f * (1 - f), delta_c * i * (1 - g**2)]
        by_gates.insert(0, jnp.concatenate([*of_cell, delta_h * a * o * (1 - o)]))
        to_h, to_c = U.T @ by_gates[0], f * delta_c
    yield line(
        SUMS + r", \quad \delta z_i = \delta c_t \odot g \odot i (1 - i), \quad \delta z_f = \delta c_t \odot"
        r" c_{t-1} \odot f (1 - f), \quad \delta z_g = \delta c_t \odot i \odot (1 - g^2), \quad \delta z_o ="
        r" \delta h_t \odot \tanh(c_t) \odot o (1 - o)",
        of_weights(W, by_gates, x, h),
        "δh_t is all that arrives at h_t; δc_t = δh_t ⊙ o ⊙ (1 − tanh²(c_t)) + f_{t+1} ⊙ δc_{t+1}",
    )


def gru_step(h, U, z):
    z_r, z_u, z_c = jnp.split(z, 3)
    U_r, U_u, U_c = jnp.split(U, 3)
    r, u = sigma(z_r + U_r @ h), sigma(z_u + U_u @ h)
    return u * h + (1 - u) * jnp.tanh(z_c + U_c @ (r * h))


def gru_states(W, U, b, x):
    return states(lambda h, x_t: gru_step(h, U, W @ x_t + b), jnp.zeros(U.shape[1]), x)


def through_gru(W, U, b, x, delta):
    h = gru_states(W, U, b, x)[1:]
    return sum(jnp.vdot(delta_t, h_t) for delta_t, h_t in zip(delta, h, strict=True))


def shipped_gru(W, U, b, x, delta):
    return shipped(rules.gru)(W, U, b, x, delta)


@bp.derivation(GRADIENTS, of=through_gru, wrt=ALL, ships=shipped_gru)
def gru(
    W: Float[Array, "3*w n"],
    U: Float[Array, "3*w w>=1"],
    b: Float[Array, " 3*w"],
    x: Float[Array, "s>=1 n"],
    delta: Float[Array, "s w"],
):
    """h_t = u ⊙ h_{t−1} + (1 − u) ⊙ c with gates r and u of h_{t−1} and c = tanh(W_c x + U_c (r ⊙ h_{t−1}) + b_c).

    h_{t−1} reaches h_t on four paths: directly, as r ⊙ h_{t−1}, and through the gates r and u.
    """
    h, s = gru_states(W, U, b, x), len(x)
    by_steps, grad_U, back = [], 0 * U, 0 * h[0]
    for t in reversed(range(s)):
        back, of_U, delta_z = jax.vjp(gru_step, h[t], U, W @ x[t] + b)[1](delta[t] + back)
        grad_U = grad_U + of_U
        by_steps.insert(0, delta_z)
    grad_W, _, grad_b, delta_x = of_weights(W, by_steps, x, h)
    yield line(
        r"\Bigl(\sum_t \delta z_t x_t^{\top},\; \sum_t \Bigl(\frac{\partial h_t}{\partial U}\Bigr)^{\top}"
        r" \delta h_t,\; \sum_t \delta z_t,\; W^{\top} \delta z_t\Bigr), \quad \delta z_t ="
        r" \Bigl(\frac{\partial h_t}{\partial z_t}\Bigr)^{\top} \delta h_t",
        (grad_W, grad_U, grad_b, delta_x),
        "chain rule for one step, from the last to the first; δh_t is all that arrives at h_t",
    )
    U_r, U_u, U_c = jnp.split(U, 3)
    by_gates, grad_U, back = [], 0 * U, 0 * h[0]
    for t in reversed(range(s)):
        z_r, z_u, z_c = jnp.split(W @ x[t] + b, 3)
        r, u = sigma(z_r + U_r @ h[t]), sigma(z_u + U_u @ h[t])
        c, delta_h = jnp.tanh(z_c + U_c @ (r * h[t])), delta[t] + back
        delta_u, delta_c = delta_h * (h[t] - c) * u * (1 - u), delta_h * (1 - u) * (1 - c**2)
        e = U_c.T @ delta_c
        delta_r = e * h[t] * r * (1 - r)
        back = delta_h * u + r * e + U_r.T @ delta_r + U_u.T @ delta_u
        by_gates.insert(0, jnp.concatenate([delta_r, delta_u, delta_c]))
        outer = [jnp.outer(delta_r, h[t]), jnp.outer(delta_u, h[t]), jnp.outer(delta_c, r * h[t])]
        grad_U = grad_U + jnp.concatenate(outer)
    grad_W, _, grad_b, delta_x = of_weights(W, by_gates, x, h)
    yield line(
        r"\delta z_u = \delta h_t \odot (h_{t-1} - c) \odot u (1 - u), \quad \delta z_c = \delta h_t \odot (1 -"
        r" u) \odot (1 - c^2), \quad \delta z_r = U_c^{\top} \delta z_c \odot h_{t-1} \odot r (1 - r)",
        (grad_W, grad_U, grad_b, delta_x),
        "c is multiplied by 1 − u; U_c has r ⊙ h_{t−1} beside it, U_r and U_u have h_{t−1}",
    )


OF_PAIR = r"\Bigl(\frac{\partial L}{\partial a}, \frac{\partial L}{\partial b}\Bigr)"


def through_linear(a, b, delta):
    h, total = 0 * b[0], 0.0
    for a_t, b_t, delta_t in zip(a, b, delta, strict=True):
        h = a_t * h + b_t
        total = total + jnp.vdot(delta_t, h)
    return total


def linear_states(a, b):
    return states(lambda h, ab: ab[0] * h + ab[1], 0 * b[0], zip(a, b, strict=True))


def linear_errors(a, delta):
    """Return λ_t = δh_t + a_{t+1} ⊙ λ_{t+1} of each step."""
    found = [0 * delta[0]]
    for t in reversed(range(len(a))):
        found.insert(0, delta[t] + (a[t + 1] * found[0] if t + 1 < len(a) else 0))
    return jnp.stack(found[:-1])


def shipped_linear_recurrence(a, b, delta):
    rule = rules.linear_recurrence
    return rule.backward((), rule.forward((), (a, b))[1], delta)[1]


@bp.derivation(OF_PAIR, of=through_linear, wrt=("a", "b"), ships=shipped_linear_recurrence)
def linear_recurrence(a: Float[Array, "s>=1 n"], b: Float[Array, "s n"], delta: Float[Array, "s n"]):
    """h_t = a_t ⊙ h_{t−1} + b_t with h_0 = 0, and δh_t = ∂L/∂h_t arrives at each step."""
    s, h = len(a), linear_states(a, b)
    paths = [sum(jnp.prod(a[t + 1 : k + 1], axis=0) * delta[k] for k in range(t, s)) for t in range(s)]
    before = jnp.stack(h[:-1])
    yield line(
        r"(\lambda_t \odot h_{t-1},\; \lambda_t), \quad \lambda_t = \sum_{k \ge t} a_{t+1} \odot \cdots \odot"
        r" a_k \odot \delta h_k",
        (jnp.stack(paths) * before, jnp.stack(paths)),
        "a term is multiplied by every later factor; ∂h_t/∂a_t = h_{t−1}, ∂h_t/∂b_t = 1",
    )
    lam = linear_errors(a, delta)
    yield line(
        r"(\lambda_t \odot h_{t-1},\; \lambda_t), \quad \lambda_t = \delta h_t + a_{t+1} \odot \lambda_{t+1}",
        (lam * before, lam),
        "the sum without its first term is a_{t+1} times that of the step after",
    )


def shipped_in_blocks(a, b, delta):
    rule = rules.linear_recurrence_in_blocks(2)
    return rule.backward((), rule.forward((), (a, b))[1], delta)[1]


def by_twos(a, b):
    """Return h_t = a_t ⊙ h_{t−1} + b_t, in which two steps are one: h_t = a_t a_{t−1} h_{t−2} + a_t b_{t−1} + b_t."""
    first, found = 0 * b[0], []
    for t in range(0, len(a), 2):
        found.append(a[t] * first + b[t])
        if t + 1 < len(a):
            found.append(a[t + 1] * a[t] * first + (a[t + 1] * b[t] + b[t + 1]))
        first = found[-1]
    return jnp.stack(found)


@bp.derivation(OF_PAIR, of=through_linear, wrt=("a", "b"), ships=shipped_in_blocks)
def linear_recurrence_in_blocks(
    a: Float[Array, "s>=1 n"], b: Float[Array, "s n"], delta: Float[Array, "s n"]
):
    """h_t = a_t ⊙ h_{t−1} + b_t with h_0 = 0, in blocks of two steps, and δh_t = ∂L/∂h_t arrives at each step."""
    h, lam = jnp.stack(linear_states(a, b)), linear_errors(a, delta)
    yield line(
        r"(\lambda_t \odot h_{t-1},\; \lambda_t), \quad \lambda_t = \delta h_t + a_{t+1} \odot \lambda_{t+1}",
        (lam * h[:-1], lam),
        "as in the recurrence step by step",
    )
    after = jnp.concatenate([a[1:], 0 * a[:1]])
    lam = by_twos(after[::-1], delta[::-1])[::-1]
    before = jnp.concatenate([h[:1], by_twos(a, b)[:-1]])
    yield line(
        r"h_t = P_t \odot h_k + g_t, \quad \lambda_t = Q_t \odot \lambda_{k'} + r_t",
        (lam * before, lam),
        "the steps of a block together are one such step; λ runs backwards, with the factors of the steps after",
    )


def through_selective_scan(A_log, D, B, C, step, x, delta):
    h, total = 0 * A_log, 0.0
    for t in range(len(x)):
        h = jnp.exp(-step[t][:, None] * jnp.exp(A_log)) * h + jnp.outer(step[t] * x[t], B[t])
        total = total + jnp.vdot(delta[t], h @ C[t] + D * x[t])
    return total


def shipped_selective_scan(A_log, D, B, C, step, x, delta):
    rule, params = rules.selective_scan(B.shape[1]), {"A_log": A_log, "D": D}
    kept = rule.forward(params, (x, step, B, C))[1]
    grads, (delta_x, delta_step, delta_B, delta_C) = rule.backward(params, kept, delta)
    return grads["A_log"], grads["D"], delta_B, delta_C, delta_step, delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial A_{\log}}, \frac{\partial L}{\partial D}, \frac{\partial L}{\partial B},"
    r" \frac{\partial L}{\partial C}, \frac{\partial L}{\partial \Delta}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_selective_scan,
    wrt=("A_log", "D", "B", "C", "step", "x"),
    ships=shipped_selective_scan,
)
def selective_scan(
    A_log: Float[Array, "d>=1 n>=1"],
    D: Float[Array, " d"],
    B: Float[Array, "s>=1 n"],
    C: Float[Array, "s n"],
    step: Float[Array, "s d"],
    x: Float[Array, "s d"],
    delta: Float[Array, "s d"],
):
    """h_t = a_t ⊙ h_{t−1} + (Δ_t ⊙ x_t) B_tᵀ with a_t = exp(Δ_t A), A = −exp(A_log), and y_t = h_t C_t + D ⊙ x_t.

    `step` is Δ, and `delta` is δy.
    """
    yield bp.assume(step >= 0, r"\Delta \ge 0")
    s, A = len(x), -jnp.exp(A_log)
    a = jnp.exp(step[:, :, None] * A)
    b = (step * x)[:, :, None] * B[:, None, :]
    h = jnp.stack(linear_states(a, b))
    arrives = delta[:, :, None] * C[:, None, :]
    paths = jnp.stack(
        [sum(jnp.prod(a[t + 1 : k + 1], axis=0) * arrives[k] for k in range(t, s)) for t in range(s)]
    )

    def from_errors(lam):
        e, w = jnp.einsum("tdn,tn->td", lam, B), lam * h[:-1] * a
        return (
            A * jnp.einsum("td,tdn->dn", step, w),
            (delta * x).sum(0),
            jnp.einsum("tdn,td->tn", lam, step * x),
            jnp.einsum("tdn,td->tn", h[1:], delta),
            x * e + (w * A).sum(-1),
            D * delta + step * e,
        )

    yield line(
        r"\Bigl(A \odot \sum_t \Delta_t w_t,\; \sum_t \delta y_t \odot x_t,\; \lambda_t^{\top} (\Delta_t \odot"
        r" x_t),\; h_t^{\top} \delta y_t,\; x_t \odot \lambda_t B_t + w_t \cdot A,\; D \odot \delta y_t +"
        r" \Delta_t \odot \lambda_t B_t\Bigr), \quad \lambda_t = \sum_{k \ge t} a_{t+1} \odot \cdots \odot a_k"
        r" \odot \delta y_k C_k^{\top}",
        from_errors(paths),
        "product rule, with w_t = λ_t ⊙ h_{t−1} ⊙ a_t, as ∂a_t/∂Δ_t = A ⊙ a_t and ∂a_t/∂A = Δ_t a_t",
    )
    yield line(
        r"\lambda_t = \delta y_t C_t^{\top} + a_{t+1} \odot \lambda_{t+1}",
        from_errors(linear_errors(a, arrives)),
        "the error of a linear recurrence",
    )
