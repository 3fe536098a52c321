"""Backward passes as people write them, all of them right: slips are planted in these."""

import jax
import jax.numpy as jnp

import backproof as bp

A = bp.array
EPS = 1e-5
PASSES = {}


def right(of, *args):
    """Enter a pullback of `of` into the table, with the arguments at which it is verified."""

    def enter(vjp):
        PASSES[vjp.__name__] = (of, vjp, list(args))
        return vjp

    return enter


def rms_norm(x, gain):
    return x / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + EPS) * gain


@right(rms_norm, A("b n+1"), A("n+1"))
def rms_norm_back(args, ct):
    x, gain = args
    r = 1 / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + EPS)
    hat = x * r
    u = ct * gain
    dx = r * (u - hat * jnp.mean(u * hat, -1, keepdims=True))
    dgain = jnp.sum(ct * hat, 0)
    return dx, dgain


def layer_norm(x, gain, bias):
    centred = x - x.mean(-1, keepdims=True)
    return gain * centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + EPS) + bias


@right(layer_norm, A("b n+2"), A("n+2"), A("n+2"))
def layer_norm_back(args, ct):
    x, gain, _ = args
    centred = x - x.mean(-1, keepdims=True)
    scale = 1 / jnp.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    normal = centred * scale
    delta = ct * gain
    along = (delta * normal).mean(-1, keepdims=True)
    dx = (delta - delta.mean(-1, keepdims=True) - normal * along) * scale
    return dx, (ct * normal).sum(0), ct.sum(0)


def batch_norm(x, gamma, beta):
    centred = x - x.mean(0)
    return centred / jnp.sqrt((centred**2).mean(0) + EPS) * gamma + beta


@right(batch_norm, A("b+2 n"), A("n"), A("n"))
def batch_norm_back(args, ct):
    x, gamma, _ = args
    centred = x - x.mean(0)
    s = jnp.sqrt((centred**2).mean(0) + EPS)
    hat = centred / s
    u = ct * gamma
    dx = (u - u.mean(0) - hat * (u * hat).mean(0)) / s
    return dx, (ct * hat).sum(0), ct.sum(0)


def attention(q, k, v):
    return jax.nn.softmax(q @ k.T / q.shape[-1] ** 0.5, -1) @ v


@right(attention, A("s d+1"), A("t+1 d+1"), A("t+1 e"))
def attention_back(args, ct):
    q, k, v = args
    scale = q.shape[-1] ** -0.5
    p = jax.nn.softmax(scale * q @ k.T, -1)
    dp = ct @ v.T
    ds = p * (dp - jnp.sum(p * dp, -1, keepdims=True))
    dq = scale * ds @ k
    dk = scale * ds.T @ q
    dv = p.T @ ct
    return dq, dk, dv


def cross_entropy(z, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], 1)[:, 0].mean()


@right(cross_entropy, A("b+1 v+1"), bp.integers("b+1", 0, "v"))
def cross_entropy_back(args, ct):
    z, labels = args
    p = jax.nn.softmax(z)
    hot = jax.nn.one_hot(labels, z.shape[1])
    d = p - hot
    return ct * d / z.shape[0], None


def lstm(z, c):
    i, f, o, g = jnp.split(z, 4)
    new = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(new)


@right(lstm, A("4*n"), A("n"))
def lstm_back(args, ct):
    z, c = args
    i, f, o, g = jnp.split(z, 4)
    i, f, o, g = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o), jnp.tanh(g)
    new = f * c + i * g
    t = jnp.tanh(new)
    dc = ct * o * (1 - t**2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = ct * t * o * (1 - o)
    dg = dc * i * (1 - g**2)
    return jnp.concatenate([di, df, do, dg]), dc * f


def swiglu(x, u, w):
    return (jax.nn.silu(x @ u) * (x @ w)).sum()


@right(swiglu, A("b n"), A("n m"), A("n m"))
def swiglu_back(args, ct):
    x, u, w = args
    a, b = x @ u, x @ w
    s = jax.nn.sigmoid(a)
    da = ct * b * s * (1 + a * (1 - s))
    db = ct * a * s
    dx = da @ u.T + db @ w.T
    du = x.T @ da
    dw = x.T @ db
    return dx, du, dw


def two_layers(x, w1, b1, w2, b2):
    return jnp.tanh(x @ w1 + b1) @ w2 + b2


@right(two_layers, A("b n"), A("n m"), A("m"), A("m k"), A("k"))
def two_layers_back(args, ct):
    x, w1, b1, w2, _ = args
    h = jnp.tanh(x @ w1 + b1)
    dw2 = h.T @ ct
    db2 = ct.sum(0)
    dh = ct @ w2.T
    dz = dh * (1 - h**2)
    dw1 = x.T @ dz
    db1 = dz.sum(0)
    dx = dz @ w1.T
    return dx, dw1, db1, dw2, db2


def normalised(x):
    return x / jnp.sqrt((x * x).sum(-1, keepdims=True) + EPS)


@right(normalised, A("b n+1"))
def normalised_back(args, ct):
    (x,) = args
    length = jnp.sqrt((x * x).sum(-1, keepdims=True) + EPS)
    y = x / length
    along = (y * ct).sum(-1, keepdims=True)
    return ((ct - y * along) / length,)


def similarity(a, b):
    return (a * b).sum(-1) / jnp.sqrt((a * a).sum(-1) * (b * b).sum(-1) + EPS)


@right(similarity, A("b n+1"), A("b n+1"))
def similarity_back(args, ct):
    a, b = args
    aa = (a * a).sum(-1)
    bb = (b * b).sum(-1)
    root = jnp.sqrt(aa * bb + EPS)
    dot = (a * b).sum(-1)
    over = ct / root
    slope = over * dot / root**2
    da = over[:, None] * b - (slope * bb)[:, None] * a
    db = over[:, None] * a - (slope * aa)[:, None] * b
    return da, db


def gru(x, h):
    r, u, n = jnp.split(x, 3)
    r, u = jax.nn.sigmoid(r), jax.nn.sigmoid(u)
    return (1 - u) * jnp.tanh(n + r * h) + u * h


@right(gru, A("3*n"), A("n"))
def gru_back(args, ct):
    x, h = args
    r, u, n = jnp.split(x, 3)
    r, u = jax.nn.sigmoid(r), jax.nn.sigmoid(u)
    new = jnp.tanh(n + r * h)
    dnew = ct * (1 - u)
    dn = dnew * (1 - new**2)
    dr = dn * h * r * (1 - r)
    du = ct * (h - new) * u * (1 - u)
    dh = ct * u + dn * r
    return jnp.concatenate([dr, du, dn]), dh


def gelu_gate(x, w):
    z = x @ w
    return 0.5 * z * (1 + jax.scipy.special.erf(z / jnp.sqrt(2.0)))


@right(gelu_gate, A("b n"), A("n m"))
def gelu_gate_back(args, ct):
    x, w = args
    z = x @ w
    cdf = 0.5 * (1 + jax.scipy.special.erf(z / jnp.sqrt(2.0)))
    pdf = jnp.exp(-(z**2) / 2) / jnp.sqrt(2 * jnp.pi)
    dz = ct * (cdf + z * pdf)
    return dz @ w.T, x.T @ dz


def log_sum_exp(x):
    return jax.scipy.special.logsumexp(x, -1)


@right(log_sum_exp, A("b n+1"))
def log_sum_exp_back(args, ct):
    (x,) = args
    top = x.max(-1, keepdims=True)
    e = jnp.exp(x - top)
    p = e / e.sum(-1, keepdims=True)
    return (ct[:, None] * p,)


def gaussian_kl(mean, logvar):
    return 0.5 * (jnp.exp(logvar) + mean**2 - 1 - logvar).sum(-1).mean()


@right(gaussian_kl, A("b n"), A("b n"))
def gaussian_kl_back(args, ct):
    mean, logvar = args
    per = ct / mean.shape[0]
    dmean = per * mean
    dlogvar = 0.5 * per * (jnp.exp(logvar) - 1)
    return dmean, dlogvar


def bilinear(x, w, y):
    return jnp.einsum("bi,ij,bj->b", x, w, y)


@right(bilinear, A("b n"), A("n m"), A("b m"))
def bilinear_back(args, ct):
    x, w, y = args
    c = ct[:, None]
    dx = c * (y @ w.T)
    dy = c * (x @ w)
    dw = (c * x).T @ y
    return dx, dw, dy
