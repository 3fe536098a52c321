r"""Direct preference optimisation: J = −Σ log σ(β h), with h = (π_w − r_w) − (π_l − r_l).

The prediction is the pair (π_w, π_l) of the log-probabilities that the model gives to the chosen and to the
rejected answer, each summed over its tokens; the target is the pair (r_w, r_l) of those of the reference
model.
Backward:   ∂J/∂π_w = −β σ(−β h),   ∂J/∂π_l = β σ(−β h).
−log σ(z) = log(1 + exp(−z)) and σ(−z) never overflow and never cancel, however large the margin is. Kept is
h, one number a pair. It is computed in float32 at least: log-probabilities of whole answers are large, and
their differences small.
Source: Rafailov et al. 2023, "Direct preference optimization", arXiv:2305.18290 (the paper was not at hand).
Slips that people make: σ(β h) for σ(−β h), which pushes most the pairs that are right already, and one sign
for both answers. The report names the line.
"""

from functools import cache

from jax.scipy.special import expit
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.losses._targets import require_like
from backproof.rule import Loss, PyTree, require_number
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._softplus import log1p_exp

Pair = tuple[Float[Array, "*batch"], Float[Array, "*batch"]]
# h, and an empty array that has the dtype of the prediction.
Residuals = tuple[Float[Array, "*batch"], Float[Array, " 0"]]
PAIR = (array("*batch"), array("*batch"))


@cache
def dpo_with(beta: float) -> Loss:
    """Return the loss of direct preference optimisation, summed over the pairs.

    Args:
        beta: how closely the model is tied to the reference; a positive finite number.

    Raises:
        UsageError: beta is not a positive finite number.
    """
    beta = require_number(beta, "beta", "dpo_with", "above 0", lambda beta: beta > 0)
    name = f"dpo_with({beta:g})"

    def forward(prediction: Pair, target: Pair) -> tuple[Float[Array, ""], Residuals]:
        for pair, noun in ((prediction, "prediction"), (target, "target")):
            _require_pair(pair, noun, name)
        (chosen, rejected), (of_chosen, of_rejected) = prediction, target
        for leaf, like in ((rejected, chosen), (of_chosen, chosen), (of_rejected, chosen)):
            require_like(like, leaf, name)
        wide = at_least_float32(chosen)
        gain_w = chosen.astype(wide) - of_chosen.astype(wide)
        gain_l = rejected.astype(wide) - of_rejected.astype(wide)
        h = gain_w - gain_l
        return log1p_exp(-beta * h).sum().astype(chosen.dtype), (h, chosen.ravel()[:0])

    def backward(residuals: Residuals) -> Pair:
        h, like = residuals
        push = (beta * expit(-beta * h)).astype(like.dtype)
        return -push, push

    return Loss(name, forward, backward, (PAIR, PAIR))


def _require_pair(pair: PyTree, name: str, where: str) -> None:
    """Raise `UsageError` unless `pair` has two entries."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        found = f"{len(pair)} entries" if isinstance(pair, tuple | list) else type(pair).__name__
        raise UsageError(
            message(
                must=f"the {name} must be the pair (chosen, rejected) of log-probabilities",
                found=found,
                where=where,
                do="pass two arrays with one number for each pair of answers",
            )
        )


dpo: Loss = dpo_with(0.1)._replace(name="dpo")
