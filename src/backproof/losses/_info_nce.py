r"""InfoNCE: the cross entropy of telling which y of a batch belongs to an x, for pairs of rows (x_i, y_i).

With S = x yᵀ/τ, P the softmax of each row of S and Q that of each column:
    J = −Σ_i log P_ii,   or, symmetric, J = −½ Σ_i (log P_ii + log Q_ii).
Backward, with G = P − I, or G = ½ (P + Q) − I:   ∂J/∂x = G y/τ,   ∂J/∂y = Gᵀ x/τ.
P_ii − 1 is computed as −Σ_{j≠i} P_ij, as in `token_cross_entropy`, of which this is the case with label i in
row i. The samples are not independent, because each y is a negative for the other x: the two batches are one
array each, without a `*` axis, and the gradient for a part of a batch is not a part of its gradient. It is a
loss with an empty target, (), rather than a rule, because it has no parameters and ends in one number. Its
`mean` divides by the number of pairs. `fit` wants targets; `bp.value_and_grad(network, loss)(params, x, ())`
trains without. Rows are taken as they come: normalise them first, and for a temperature that is learned
divide x by it there and pass temperature=1. Kept are x, y and G in float32 at least, so that the backward
pass is two products.
Sources: van den Oord et al. 2018, "Representation learning with contrastive predictive coding",
arXiv:1807.03748; Radford et al. 2021, "Learning transferable visual models from natural language
supervision", arXiv:2103.00020 (symmetric); the papers were not at hand.
Slips that people make: a transpose forgotten, in ∂J/∂y or in Q. Shapes do not show it, because G is square;
the report names the line.
"""

from functools import cache

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.losses._token_cross_entropy import Choice, token_deltas, token_losses
from backproof.rule import Loss, PyTree, require_floating, require_number
from backproof.rules._rms_norm import at_least_float32

Pairs = tuple[Float[Array, "b n"], Float[Array, "b n"]]
Residuals = tuple[Float[Array, "b n"], Float[Array, "b n"], Float[Array, "b b"]]
PLAIN = Choice()


@cache
def info_nce_with(temperature: float, symmetric: bool = False) -> Loss:
    """Return InfoNCE of the prediction (x, y), rows of which belong together, summed over the pairs.

    Args:
        temperature: what the products of rows are divided by; a positive finite number.
        symmetric: whether x is sought for each y as well, as in CLIP; J is then the mean of both directions.

    Raises:
        UsageError: the temperature is not a positive finite number.
    """
    tau = require_number(temperature, "temperature", "info_nce_with", "above 0", lambda tau: tau > 0)
    name = f"info_nce_with({tau:g}{', symmetric=True' if symmetric else ''})"

    def forward(prediction: Pairs, target: tuple[()] = ()) -> tuple[Float[Array, ""], Residuals]:
        _require_pairs(prediction, target, name)
        x, y = prediction
        wide = at_least_float32(x)
        S = x.astype(wide) @ y.astype(wide).T / tau
        own = jnp.arange(len(x))
        of_rows, row = token_losses(S, own, PLAIN)
        J, G = of_rows.sum(), token_deltas(S, own, row, PLAIN)
        if symmetric:
            of_columns, column = token_losses(S.T, own, PLAIN)
            J = (J + of_columns.sum()) / 2
            G = (G + token_deltas(S.T, own, column, PLAIN).T) / 2
        return J.astype(x.dtype), (x, y, G)

    def backward(residuals: Residuals) -> Pairs:
        x, y, G = residuals
        delta_x = G @ y.astype(G.dtype) / tau
        delta_y = G.T @ x.astype(G.dtype) / tau
        return delta_x.astype(x.dtype), delta_y.astype(y.dtype)

    pairs = array("b n"), array("b n")
    return Loss(name, forward, backward, (pairs, ()), counted=lambda prediction, _: len(prediction[0]))


def _require_pairs(prediction: PyTree, target: PyTree, where: str) -> None:
    """Raise `UsageError` unless `prediction` is two floating arrays of one shape, and there is no target."""
    require_floating(prediction, where, "prediction")
    forms = [f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(prediction)]
    if (
        not isinstance(prediction, tuple | list)
        or len(forms) != 2
        or len({*forms}) != 1
        or prediction[0].ndim != 2
    ):
        raise UsageError(
            message(
                must="the prediction must be the pair (x, y) of one shape, with a row for each sample",
                found=", ".join(forms) or type(prediction).__name__,
                where=where,
                do="pass two arrays of shape (batch, features)",
            )
        )
    if jax.tree.leaves(target):
        raise UsageError(
            message(
                must="there is no target, because the other pairs of the batch are the negatives",
                found=f"a target of {len(jax.tree.leaves(target))} arrays",
                where=where,
                do="pass ()",
            )
        )
