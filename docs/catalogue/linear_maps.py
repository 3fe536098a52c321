"""Linear maps: from the definition, by autodiff, to the line that is run.

The derivations are for one sample; over a batch, the gradients of parameters are sums.
"""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import rules
from backproof.derivations import line

VOCABULARY, WIDTH = 4, 3


def through_embedding(E, ids, delta):
    return jnp.vdot(delta, jax.nn.one_hot(ids, VOCABULARY, dtype=E.dtype) @ E)


def shipped_embedding(E, ids, delta):
    return rules.embedding(VOCABULARY, WIDTH).backward({"E": E}, ids, delta)[0]["E"]


@bp.derivation(
    r"\frac{\partial L}{\partial E}",
    of=through_embedding,
    wrt="E",
    ships=shipped_embedding,
    args=[bp.array("4 3"), bp.integers("s", 0, VOCABULARY - 1), bp.array("s 3")],
)
def embedding(E, ids, delta):
    """y = E[ids], which is H E with the one-hot rows H of the ids, and δy = ∂L/∂y arrives."""
    H = jax.nn.one_hot(ids, VOCABULARY, dtype=E.dtype)
    yield line(r"H^\top \delta y", H.T @ delta, "y is linear in E")
    rows = [jnp.sum(jnp.where((ids == v)[:, None], delta, 0), axis=0) for v in range(VOCABULARY)]
    yield line(
        r"\frac{\partial L}{\partial E_v} = \sum_{i:\, \mathrm{id}_i = v} \delta y_i",
        jnp.stack(rows),
        "H_{iv} is 1 where id_i = v, and 0 elsewhere",
    )


def through_tied(E, W, b, ids, delta):
    e = jax.nn.one_hot(ids, VOCABULARY, dtype=E.dtype) @ E
    return jnp.vdot(delta, (e @ W.T + b[None]) @ E.T)


def shipped_tied(E, W, b, ids, delta):
    rule = rules.tied_embedding(VOCABULARY, WIDTH, rules.affine(WIDTH))
    params = {"E": E, "body": {"W": W, "b": b}}
    grads, _ = rule.backward(params, rule.forward(params, ids)[1], delta)
    return grads["E"], grads["body"]["W"], grads["body"]["b"]


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial E}, \frac{\partial L}{\partial W}, \frac{\partial L}{\partial b}\Bigr)",
    of=through_tied,
    wrt=("E", "W", "b"),
    ships=shipped_tied,
    args=[
        bp.array("4 3"),
        bp.array("3 3"),
        bp.array("3"),
        bp.integers("s", 0, VOCABULARY - 1),
        bp.array("s 4"),
    ],
)
def tied_embedding(E, W, b, ids, delta):
    """ℓ = h Eᵀ with h = body(e) and e = E[ids]; here the body is the affine map h = W e + b, and δℓ arrives.

    E is read twice, first as a table and then as a matrix, and each reading has its own gradient.
    """
    H = jax.nn.one_hot(ids, VOCABULARY, dtype=E.dtype)
    e = H @ E
    h, delta_h = e @ W.T + b[None], delta @ E
    delta_e = delta_h @ W
    yield line(
        r"\Bigl(\delta\ell^\top h + H^\top \delta e,\; \delta h^\top e,\; \textstyle\sum \delta h\Bigr)",
        (delta.T @ h + H.T @ delta_e, delta_h.T @ e, delta_h.sum(axis=0)),
        "both paths of E; δh = δℓ E, δe = δh W is the backward pass of the body, and e = H E",
    )


GRADIENTS = (
    r"\Bigl(\frac{\partial L}{\partial W}, \frac{\partial L}{\partial b}, \frac{\partial L}{\partial x}\Bigr)"
)


def rows_seen(x, p, of=3):
    """Return x[i + p − 1] for every i, and 0 beyond the ends: what entry p of the kernel sees."""
    before = of // 2
    return jnp.pad(x, ((before, of - 1 - before), (0, 0)))[p : p + len(x)]


def through_conv1d(W, b, x, delta):
    z = sum(rows_seen(x, p) @ W[p] for p in range(3)) + b[None]
    return jnp.vdot(delta, z)


def shipped_conv1d(W, b, x, delta):
    grads, delta_x = rules.conv1d(b.size, 3).backward({"W": W, "b": b}, x, delta)
    return grads["W"], grads["b"], delta_x


@bp.derivation(
    GRADIENTS,
    of=through_conv1d,
    wrt=("W", "b", "x"),
    ships=shipped_conv1d,
    args=[bp.array("3 c k"), bp.array("k"), bp.array("n c"), bp.array("n k")],
)
def conv1d(W, b, x, delta):
    """z_i = Σ_p W_pᵀ x_{i+p−1} + b for p = 0, 1, 2, where x is 0 beyond its ends, and δz arrives.

    x_j is seen by three windows: by entry p of the window i = j − p + 1.
    """
    grad_W = jnp.stack([rows_seen(x, p).T @ delta for p in range(3)])
    beyond = jnp.pad(delta, ((1, 1), (0, 0)))  # δz_{−1} … δz_n, of which the first and the last are 0
    by_entry = [beyond[2 - p : 2 - p + len(x)] @ W[p].T for p in range(3)]
    yield line(
        r"\Bigl(\textstyle\sum_i x_{i+p-1}\, \delta z_i^\top,\; \sum_i \delta z_i,\;"
        r" \sum_p W_p\, \delta z_{j-p+1}\Bigr)",
        (grad_W, delta.sum(axis=0), sum(by_entry)),
        "i + p − 1 = j",
    )
    turned = W[::-1].swapaxes(1, 2)
    yield line(
        r"\Bigl(\textstyle\sum_i x_{i+p-1}\, \delta z_i^\top,\; \sum_i \delta z_i,\;"
        r" \sum_q \delta z_{j+q-1}^\top\, W_{2-q}^\top\Bigr)",
        (grad_W, delta.sum(axis=0), sum(rows_seen(delta, q) @ turned[q] for q in range(3))),
        "q = 2 − p: the convolution of δz with the kernel turned",
    )


def blocks(x):
    """Return the 2 × 2 blocks of an image: (i, j, p, q, c)."""
    h, w, c = x.shape
    return x.reshape(h // 2, 2, w // 2, 2, c).transpose(0, 2, 1, 3, 4)


def through_conv2d(W, b, x, delta):
    return jnp.vdot(delta, jnp.einsum("ijpqc,pqck->ijk", blocks(x), W) + b[None, None])


def shipped_conv2d(W, b, x, delta):
    grads, delta_x = rules.conv2d(b.size, 2, stride=2).backward({"W": W, "b": b}, x, delta)
    return grads["W"], grads["b"], delta_x


@bp.derivation(
    GRADIENTS,
    of=through_conv2d,
    wrt=("W", "b", "x"),
    ships=shipped_conv2d,
    args=[bp.array("2 2 c k"), bp.array("k"), bp.array("2*h 2*w c"), bp.array("h w k")],
)
def conv2d(W, b, x, delta):
    """z_ij = Σ_pq W_pqᵀ x_{2i+p, 2j+q} + b: a kernel of 2 × 2 with stride 2, so that windows do not overlap."""
    grad_W, grad_b = jnp.einsum("ijpqc,ijk->pqck", blocks(x), delta), delta.sum(axis=(0, 1))
    in_blocks = jnp.einsum("ijk,pqck->ipjqc", delta, W)
    yield line(
        r"\Bigl(\textstyle\sum_{ij} x_{2i+p,2j+q}\, \delta z_{ij}^\top,\; \sum_{ij} \delta z_{ij},\;"
        r" \bigl(W_{pq}\, \delta z_{ij}\bigr)_{2i+p,2j+q}\Bigr)",
        (grad_W, grad_b, in_blocks.reshape(x.shape)),
        "each entry of x is seen by one window",
    )
    h, w, k = delta.shape
    spread = jnp.zeros((2 * h, 2 * w, k), delta.dtype).at[::2, ::2].set(delta)
    before = jnp.pad(spread, ((1, 0), (1, 0), (0, 0)))
    turned = W[::-1, ::-1]
    by_entry = [before[p : p + 2 * h, q : q + 2 * w] @ turned[p, q].T for p in range(2) for q in range(2)]
    yield line(
        r"\Bigl(\textstyle\sum_{ij} x_{2i+p,2j+q}\, \delta z_{ij}^\top,\; \sum_{ij} \delta z_{ij},\;"
        r" \sum_{pq} W_{1-p,1-q}\, \hat\delta_{u+p-1,v+q-1}\Bigr)",
        (grad_W, grad_b, sum(by_entry)),
        "δ̂ is δz with a zero between its entries; the kernel is turned",
    )


def windows_of(x):
    """Return the windows of three entries, two apart, and −∞ beyond the ends: (i, p, c)."""
    n = len(x)
    before = max((-(-n // 2) - 1) * 2 + 3 - n, 0) // 2
    wide = jnp.pad(x, ((before, 3), (0, 0)), constant_values=-jnp.inf)
    return jnp.stack([wide[2 * i : 2 * i + 3] for i in range(-(-n // 2))]), before


def first_largest(x):
    """Return the entry of each window that is its maximum, the first of them, as 1 among zeros: (i, p, c)."""
    return jax.nn.one_hot(jnp.argmax(windows_of(x)[0], axis=1), 3, axis=1, dtype=x.dtype)


def through_max_pool(x, delta):
    chosen, windows = first_largest(x), windows_of(x)[0]
    return jnp.vdot(delta, jnp.where(chosen > 0, windows, 0).sum(axis=1))


def shipped_max_pool(x, delta):
    rule = rules.max_pool((3,), 2, "SAME")
    return rule.backward((), rule.forward((), x)[1], delta)[1]


@bp.derivation(
    r"\frac{\partial L}{\partial x}",
    of=through_max_pool,
    wrt="x",
    ships=shipped_max_pool,
    args=[bp.array("n>=1 c"), bp.array("(n+1)//2 c")],
)
def max_pool(x, delta):
    """y_i = max_p x_{2i+p−l}: windows of three entries, two apart, l of them before x, and δy arrives.

    Of equal maxima the first one counts, so that each window has one entry that moves y.
    """
    windows, before = windows_of(x)
    shares = first_largest(x) * delta[:, None]
    place = 2 * jnp.arange(len(windows))[:, None] + jnp.arange(3)[None] - before
    by_entry = [jnp.where((place == j)[..., None], shares, 0).sum(axis=(0, 1)) for j in range(len(x))]
    yield line(
        r"\frac{\partial L}{\partial x_j} = \sum_i \sum_p \bigl[2i + p - l = j\bigr]\,"
        r" \bigl[p \text{ is first in } \operatorname{argmax}_i\bigr]\, \delta y_i",
        jnp.stack(by_entry),
        "window i holds x_j as its entry p = j − 2i + l, and y_i has slope 1 in its maximum",
    )


def means(x):
    """Return the means of the windows of three entries, one apart: of those inside x alone."""
    wide = jnp.pad(x, ((1, 1), (0, 0)))
    total = wide[:-2] + wide[1:-1] + wide[2:]
    return total / sizes_inside(x)[:, None]


def sizes_inside(x):
    i = jnp.arange(len(x))
    return jnp.minimum(i + 2, len(x)) - jnp.maximum(i - 1, 0)


def shipped_average_pool(x, delta):
    rule = rules.average_pool((3,), 1, "SAME")
    return rule.backward((), rule.forward((), x)[1], delta)[1]


@bp.derivation(
    r"\frac{\partial L}{\partial x}",
    of=lambda x, delta: jnp.vdot(delta, means(x)),
    wrt="x",
    ships=shipped_average_pool,
    args=[bp.array("n>=1 c"), bp.array("n c")],
)
def average_pool(x, delta):
    """y_i = (x_{i−1} + x_i + x_{i+1}) / n_i, where n_i of the three lie inside x, and δy arrives."""
    share = jnp.pad(delta / sizes_inside(x)[:, None], ((1, 1), (0, 0)))
    yield line(
        r"\frac{\partial L}{\partial x_j} = \sum_{i=j-1}^{j+1} \frac{\delta y_i}{n_i}",
        share[:-2] + share[1:-1] + share[2:],
        "x_j lies in the windows j − 1, j and j + 1, where they exist",
    )


def shipped_flatten(x, delta):
    rule = rules.flatten(3)
    return rule.backward((), rule.forward((), x)[1], delta)[1]


@bp.derivation(
    r"\frac{\partial L}{\partial x}",
    of=lambda x, delta: jnp.vdot(delta, x.reshape(-1)),
    wrt="x",
    ships=shipped_flatten,
    args=[bp.array("h w c"), bp.array("h*w*c")],
)
def flatten(x, delta):
    """y lists the entries of x, and δy = ∂L/∂y arrives."""
    yield line(
        r"\frac{\partial L}{\partial x_{ijk}} = \delta y_{(i w + j) c + k}",
        delta.reshape(x.shape),
        "y_{(iw+j)c+k} = x_ijk",
    )


GROUPS = 3


def groups_of(x, sizes):
    """Return the group of each row as 1 among zeros: (m, groups)."""
    ends = jnp.cumsum(sizes)
    before = jnp.arange(len(x))[:, None] >= ends[None]
    return jax.nn.one_hot(before.sum(axis=1), GROUPS, dtype=x.dtype)


def through_ragged(W, x, sizes, delta):
    every = jnp.einsum("mk,gnk->mgn", x, W)
    return jnp.vdot(delta, (groups_of(x, sizes)[..., None] * every).sum(axis=1))


def shipped_ragged(W, x, sizes, delta):
    rule, rows = rules.ragged_matmul(GROUPS, W.shape[1]), (x, sizes)
    grads, delta_x = rule.backward({"W": W}, rows, delta)
    return grads["W"], delta_x[0]


@bp.derivation(
    r"\Bigl(\frac{\partial L}{\partial W}, \frac{\partial L}{\partial x}\Bigr)",
    of=through_ragged,
    wrt=("W", "x"),
    ships=shipped_ragged,
    args=[
        bp.array("3 n k"),
        bp.array("m k"),
        bp.partition("3", of="m"),
        bp.array("m n"),
    ],
)
def ragged_matmul(W, x, sizes, delta):
    """y_i = Σ_g H_ig W_g x_i, where H_ig is 1 if row i belongs to group g, and 0 otherwise; δy arrives."""
    H = groups_of(x, sizes)
    yield line(
        r"\Bigl(\textstyle\sum_i H_{ig}\, \delta y_i\, x_i^\top,\; \sum_g H_{ig}\, W_g^\top \delta y_i\Bigr)",
        (jnp.einsum("mg,mn,mk->gnk", H, delta, x), jnp.einsum("mg,mn,gnk->mk", H, delta, W)),
        "y is linear in W and in x",
    )
    group = jnp.argmax(H, axis=1)
    of_group = [jnp.where((group == g)[:, None], delta, 0).T @ x for g in range(GROUPS)]
    yield line(
        r"\Bigl(\textstyle\sum_{i:\, g(i) = g} \delta y_i\, x_i^\top,\; W_{g(i)}^\top \delta y_i\Bigr)",
        (jnp.stack(of_group), jnp.einsum("mn,mnk->mk", delta, W[group])),
        "each row has one group",
    )
