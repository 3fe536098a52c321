r"""The cross entropy of the logits z = x Wᵀ in chunks of tokens, so that z is never held as a whole.

J = Σ_n J_n(z_n), with z_n = W x_n and J_n as in `token_cross_entropy_with`, its choices included.
Backward, from δz_n = ∂J_n/∂z_n (see `_token_cross_entropy.py`):   ∂J/∂x_n = Wᵀ δz_n,   ∂J/∂W = Σ_n δz_n x_nᵀ.
The prediction is the pair (x, W), which `rules.linear_head(classes)` returns; its docstring shows how to
train. Kept are x and W, which are there anyway, the labels and three numbers a token. z is computed twice,
chunk by chunk: once for J, once for its gradient. With c tokens a chunk and K classes, c·K numbers are held
instead of N·K. To compute the gradient together with J would save one of the four matrix products, but then a
forward pass without a backward pass would cost three products instead of one. Products and the sum over the
tokens are computed in float32 at least.
Source: the same sums as in Liger Kernel (Hsu et al. 2024, arXiv:2410.10989) and Cut Cross-Entropy (Wijmans et
al. 2024, arXiv:2411.09009), in another order; neither paper was at hand.
Slips that people make: a gradient of W from the last chunk alone. It is right wherever one chunk holds every
token, so that a check needs a chunk smaller than the batch; the report names the line of the scan.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.arguments import array
from backproof.losses._token_cross_entropy import (
    Choice,
    Row,
    choice_of,
    counting,
    labels_below,
    require_labels,
    token_deltas,
    token_losses,
)
from backproof.rule import Loss, PyTree, require_floating, require_shape, require_whole_number
from backproof.rules._affine import require_floating_rows
from backproof.rules._rms_norm import at_least_float32

Prediction = tuple[Float[Array, "*batch n"], Float[Array, "k n"]]
Residuals = tuple[Float[Array, "*batch n"], Float[Array, "k n"], Int[Array, "*batch"], Row]


def linear_cross_entropy_with(
    chunk: int = 512, ignored: int | None = None, smoothing: float = 0.0, z_loss: float = 0.0
) -> Loss:
    """Return the cross entropy of x Wᵀ with integer labels, summed over the tokens.

    Args:
        chunk: the number of tokens whose logits are held at once.
        ignored: the label of tokens that do not count; None if every token counts.
        smoothing: the part of each target that is spread evenly over all classes, from 0 to 1.
        z_loss: the coefficient of (log Σ exp z)²; at least 0.

    Raises:
        UsageError: an argument is outside its range.
    """
    where = "linear_cross_entropy_with"
    return _of(require_whole_number(chunk, "chunk", where), choice_of(ignored, smoothing, z_loss, where))


@cache
def _of(chunk: int, choice: Choice) -> Loss:
    name = f"linear_cross_entropy_with({', '.join(filter(None, (f'chunk={chunk}', str(choice))))})"

    def forward(prediction: Prediction, target: Int[Array, "*batch"]) -> tuple[Float[Array, ""], Residuals]:
        x, W = prediction
        _require_fitting(x, W, target, name)
        wide_W = W.astype(_wide(x, W))

        def step(J: Array, part: tuple[Array, Array]) -> tuple[Array, Row]:
            x, labels = part
            of_tokens, row = token_losses(_logits(x, wide_W), labels, choice)
            return J + of_tokens.sum(), row

        J, row = _by_chunks(step, jnp.zeros((), wide_W.dtype), (_flat(x, 1), _flat(target, 0)), chunk)
        return J.astype(x.dtype), (x, W, target, row)

    def backward(residuals: Residuals) -> Prediction:
        x, W, target, row = residuals
        wide_W = W.astype(_wide(x, W))

        def step(grad_W: Array, part: tuple[Array, Array, Row]) -> tuple[Array, Array]:
            x, labels, row = part
            delta_z = token_deltas(_logits(x, wide_W), labels, row, choice)
            return grad_W + delta_z.T @ x.astype(delta_z.dtype), (delta_z @ wide_W).astype(x.dtype)

        tokens = _flat(x, 1), _flat(target, 0), row
        grad_W, delta_x = _by_chunks(step, jnp.zeros_like(wide_W), tokens, chunk)
        return delta_x.reshape(x.shape), grad_W.astype(W.dtype)

    domain = (array("*batch n"), array("k n")), labels_below("k-1", choice)
    return Loss(name, forward, backward, domain, counted=counting(choice))


def _logits(x: Float[Array, "c n"], W: Float[Array, "k n"]) -> Float[Array, "c k"]:
    return x.astype(W.dtype) @ W.T


def _by_chunks(
    step: Callable[[Array, Any], tuple[Array, PyTree]], carry: Array, tokens: PyTree, chunk: int
) -> tuple[Array, PyTree]:
    """Return what `lax.scan` of `step` returns for chunks of tokens; the last may be a smaller one."""
    count = len(jax.tree.leaves(tokens)[0])
    whole = count // chunk * chunk
    found = []
    if whole:
        chunks = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, chunk, *leaf.shape[1:]), tokens)
        carry, of_chunks = lax.scan(step, carry, chunks)
        found.append(jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), of_chunks))
    if whole < count or not count:
        carry, of_rest = step(carry, jax.tree.map(lambda leaf: leaf[whole:], tokens))
        found.append(of_rest)
    return carry, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *found)


def _flat(leaf: Array, axes: int) -> Array:
    """Return `leaf` with its leading axes made one; the last `axes` stay."""
    leaf = jnp.asarray(leaf)
    return leaf.reshape(-1 if leaf.size else 0, *leaf.shape[leaf.ndim - axes :])


def _wide(x: Array, W: Array) -> jnp.dtype:
    return jnp.promote_types(at_least_float32(x), at_least_float32(W))


def _require_fitting(x: Array, W: Array, labels: Array, where: str) -> None:
    require_floating_rows(x, where)
    require_floating(W, where, "W")
    do = "pass (x, W), as rules.linear_head(classes) returns them"
    require_shape(W, (*jnp.shape(W)[:1], x.shape[-1]), where, "W", do)
    require_labels(labels, x.shape[:-1], where)
