r"""The documents' network, and backpropagation as they write it: the recursion on δ^l = ∂J/∂z^l.

Forward, for l = 1 … L, with a^0 = x:   z^l = W^l a^{l−1} + b^l,   a^l = σ(z^l).
Backward (S0.3, S0.12; S1.5; S3.16):

    δ^L = ∂J/∂a^L ⊙ σ′(z^L)
    δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l)        l = L−1 … 1
    ∂J/∂W^l = δ^l (a^{l−1})ᵀ,   ∂J/∂b^l = δ^l,   both summed over the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.compose import require_one_each
from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, Update, require_rule, require_shape, require_whole_number
from backproof.rules._affine import (
    INIT,
    affine,
    affine_delta,
    affine_forward,
    affine_grads,
    require_affine_params,
    require_delta_like_output,
    require_floating_rows,
)
from backproof.rules._identity import identity

Layer = dict[str, Array]


@partial(jax.tree_util.register_dataclass, data_fields=["x", "kept"], meta_fields=["activation"])
@dataclass(frozen=True)
class LayerResiduals:
    """Holds the residuals of one layer.

    Attributes:
        x: the input a^{l−1} of the layer.
        kept: the residuals of its activation, which determine σ′(z^l).
        activation: the activation itself.
    """

    x: Array
    kept: PyTree
    activation: Rule


Residuals = tuple[LayerResiduals, ...]


def mlp(sizes: Sequence[int], activation: Rule, last: Rule = identity) -> Rule:
    """Return the fully connected network of the documents, with the explicit δ recursion.

    Args:
        sizes: the widths n_0, n_1, …, n_L, the input's first; L is the number of weight layers.
        activation: σ of the hidden layers, a rule without parameters that acts elementwise.
        last: σ of layer L: `identity` in documents 001 and 003, the sigmoid in document 000.

    Returns:
        a rule whose params are a tuple of `{"W": (n_l, n_{l−1}), "b": (n_l,)}`, one per layer; its
        parts are the affine map and the activation of each layer in turn.

    Raises:
        UsageError: there is no weight layer, a width is not a positive whole number, or an
            activation is not a rule without parameters.
    """
    sizes = tuple(require_whole_number(n, f"sizes[{i}]", "mlp") for i, n in enumerate(sizes))
    if len(sizes) < 2:
        raise UsageError(
            message(
                must="sizes must be at least two whole numbers, the input's first",
                found=f"sizes={sizes}",
                where="mlp",
                do="write e.g. mlp([64, 128, 10], activation)",
            )
        )
    for rule in (activation, last):
        _require_activation(rule)
    activations = (activation,) * (len(sizes) - 2) + (last,)
    affines = tuple(affine(n) for n in sizes[1:])
    parts = tuple(rule for layer in zip(affines, activations, strict=True) for rule in layer)

    def require_input(x: Array | jax.ShapeDtypeStruct) -> None:
        require_floating_rows(x, name)
        do = f"pass inputs of the width the network was made for, {sizes[0]}"
        require_shape(x, (*x.shape[:-1], sizes[0]), name, "x", do)

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[Layer, ...], jax.ShapeDtypeStruct]:
        require_input(x)
        params = []
        for rule, layer_key in zip(affines, jax.random.split(key, len(affines)), strict=True):
            layer, x = rule.init(layer_key, x)
            params.append(layer)
        return tuple(params), x

    def forward(
        params: Sequence[Layer], x: Float[Array, "*batch n_0"]
    ) -> tuple[Float[Array, "*batch n_L"], Residuals]:
        require_one_each(params, activations, name)
        require_input(x)
        for i, layer in enumerate(params):
            where = f"{name}, layer {i + 1}"
            require_affine_params(layer, where)
            require_shape(layer["W"], (sizes[i + 1], sizes[i]), where, "W", INIT)
        residuals, a = [], x
        for layer, sigma in zip(params, activations, strict=True):
            z, x = affine_forward(layer, a)
            a, kept = sigma.forward((), z)
            residuals.append(LayerResiduals(x, kept, sigma))
        return a, tuple(residuals)

    name = f"mlp({'-'.join(map(str, sizes))}, {activation.name}, {last.name})"
    kinks = {rule.at_kinks for rule in activations if rule.at_kinks}
    return Rule(
        name,
        init,
        forward,
        backward,
        array(f"*batch {sizes[0]}"),
        "; ".join(sorted(kinks)) or None,
        parts,
        descend_layers,
    )


def deltas(params: Sequence[Layer], residuals: Residuals, delta_y: Array) -> tuple[Array, ...]:
    """Return (δ^1, …, δ^L), every ∂J/∂z^l, from ∂J/∂a^L.

    Args:
        params: the layers of an `mlp`.
        residuals: the residuals that its forward pass returned.
        delta_y: ∂J/∂a^L, of shape `(*batch, n_L)`.

    Raises:
        UsageError: `delta_y` has another shape than a^L.
    """
    require_delta_like_output(params[-1], residuals[-1].x, delta_y, "deltas", "delta_y")
    delta = _delta_z(residuals[-1], delta_y)  # δ^L = ∂J/∂a^L ⊙ σ′(z^L)
    found = [delta]
    for above, kept in zip(params[:0:-1], residuals[-2::-1], strict=True):
        delta = _delta_z(kept, affine_delta(above, delta))  # δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l)
        found.append(delta)
    return tuple(found[::-1])


def backward(
    params: Sequence[Layer], residuals: Residuals, delta_y: Array
) -> tuple[tuple[Layer, ...], Array]:
    """Return (∂J/∂W^l and ∂J/∂b^l for every layer, ∂J/∂x)."""
    delta = deltas(params, residuals, delta_y)
    layers = zip(params, residuals, delta, strict=True)
    grads = tuple(affine_grads(kept.x, d, layer["W"].dtype) for layer, kept, d in layers)
    return grads, affine_delta(params[0], delta[0])


def layer_step(params_l: Layer, residuals_l: LayerResiduals, delta_a: Array) -> tuple[Layer, Array]:
    """Return ({∂J/∂W^l, ∂J/∂b^l}, ∂J/∂a^{l−1}) from `delta_a` = ∂J/∂a^l: the backward step of one layer.

    Only the error is passed from layer to layer (S2.9). This is document 002's step from e_k to e_{k−1}.

    Raises:
        UsageError: `delta_a` has another shape than a^l.
    """
    require_delta_like_output(params_l, residuals_l.x, delta_a, "layer_step", "delta_a")
    delta_z = _delta_z(residuals_l, delta_a)
    return affine_grads(residuals_l.x, delta_z, params_l["W"].dtype), affine_delta(params_l, delta_z)


def descend_layers(
    params: Sequence[Layer], residuals: Residuals, delta: Array, update: Update
) -> tuple[tuple[Layer, ...], Array]:
    """Return (updated params, ∂J/∂x); each layer is updated once both its derivatives are known (S4.3)."""
    updated = []
    for layer, kept in zip(params[::-1], residuals[::-1], strict=True):
        grads, delta = layer_step(layer, kept, delta)
        updated.append(jax.tree.map(update, layer, grads))
    return tuple(updated[::-1]), delta


def _delta_z(kept: LayerResiduals, delta_a: Array) -> Array:
    """Return ∂J/∂z = ∂J/∂a ⊙ σ′(z)."""
    return kept.activation.backward((), kept.kept, delta_a)[1]


def _require_activation(rule: Rule) -> None:
    require_rule(rule, "mlp", "an activation")
    if rule.init(jax.random.key(0), jax.ShapeDtypeStruct((1,), "float32"))[0] != ():
        raise UsageError(
            message(
                must="an activation must have no parameters",
                found=rule.name,
                where="mlp",
                do="compose rules with parameters by backproof.chain",
            )
        )
