"""Attention query by query, and the points at which forms of it are compared with that."""

import jax
import jax.numpy as jnp
import numpy as np

# What can be asked for alone, and together; the numbers of queries and keys; which keys are padding.
CASES = {
    "plain": ({}, (3, 4)),
    "causal": ({"causal": True}, (4, 4)),
    "causal, more keys": ({"causal": True}, (2, 5)),
    "causal, more queries": ({"causal": True, "lse": True}, (5, 3)),
    "window": ({"window": 2}, (4, 5)),
    "causal window": ({"causal": True, "window": 2}, (5, 4)),
    "soft cap": ({"soft_cap": 1.5}, (3, 4)),
    "sink": ({"sink": True}, (3, 4)),
    "mask": ({"padding": "mask"}, (3, 4)),
    "lengths": ({"padding": "lengths"}, (3, 4)),
    "groups": ({"group": 3}, (2, 4)),
    "log-sum-exp": ({"lse": True}, (3, 4)),
    "everything": (
        {
            "causal": True,
            "window": 3,
            "soft_cap": 2.0,
            "sink": True,
            "padding": "mask",
            "group": 2,
            "lse": True,
        },
        (5, 4),
    ),
}
PADDINGS = {
    "mask": np.array([[True, False, True, True, False], [False] * 5]),
    "lengths": np.array([2, 0]),
}


def a_point(options, s, t, batch=None, heads=2, d=3, w=2, seed=0, scale=1.0):
    """Return (params, x, cotangents) in float64, the padding in x if there is one."""
    rng = np.random.default_rng(seed)
    h, batch = heads * options.get("group", 1), (2,) * ("padding" in options) if batch is None else batch
    x = tuple(
        scale * rng.standard_normal(shape)
        for shape in ((*batch, h, s, d), (*batch, heads, t, d), (*batch, heads, t, w))
    )
    if options.get("padding") == "mask":
        x = (*x, PADDINGS["mask"][:, :t])
    elif options.get("padding") == "lengths":
        x = (*x, PADDINGS["lengths"].astype("i4"))
    params = {"sink": rng.standard_normal(h)} if options.get("sink") else ()
    o, lse = rng.standard_normal((*batch, h, s, w)), rng.standard_normal((*batch, h, s))
    return params, x, (o, lse) if options.get("lse") else o


def counted(options, i, j, s, t, padding, sample):
    """Return whether key j counts for query i, from the words of the options."""
    distance = i + t - s - j
    return (
        not (options.get("causal") and distance < 0)
        and not (options.get("window") and abs(distance) >= options["window"])
        and not (options.get("padding") == "mask" and not padding[sample][j])
        and not (options.get("padding") == "lengths" and j >= padding[sample])
    )


def query_by_query(options, padding=None):
    """Return f(params, q, k, v), in which each query sees an array of only those keys that count."""

    def one(params, q, k, v, head, keys):
        scores = k[keys] @ q / np.sqrt(q.size)
        if options.get("soft_cap"):
            scores = options["soft_cap"] * jnp.tanh(scores / options["soft_cap"])
        sinks = [params["sink"][head]] if options.get("sink") else []
        logits = jnp.concatenate((scores, jnp.array(sinks, q.dtype).reshape(-1)))
        if not logits.size:
            return jnp.zeros(v.shape[-1], q.dtype), jnp.full((), -jnp.inf, q.dtype)
        return jax.nn.softmax(logits)[: len(keys)] @ v[keys], jax.scipy.special.logsumexp(logits)

    def f(params, q, k, v):
        *batch, h, s, _ = q.shape
        t, group = k.shape[-2], options.get("group", 1)
        rows = []
        for sample in np.ndindex(*batch):
            for head, i in np.ndindex(h, s):
                keys = [j for j in range(t) if counted(options, i, j, s, t, padding, sample)]
                shared = (*sample, head // group)
                places = np.array(keys, int)
                rows.append(one(params, q[(*sample, head, i)], k[shared], v[shared], head, places))
        o = jnp.stack([row[0] for row in rows]).reshape(*batch, h, s, v.shape[-1])
        lse = jnp.stack([row[1] for row in rows]).reshape(*batch, h, s)
        return (o, lse) if options.get("lse") else o

    return f


def by_hand(rule, padding=None):
    """Return g(params, q, k, v, δ) -> (value, gradients of parameters, of q, k and v) of a rule."""

    def value_and_gradients(params, q, k, v, delta):
        x = (q, k, v) if padding is None else (q, k, v, padding)
        y, kept = rule.forward(params, x)
        grads, delta_x = rule.backward(params, kept, delta)
        assert delta_x[3:] == (() if padding is None else (None,))
        return y, grads, delta_x[:3]

    return value_and_gradients


def by_autodiff(f):
    """Return g(params, q, k, v, δ) likewise, by autodiff of a plain function."""

    def value_and_gradients(params, q, k, v, delta):
        y, pullback = jax.vjp(f, params, q, k, v)
        grads, *delta_x = pullback(delta)
        return y, grads, tuple(delta_x)

    return value_and_gradients
