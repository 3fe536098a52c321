r"""The cross entropy of integer labels and the softmax p of logits z, for tokens of which some do not count.

Of one token with label y, with q the smoothed target and s = log Σ_k e^{z_k}:
    J = −Σ_k q_k log p_k + c s²,   q_k = (1 − ε) I[k = y] + ε/K,   p_k = e^{z_k − s}.
Backward:   ∂J/∂z_k = p_k − q_k + 2 c s p_k.
ε is the label smoothing and c the coefficient of the z-loss, which keeps s near 0; both are 0 unless chosen.
A token whose label is `ignored` contributes 0 and has gradient 0. Any other label outside 0 … K−1 has no
class: value and gradient of its token are NaN, as in `softmax_cross_entropy`. `mean` of this loss divides by
the number of tokens that are not ignored, and by 1 if there is none. Kept are z and four numbers a token: its
label, max z, Σ_k e^{z_k − max z} and the share Σ_{k≠y} p_k, from which p is computed again. Unlike p in
float32, z in a low precision is there anyway. At the label, p_y − 1 is computed as −Σ_{k≠y} p_k, which does
not cancel at p_y ≈ 1, and max and sum are never joined into s, whose digits for a large max would be lost to
p. All is computed in float32 at least.
Sources: Szegedy et al. 2015, "Rethinking the Inception architecture for computer vision", arXiv:1512.00567
(label smoothing); Chowdhery et al. 2022, "PaLM", arXiv:2204.02311 (z-loss); the papers were not at hand.
Slips that people make: a gradient at ignored tokens that is not 0, and a mean over all tokens. The report on
the first shows a single ignored token. The second is right as a gradient, so that no check of the gradient
sees it.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from backproof.arguments import Specification, array, integers
from backproof.errors import UsageError, message
from backproof.losses._softmax_cross_entropy import are_labels
from backproof.losses._targets import require_target_shape
from backproof.rule import Loss, PyTree, require_number, require_whole_number
from backproof.rules._affine import require_floating_rows
from backproof.rules._rms_norm import at_least_float32

INT32 = 2**31


class Choice(NamedTuple):
    """Holds what `token_cross_entropy_with` is asked for."""

    ignored: int | None = None
    smoothing: float = 0.0
    z_loss: float = 0.0

    def __str__(self) -> str:
        """Return what differs from the defaults, as it is written in a call."""
        defaults = Choice()._asdict()
        given = {name: value for name, value in self._asdict().items() if value != defaults[name]}
        return ", ".join(f"{name}={value:g}" for name, value in given.items())


class Row(NamedTuple):
    """Holds what is kept of each token beside its logits: max z, Σ e^{z − max z}, and Σ_{k≠y} p_k."""

    top: Float[Array, "*batch 1"]
    total: Float[Array, "*batch 1"]
    others: Float[Array, "*batch 1"]


Residuals = tuple[Float[Array, "*batch k"], Int[Array, "*batch"], Row]


def token_cross_entropy_with(ignored: int | None = None, smoothing: float = 0.0, z_loss: float = 0.0) -> Loss:
    """Return the cross entropy of logits with integer labels, summed over the tokens.

    Args:
        ignored: the label of tokens that do not count, often −100, or the number of a padding token; None if
            every token counts.
        smoothing: the part ε of each target that is spread evenly over all classes, from 0 to 1.
        z_loss: the coefficient of (log Σ exp z)²; at least 0.

    Raises:
        UsageError: an argument is outside its range.
    """
    return _of(choice_of(ignored, smoothing, z_loss, "token_cross_entropy_with"))


def choice_of(ignored: int | None, smoothing: float, z_loss: float, where: str) -> Choice:
    """Return the arguments of `token_cross_entropy_with` once they are checked."""
    if ignored is not None:
        ignored = require_whole_number(ignored, "ignored", where, -INT32, INT32 - 1)
    smoothing = require_number(smoothing, "smoothing", where, "from 0 to 1", lambda s: 0 <= s <= 1)
    z_loss = require_number(z_loss, "z_loss", where, "of at least 0", lambda c: c >= 0)
    return Choice(ignored, smoothing, z_loss)


@cache
def _of(choice: Choice) -> Loss:
    name = f"token_cross_entropy_with({choice})"

    def forward(
        prediction: Float[Array, "*batch k"], target: Int[Array, "*batch"]
    ) -> tuple[Float[Array, ""], Residuals]:
        require_floating_rows(prediction, name)
        require_labels(target, prediction.shape[:-1], name)
        of_tokens, row = token_losses(prediction, target, choice)
        return of_tokens.sum().astype(prediction.dtype), (prediction, target, row)

    def backward(residuals: Residuals) -> Float[Array, "*batch k"]:
        z, labels, row = residuals
        return token_deltas(z, labels, row, choice).astype(z.dtype)

    return Loss(
        name, forward, backward, (array("*batch k"), labels_below("k-1", choice)), counted=counting(choice)
    )


def token_losses(
    z: Float[Array, "*batch k"], labels: Int[Array, "*batch"], choice: Choice
) -> tuple[Float[Array, "*batch"], Row]:
    """Return J of each token, in float32 at least, and the numbers from which `token_deltas` goes on."""
    z = z.astype(at_least_float32(z))
    is_label = _one_hot(labels, z)
    top = lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True, initial=-jnp.inf))  # p does not depend on it
    shifted = z - top
    e = jnp.exp(shifted)
    total = e.sum(axis=-1, keepdims=True)
    others = jnp.where(is_label, 0, e).sum(axis=-1, keepdims=True) / total
    log_total = jnp.log(total)
    minus_log_p = log_total - jnp.where(is_label, shifted, 0).sum(axis=-1, keepdims=True)
    if choice.smoothing:
        spread = log_total - shifted.sum(axis=-1, keepdims=True) / max(z.shape[-1], 1)
        minus_log_p = (1 - choice.smoothing) * minus_log_p + choice.smoothing * spread
    J = minus_log_p + choice.z_loss * (top + log_total) ** 2 if choice.z_loss else minus_log_p
    return _where_it_counts(J, labels, z.shape[-1], choice)[..., 0], Row(top, total, others)


def token_deltas(
    z: Float[Array, "*batch k"], labels: Int[Array, "*batch"], row: Row, choice: Choice
) -> Float[Array, "*batch k"]:
    """Return ∂J/∂z = p − q + 2 c s p, in float32 at least."""
    p = jnp.exp(z.astype(row.top.dtype) - row.top) / row.total
    is_label = _one_hot(labels, z)
    delta = jnp.where(is_label, -row.others, p)
    if choice.smoothing:
        delta = delta + choice.smoothing * (is_label.astype(p.dtype) - 1 / max(z.shape[-1], 1))
    if choice.z_loss:
        delta = delta + 2 * choice.z_loss * (row.top + jnp.log(row.total)) * p
    return _where_it_counts(delta, labels, z.shape[-1], choice)


def _one_hot(labels: Int[Array, "*batch"], z: Float[Array, "*batch k"]) -> Bool[Array, "*batch k"]:
    return lax.broadcasted_iota(jnp.int32, z.shape, z.ndim - 1) == labels.astype(jnp.int32)[..., None]


def _where_it_counts(
    v: Float[Array, "*batch k"], labels: Int[Array, "*batch"], classes: int, choice: Choice
) -> Float[Array, "*batch k"]:
    """Return `v`, with 0 at ignored tokens, and NaN at those whose label has no class."""
    labels = labels.astype(jnp.int32)[..., None]
    v = jnp.where((labels >= 0) & (labels < classes), v, jnp.nan)
    return v if choice.ignored is None else jnp.where(labels == choice.ignored, 0, v)


def counting(choice: Choice) -> Callable[[PyTree, Int[Array, "*batch"]], Int[Array, ""]] | None:
    """Return how many of the labels a mean counts; None if it counts all."""
    if choice.ignored is None:
        return None
    return lambda _, labels: (jnp.asarray(labels).astype(jnp.int32) != choice.ignored).sum()


def labels_below(most: int | str, choice: Choice) -> Specification:
    """Return the specification of labels from 0 to `most`, and the ignored one among them."""
    return integers("*batch", 0, most, also=() if choice.ignored is None else (choice.ignored,))


def require_labels(labels: Int[Array, "*batch"], expected: tuple[int, ...], where: str) -> None:
    """Raise `UsageError` unless `labels` are whole numbers, of the shape `expected`."""
    if not are_labels(labels):
        raise UsageError(
            message(
                must="the target must be integer labels",
                found=f"target.dtype={jnp.result_type(labels)}",
                where=where,
                do="convert it first: target.astype(jnp.int32)",
            )
        )
    require_target_shape(labels, expected, where, "pass one integer label for each token")


token_cross_entropy: Loss = token_cross_entropy_with(ignored=-100)._replace(name="token_cross_entropy")
