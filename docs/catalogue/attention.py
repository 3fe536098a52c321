"""Attention, positions and gates: from the definition, by autodiff, to the line that is run."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import rules
from backproof.derivations import line

IN_X = r"\frac{\partial L}{\partial x}"
IN_QKV = (
    r"\Bigl(\frac{\partial L}{\partial q}, \frac{\partial L}{\partial k}, \frac{\partial L}{\partial v}\Bigr)"
)


def weights(q, k):
    return jax.nn.softmax(q @ k.T / jnp.sqrt(q.shape[-1]), axis=-1)


def through_attention(q, k, v, delta):
    return jnp.vdot(delta, weights(q, k) @ v)


def shipped(rule):
    def gradients(q, k, v, delta):
        kept = rule.forward((), (q[None], k[None], v[None]))[1]
        return tuple(one[0] for one in rule.backward((), kept, delta[None])[1])

    return gradients


@bp.derivation(IN_QKV, of=through_attention, wrt=("q", "k", "v"), ships=shipped(rules.attention))
def attention(
    q: Float[Array, "s d>=1"], k: Float[Array, "t>=1 d"], v: Float[Array, "t w"], delta: Float[Array, "s w"]
):
    """o = P v, P the softmax of the rows of s = q kᵀ/√d, and δo = ∂L/∂o arrives; one head."""
    P, root = weights(q, k), jnp.sqrt(q.shape[-1])
    by_P = delta @ v.T
    jacobians = jax.vmap(lambda p: jnp.diag(p) - jnp.outer(p, p))(P)
    by_s = jnp.einsum("sij,si->sj", jacobians, by_P)
    yield line(
        r"\Bigl(\frac{1}{\sqrt d} \delta s\, k,\; \frac{1}{\sqrt d} \delta s^\top q,\; P^\top \delta o\Bigr), \quad"
        r" \delta s_i = (\operatorname{diag} P_i - P_i P_i^\top)\, v\, \delta o_i",
        (by_s @ k / root, by_s.T @ q / root, P.T @ delta),
        "∂L/∂P = δo vᵀ; ∂s_ij/∂q_i = k_j/√d; each row of P is a softmax, whose Jacobian is symmetric",
    )
    D = (P * by_P).sum(axis=-1, keepdims=True)
    by_s = P * (by_P - D)
    yield line(
        r"\Bigl(\frac{1}{\sqrt d} \delta s\, k,\; \frac{1}{\sqrt d} \delta s^\top q,\; P^\top \delta o\Bigr), \quad"
        r" \delta s = P \odot (\delta P - D)",
        (by_s @ k / root, by_s.T @ q / root, P.T @ delta),
        "δP = δo vᵀ, and D_i = Σ_j P_ij δP_ij",
    )


def turned(x, sign=1):
    """Return the pairs (x_i, x_{i+n}) as complex numbers, times exp(± i m θ_i)."""
    s, n = x.shape[0], x.shape[1] // 2
    angle = jnp.arange(s)[:, None] * 10000.0 ** (-jnp.arange(n) / max(n, 1))
    a, b = x[:, :n], x[:, n:]
    cos, sin = jnp.cos(angle).astype(x.dtype), sign * jnp.sin(angle).astype(x.dtype)
    return jnp.concatenate((a * cos - b * sin, a * sin + b * cos), axis=-1)


@bp.derivation(
    IN_X,
    of=lambda x, delta: jnp.vdot(delta, turned(x)),
    wrt="x",
    ships=lambda x, delta: rules.rope().backward((), rules.rope().forward((), x)[1], delta)[1],
)
def rope(x: Float[Array, "s 2*n"], delta: Float[Array, "s 2*n"]):
    """y_m = R_m x_m, a rotation of each pair (x_i, x_{i+d/2}) by m θ_i, and δy = ∂L/∂y arrives."""
    matrices = jax.jacobian(turned)(x)
    yield line(
        r"R_m^\top\, \delta y_m",
        jnp.einsum("abcd,ab->cd", matrices, delta),
        "y_m is linear in x_m, and depends on no other row",
    )
    yield line(r"R_{-m}\, \delta y_m", turned(delta, -1), "the transpose of a rotation turns back")


def attended(W_q, W_k, W_v, W_o, x):
    s, n = x.shape
    d = n // 2

    def heads(W):
        return [(x @ W.T)[:, i : i + d] for i in (0, d)]

    seen = jnp.arange(s)[:, None] >= jnp.arange(s)[None]
    found = []
    for q, k, v in zip(heads(W_q), heads(W_k), heads(W_v), strict=True):
        scores = turned(q) @ turned(k).T / jnp.sqrt(d)
        found.append(jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1) @ v)
    return jnp.concatenate(found, axis=-1) @ W_o.T


def shipped_self_attention(W_q, W_k, W_v, W_o, x, delta):
    params = {"W_q": W_q, "W_k": W_k, "W_v": W_v, "W_o": W_o}
    grads, delta_x = rules.self_attention(2).backward(
        params, rules.self_attention(2).forward(params, x)[1], delta
    )
    return grads["W_q"], grads["W_k"], grads["W_v"], grads["W_o"], delta_x


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial W_q}, \frac{\partial L}{\partial W_k}, \frac{\partial L}{\partial W_v},"
    r" \frac{\partial L}{\partial W_o}, \frac{\partial L}{\partial x}\Bigr)",
    of=lambda W_q, W_k, W_v, W_o, x, delta: jnp.vdot(delta, attended(W_q, W_k, W_v, W_o, x)),
    wrt=("W_q", "W_k", "W_v", "W_o", "x"),
    ships=shipped_self_attention,
)
def self_attention(
    W_q: Float[Array, "4 4"],
    W_k: Float[Array, "4 4"],
    W_v: Float[Array, "4 4"],
    W_o: Float[Array, "4 4"],
    x: Float[Array, "s>=1 4"],
    delta: Float[Array, "s 4"],
):
    """y = o W_oᵀ, o the causal attention of two heads of R q, R k and v, linear maps of x; δy = ∂L/∂y arrives."""
    d = 2
    q, k, v = x @ W_q.T, x @ W_k.T, x @ W_v.T
    delta_o = delta @ W_o
    s = x.shape[0]
    seen = jnp.arange(s)[:, None] >= jnp.arange(s)[None]
    o, by_q, by_k, by_v = [], [], [], []
    for i in (0, d):
        head = slice(i, i + d)
        turned_q, turned_k = turned(q[:, head]), turned(k[:, head])
        scores = jnp.where(seen, turned_q @ turned_k.T / jnp.sqrt(d), -jnp.inf)
        P = jax.nn.softmax(scores, axis=-1)
        by_P = delta_o[:, head] @ v[:, head].T
        by_s = P * (by_P - (P * by_P).sum(axis=-1, keepdims=True)) / jnp.sqrt(d)
        o.append(P @ v[:, head])
        by_q.append(turned(by_s @ turned_k, -1))
        by_k.append(turned(by_s.T @ turned_q, -1))
        by_v.append(P.T @ delta_o[:, head])
    o, by_q, by_k, by_v = (jnp.concatenate(one, axis=-1) for one in (o, by_q, by_k, by_v))
    yield line(
        r"\Bigl(\delta q^\top x,\; \delta k^\top x,\; \delta v^\top x,\; \delta y^\top o,\;"
        r" \delta q\, W_q + \delta k\, W_k + \delta v\, W_v\Bigr)",
        (by_q.T @ x, by_k.T @ x, by_v.T @ x, delta.T @ o, by_q @ W_q + by_k @ W_k + by_v @ W_v),
        "δo = δy W_o; δq, δk and δv from attention, turned back by R_{−m}; x reaches y by q, by k and by v",
    )
