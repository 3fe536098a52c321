"""Backward: the error at z^(2) is p − t, for targets that sum to one."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import CLASS, DATUM, LABEL, ONE, SCORES, TESTNET, J_of, cross_entropy, gate_open, h, indicator, relu
from .s05_loss import loss
from .s06_slopes_of_the_score import jacobian_of_softmax


@bp.derivation(
    r"\frac{\partial J}{\partial z^{(L)}}",
    items=("S3.9", "S3.16"),
    uses=(loss, jacobian_of_softmax),
    args=[SCORES, CLASS],
    of=(r"\frac{\partial J}{\partial z_k}", lambda z, y: J_of(z, y)),
    ships=lambda z, y: cross_entropy.backward(cross_entropy.forward(z, y)[1]),
)
def output_residual(z, y):
    """The residual of the last layer, δ^(L) = h − 1(y), for any number of classes."""
    p, t = h(z), indicator(y, z)
    yield line(
        r"-\sum_i \frac{1(y=i)}{p_i} \frac{\partial p_i}{\partial z_k}",
        jnp.einsum("i,ik->k", -t / p, jax.jacobian(h)(z)),
        "chain rule at p",
    )
    yield line(
        r"-\sum_i \frac{1(y=i)}{p_i} (\delta_{ik}\, p_k - p_i p_k)",
        jnp.einsum("i,ik->k", -t / p, jnp.diag(p) - jnp.outer(p, p)),
        "the Jacobian of softmax",
    )
    yield line(r"-1(y=k) + p_k \sum_i 1(y=i)", -t + p * jnp.sum(t), "p_i cancels in both terms")
    yield line(r"p_k - 1(y=k)", p - t, "the indicators sum to 1")


@bp.derivation(
    r"-\frac{\partial J}{\partial W^{(2)}_{y,j}}",
    items=("S3.9",),
    uses=(output_residual,),
    args=[TESTNET, DATUM, LABEL],
)
def residuals_cancel(params, a_0, y):
    """Probabilities and indicators both sum to 1: the residual of the class is minus the sum of the others.

    So the residuals sum to 0, and with them every column of ∂J/∂W^(2), and ∂J/∂b^(2).
    """
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    a_1 = relu(W_1 @ a_0 + b_1)
    p = h(W_2 @ a_1 + b_2)
    t = indicator(y, p)
    yield line(
        r"-\frac{\partial J}{\partial W^{(2)}_{y,j}}",
        -jnp.einsum("k,kj->j", t, jax.grad(lambda W_2: J_of(W_2 @ a_1 + b_2, y))(W_2)),
        "definition",
    )
    yield line(
        r"(1 - p_y)\, a^{(1)}_j", (1 - jnp.vdot(t, p)) * a_1, "∂J/∂W^(2) = δ^(2) (a^(1))ᵀ, and δ_y = p_y − 1"
    )
    yield line(
        r"\left(\sum_{k \neq y} p_k\right) a^{(1)}_j", jnp.vdot(1 - t, p) * a_1, "the probabilities sum to 1"
    )
    grads = bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1]
    yield line(
        r"\sum_{k \neq y} \frac{\partial J}{\partial b^{(2)}_k} = -\frac{\partial J}{\partial b^{(2)}_y}",
        bp.equal(jnp.vdot(1 - t, grads[1]["b"]), -jnp.vdot(t, grads[1]["b"])),
        "the same for b^(2)",
    )
    yield line(
        r"\sum_{k \neq y} \texttt{backproof}_{k,j}",
        jnp.einsum(
            "k,kj->j",
            1 - t,
            bp.value_and_grad(bp.mlp((3, 4, 2), gate_open), cross_entropy)(params, a_0, y)[1][1]["W"],
        ),
        "what this library runs, summed over the other classes",
    )


@bp.derivation(
    r"\frac{\partial}{\partial z} \left(-\sum_k t_k \ln p_k\right)",
    items=("S3.10",),
    uses=(jacobian_of_softmax,),
    of=(r"\frac{\partial J}{\partial z_k}", lambda z, t: -jnp.sum(t * jnp.log(h(z)))),
)
def targets_that_do_not_sum_to_one(z: Float[Array, " K"], t: Float[Array, " K"]):
    """The short form p − t needs Σ t = 1. For any other target the truth is p Σ t − t."""
    p = h(z)
    yield line(
        r"-\frac{t_k}{p_k}\, p_k + p_k \sum_i \frac{t_i}{p_i}\, p_i",
        -(t / p) * p + p * jnp.sum((t / p) * p),
        "chain rule at p, with ∂p_i/∂z_k = δ_ik p_k − p_i p_k",
    )
    yield line(r"p_k \sum_i t_i - t_k", p * jnp.sum(t) - t, "p_i cancels")
    dense = bp.losses.softmax_cross_entropy_dense
    yield line(
        r"p \sum t - t \neq p - t",
        bp.differ(p * jnp.sum(t) - t, p - t, somewhere=True),
        "the short form is another",
    )
    yield line(
        r"\texttt{backproof}",
        bp.losses.softmax_cross_entropy_dense.backward(dense.forward(z, t)[1]),
        "what this library runs",
    )


@bp.derivation(r"t = (1, 1)", items=("S3.10",), uses=(targets_that_do_not_sum_to_one,), args=[ONE])
def smallest_unnormalised_target(one):
    """Two classes, t = (1, 1), p = (35/36, 1/36): the short form has not even the sign right."""
    z, t = jnp.array([np.log(35.0), 0.0]), one * jnp.ones(2)
    dense = bp.losses.softmax_cross_entropy_dense
    yield line(
        r"\nabla \left(-\sum_k t_k \ln p_k\right)",
        jax.grad(lambda z: -jnp.sum(t * jax.nn.log_softmax(z)))(z),
        "definition",
    )
    yield line(r"2 p - t = (\tfrac{34}{36}, -\tfrac{34}{36})", jnp.array([34 / 36, -34 / 36]), "p Σ t − t")
    yield line(
        r"2 p - t \neq p - t = (-\tfrac{1}{36}, -\tfrac{35}{36})",
        bp.differ(jax.nn.softmax(z) * jnp.sum(t) - t, jax.nn.softmax(z) - t),
        "the short form",
    )
    yield line(
        r"\texttt{backproof}",
        bp.losses.softmax_cross_entropy_dense.backward(dense.forward(z, t)[1]),
        "what this library runs",
    )
