"""Samples in rows: the sequel of the document."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line


@bp.derivation(
    r"\frac{\partial J}{\partial W}, \frac{\partial J}{\partial b}",
    items=("E3", "X.2"),
    args=[bp.array("m n"), bp.array("n"), bp.array("N m"), bp.array("N n")],
)
def samples_in_rows(W, b, X, D):
    """The sequel puts samples in rows, z = X W + b, with W of n_in × n_out: the transpose of what is here."""
    rows = jnp.ones((len(X), 1))
    yield line(
        r"\frac{\partial J}{\partial W},\; \frac{\partial J}{\partial b}",
        jax.grad(lambda W, b: jnp.sum((X @ W + rows * b[None, :]) * D), (0, 1))(W, b),
        "definition, with ∂J/∂z = D",
    )
    yield line(
        r"\sum_i x_i \delta_i^{\top},\; \sum_i \delta_i",
        (sum(x[:, None] @ d[None, :] for x, d in zip(X, D, strict=True)), sum(D)),
        "a sum over the samples, each transposed",
    )
    yield line(r"X^{\top} D,\; D^{\top} 1", (X.T @ D, D.sum(axis=0)), "one product of matrices")
    columns = bp.rules.affine(len(b)).backward({"W": W.T, "b": b}, X, D)[0]
    yield line(
        r"\texttt{backproof}^{\top}",
        (bp.rules.affine(len(b)).backward({"W": W.T, "b": b}, X, D)[0]["W"].T, columns["b"]),
        "what this library runs, turned over",
    )
