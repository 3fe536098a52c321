"""Backward passes that are wrong by ONE thing, each with the smallest network that shows it.

`sweep(Terms())` is the recursion of the documents written once more, term by term; a mutant replaces
one term of it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import rules
from backproof.rules._affine import affine_grads
from sweep_laws import pre_activations


def slope(sigma, z):
    """Return σ′(z) of an activation, by its own hand-written backward pass."""
    return sigma.backward((), sigma.forward((), z)[1], jnp.ones_like(z))[1]


def output_error(delta_a, z, sigma):
    return delta_a * slope(sigma, z)  # δ^L = ∂J/∂a^L ⊙ σ′(z^L)


def hidden_error(W_above, delta_above, z, sigma, z_above):
    return delta_above @ W_above * slope(sigma, z)  # δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l)


def gradient_of_W(delta, a_below, z_below):
    return affine_grads(a_below, delta)["W"]  # Σ δ^l (a^{l−1})ᵀ


def gradient_of_b(delta):
    return delta.sum(axis=tuple(range(delta.ndim - 1)))  # Σ δ^l


class Terms(NamedTuple):
    """The four terms of a sweep."""

    output: Callable = output_error
    hidden: Callable = hidden_error
    W: Callable = gradient_of_W
    b: Callable = gradient_of_b


def deltas_of(terms):
    """Return (params, residuals, ∂J/∂a^L) -> (δ^1, …, δ^L), as `backproof.deltas` does."""

    def deltas(params, residuals, delta_y):
        z, sigma = pre_activations(params, residuals), [kept.activation for kept in residuals]
        found = [terms.output(delta_y, z[-1], sigma[-1])]
        for k in reversed(range(len(z) - 1)):
            found.append(terms.hidden(params[k + 1]["W"], found[-1], z[k], sigma[k], z[k + 1]))
        return tuple(found[::-1])

    return deltas


def sweep(terms):
    """Return (params, residuals, ∂J/∂a^L) -> (∂J/∂params, ∂J/∂x), as a rule's backward does."""

    def backward(params, residuals, delta_y):
        delta = deltas_of(terms)(params, residuals, delta_y)
        inputs = [kept.x for kept in residuals]
        z_below = [inputs[0], *pre_activations(params, residuals)[:-1]]  # the input has no z
        layers = zip(delta, inputs, z_below, strict=True)
        grads = tuple({"W": terms.W(d, a, z), "b": terms.b(d)} for d, a, z in layers)
        return grads, delta[0] @ params[0]["W"]

    return backward


def updated_first(params, residuals, delta, update):
    """Update W before it serves in Wᵀδ: the layer's step taken twice, the second time too late."""
    updated = []
    for layer, kept in zip(params[::-1], residuals[::-1], strict=True):
        layer = jax.tree.map(update, layer, bp.layer_step(layer, kept, delta)[0])
        delta = bp.layer_step(layer, kept, delta)[1]
        updated.append(layer)
    return tuple(updated[::-1]), delta


class Mutant(NamedTuple):
    """A network wrong by one thing.

    Attributes:
        name: the one thing.
        law: the item of the specification that it breaks.
        sizes, batch, activation, last: the smallest network that shows it.
        terms: the terms of its sweep, one replaced.
        descend: its in-sweep update, or None for the one that follows from its sweep.
    """

    name: str
    law: str
    sizes: tuple[int, ...]
    terms: Terms = Terms()
    batch: tuple[int, ...] = ()
    activation: bp.Rule = rules.sigmoid
    last: bp.Rule = rules.sigmoid
    descend: Callable | None = None

    @property
    def original(self):
        """The shipped network of these sizes."""
        return bp.mlp(self.sizes, self.activation, self.last)

    @property
    def rule(self):
        """The network with this mistake."""
        return self.original._replace(name=self.name, backward=sweep(self.terms), descend=self.descend)


def transposed(W_above, delta_above, z, sigma, z_above):
    return delta_above @ W_above.T * slope(sigma, z)  # W δ: it fits where W is square


def without_slope(W_above, delta_above, z, sigma, z_above):
    return delta_above @ W_above


def slope_at_a(W_above, delta_above, z, sigma, z_above):
    return delta_above @ W_above * slope(sigma, sigma.forward((), z)[0])


def slope_of_layer_above(W_above, delta_above, z, sigma, z_above):
    return delta_above @ W_above * slope(sigma, z_above)


def shared(delta):
    return jnp.full_like(gradient_of_b(delta), 1) * jnp.sum(delta)  # one scalar b for all components


def averaged(delta):
    return delta.mean(axis=tuple(range(delta.ndim - 1)))


def negated(delta_a, z, sigma):
    return -output_error(delta_a, z, sigma)


def doubled(delta_a, z, sigma):
    return 2 * output_error(delta_a, z, sigma)  # as if the loss had no ½


def without_outer_slope(delta_a, z, sigma):
    return delta_a


def open_at_zero(delta_a, z, sigma):
    return jnp.where(z >= 0, delta_a, jnp.zeros_like(delta_a))


def without_cotangent(delta_a, z, sigma):
    return slope(sigma, z)


def z_for_a(delta, a_below, z_below):
    return gradient_of_W(delta, z_below, z_below)


MUTANTS = [
    Mutant("sign", "S0.3", (1, 1), Terms(output=negated)),
    Mutant("factor 2", "S0.3", (1, 1), Terms(output=doubled)),
    Mutant("missing outer slope", "S0.3", (1, 1), Terms(output=without_outer_slope)),
    Mutant("z for a", "S0.14", (1, 1, 1), Terms(W=z_for_a)),
    Mutant("W updated first", "S4.3", (1, 1, 1), descend=updated_first),
    Mutant("missing hidden slope", "S0.12", (1, 1, 1), Terms(hidden=without_slope)),
    Mutant("slope at a", "S0.12", (1, 1, 1), Terms(hidden=slope_at_a)),
    Mutant("slope of the wrong layer", "S0.12", (1, 1, 1), Terms(hidden=slope_of_layer_above)),
    Mutant("missing transpose", "S1.12", (1, 2, 2), Terms(hidden=transposed), activation=rules.relu),
    Mutant("mean of b only", "S0.14", (1, 1), Terms(b=averaged), batch=(2,)),
    Mutant("gate at zero", "S1.7", (1, 1), Terms(output=open_at_zero), last=rules.relu),
    Mutant("dropped cotangent", "S1.2", (1, 1), Terms(output=without_cotangent)),
    Mutant("shared bias", "S0.14", (1, 2), Terms(b=shared)),
]
