r"""The cross entropy of t and the softmax of logits z, J = −Σ_k t_k log p_k, summed over the batch.

Backward, fused:   ∂J/∂z = p Σ_k t_k − t.   Source: S3.7–S3.10, S3.19 (document 003).
For Σt = 1 this is the document's p − t; for other targets only this form is right. With labels, the entry
of the label is computed as −Σ_{j≠y} p_j, which is p_y − 1 without its cancellation at p_y ≈ 1. Nothing
divides by p, so that a class of probability 0 does no harm. The target is either integer labels, one for
each sample, or a dense array of the shape and dtype of z. Where t_k = 0, t_k log p_k is 0 even if
p_k = 0. A label outside 0 … K−1 has no class: value and gradient of its sample are NaN, rather than a wrong
number that nobody notices.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from backproof.arguments import array, integers
from backproof.losses._targets import require_like, require_target_shape
from backproof.rule import Loss
from backproof.rules._affine import require_floating_rows

Target = Int[Array, "*batch"] | Float[Array, "*batch k"]
Residuals = tuple[Float[Array, "*batch k"], Target]


def softmax_cross_entropy_forward(
    prediction: Float[Array, "*batch k"], target: Target
) -> tuple[Float[Array, ""], Residuals]:
    """Return J, and (p, target)."""
    z, t = prediction, dense(prediction, target)
    top = jnp.max(z, axis=-1, keepdims=True, initial=-jnp.inf)
    shifted = z - lax.stop_gradient(top)  # p does not depend on the shift
    e = jnp.exp(shifted)
    total = e.sum(axis=-1, keepdims=True)
    log_p = shifted - jnp.log(total)
    return jnp.where(t == 0, 0, -t * log_p).sum(), (e / total, target)


def softmax_cross_entropy_backward(residuals: Residuals) -> Float[Array, "*batch k"]:
    """Return ∂J/∂z = p Σt − t."""
    p, target = residuals
    if are_labels(target):  # p_j for j ≠ y, and −Σ_{j≠y} p_j, without an array of ones and zeros
        is_label, known = _classes(p, target)
        others = jnp.where(is_label, 0, p).sum(axis=-1, keepdims=True)
        return jnp.where(known, jnp.where(is_label, -others, p), jnp.nan)
    t = dense(p, target)
    return p * t.sum(axis=-1, keepdims=True) - t


def dense(z: Float[Array, "*batch k"], target: Target) -> Float[Array, "*batch k"]:
    """Return the target as an array like z: one-hot if it is integer labels, itself otherwise.

    Raises:
        UsageError: z is not floating, or the target fits neither form.
    """
    require_floating_rows(z, "softmax_cross_entropy")
    if not are_labels(target):
        require_like(z, target, "softmax_cross_entropy")
        return target
    require_target_shape(
        target,
        z.shape[:-1],
        "softmax_cross_entropy",
        "pass one integer label for each sample, or a dense target that is floating",
    )
    is_label, known = _classes(z, target)
    return jnp.where(known, is_label.astype(jnp.result_type(z)), jnp.nan)


def _classes(
    z: Float[Array, "*batch k"], target: Target
) -> tuple[Bool[Array, "*batch k"], Bool[Array, "*batch 1"]]:
    """Return the mask of the label's entry in each sample, and whether the label has one."""
    labels = jnp.asarray(target).astype(jnp.int32)[..., None]
    known = (labels >= 0) & (labels < z.shape[-1])
    return lax.broadcasted_iota(jnp.int32, z.shape, z.ndim - 1) == labels, known


def are_labels(target: Target) -> bool:
    """Return whether the target is integer labels rather than a dense array."""
    return jnp.issubdtype(jnp.result_type(target), jnp.integer)


softmax_cross_entropy = Loss(
    "softmax_cross_entropy",
    softmax_cross_entropy_forward,
    softmax_cross_entropy_backward,
    (array("*batch k"), integers("*batch", 0, "k-1")),
)
softmax_cross_entropy_dense = Loss(
    "softmax_cross_entropy_dense",
    softmax_cross_entropy_forward,
    softmax_cross_entropy_backward,
    (array("*batch k"), array("*batch k")),
)
