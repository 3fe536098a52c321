r"""The linear head y = (x, W): the input and the matrix of x Wᵀ, a product that is left to the loss.

Backward, from (δx, δW) = (∂L/∂x, ∂L/∂W):   both are passed on, δx to the layer below and δW as the gradient
of W. Nothing is kept. A loss that gets x and W may compute the logits x Wᵀ in chunks and never hold all of
them, as `losses.linear_cross_entropy_with` does. Such a network is trained like any other:
    network = bp.chain(body, bp.rules.linear_head(classes))
    loss = bp.losses.mean(bp.losses.linear_cross_entropy_with(ignored=-100))
    bp.training.fit(network, loss, bp.training.Data(x, labels))
The logits of a trained network are y[0] @ y[1].T.
Source: none; the rule exists so that losses with parameters compose with `chain` and `fit`.
"""

import jax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.rule import Rule, parameter_dtype, require_floating, require_shape, require_whole_number
from backproof.rules._affine import INIT, require_floating_rows

Params = dict[str, Array]
Output = tuple[Float[Array, "*batch n"], Float[Array, "k n"]]


def linear_head(n_out: int) -> Rule:
    """Return the rule y = (x, W) with W of shape (n_out, n), for a loss that computes x Wᵀ itself.

    Its parameters are `{"W": (n_out, n)}`, from a normal distribution of variance 1/n.

    Raises:
        UsageError: `n_out` is not a positive whole number.
    """
    n_out = require_whole_number(n_out, "n_out", "linear_head")
    name = f"linear_head({n_out})"

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[Params, tuple[jax.ShapeDtypeStruct, ...]]:
        require_floating_rows(x, name)
        n, dtype = x.shape[-1], parameter_dtype(x)
        W = jax.random.normal(key, (n_out, n), dtype) / max(n, 1) ** 0.5
        return {"W": W}, (x, jax.ShapeDtypeStruct(W.shape, dtype))

    def forward(params: Params, x: Float[Array, "*batch n"]) -> tuple[Output, tuple[()]]:
        require_floating_rows(x, name)
        require_floating(params["W"], name, "W")
        require_shape(params["W"], (n_out, x.shape[-1]), name, "W", INIT)
        return (x, params["W"]), ()

    def backward(params: Params, kept: tuple[()], delta: Output) -> tuple[Params, Float[Array, "*batch n"]]:
        delta_x, delta_W = delta
        return {"W": delta_W}, delta_x

    return Rule(name, init, forward, backward, array("*batch n"))
