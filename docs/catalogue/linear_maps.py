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
