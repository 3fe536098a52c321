"""The results of one layer with one slip in it: the candidates that may explain a wrong layer."""

from typing import Any

import jax.numpy as jnp

from backproof.rule import Rule
from backproof.rules._affine import affine_grads


def slips_of(
    sigma: Rule, values: tuple[Any, Any, Any], delta: Any, above: Any, W_above: Any
) -> dict[str, dict[str, Any]]:
    """Return the values of one step for δ, ∂W and ∂b, with one slip each.

    Args:
        sigma: the activation of the layer.
        values: z of the layer below (None at the first), the layer's input a, and its z.
        delta: the true δ.
        above: δ of the layer above, or ∂J/∂a at the last layer.
        W_above: the weights of the layer above; None at the last layer.
    """
    # there is one sample: all batch axes have size 1
    z_below, a_below, z = values
    a_below, z, delta, above = (each.reshape(-1) for each in (a_below, z, delta, above))

    def slope(at: Any) -> Any:
        return sigma.backward((), sigma.forward((), at)[1], jnp.ones_like(at))[1]

    pulled = above if W_above is None else above @ W_above
    of_delta = {
        **_times(pulled * slope(z)),
        "σ′ left out": pulled,
        "σ′(a) for σ′(z)": pulled * slope(sigma.forward((), z)[0]),
        "the cotangent left out": slope(z),
    }
    if W_above is not None and W_above.shape[0] == W_above.shape[1]:
        of_delta["W for Wᵀ"] = above @ W_above.T * slope(z)
    of_W = _times(affine_grads(a_below, delta)["W"])
    if z_below is not None:
        of_W["z for a"] = affine_grads(z_below.reshape(-1), delta)["W"]
    return {"delta": of_delta, "W": of_W, "b": _times(delta)}


def _times(value: Any) -> dict[str, Any]:
    return {
        "the opposite sign": -value,
        "twice the value": 2 * value,
        "half the value": 0.5 * value,
        "zero in its place": 0 * value,
    }
