"""Laws of the sweep that the tests of the specification ask for, beyond those that the verifier uses.

As in `backproof.verification.diagnosis.balances`, each law returns both of its sides.
"""

from collections.abc import Callable, Sequence
from itertools import combinations, permutations
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.network import Layer, Residuals
from backproof.numerics.comparison import agree
from backproof.numerics.noise import measure
from backproof.rules._affine import affine_forward
from backproof.verification.diagnosis.balances import Sides, inner, layer_balance


def pre_activations(params: Sequence[Layer], residuals: Residuals) -> tuple[Array, ...]:
    """Return (z^1, …, z^L) of an `mlp`, computed again from the kept inputs."""
    return tuple(affine_forward(layer, kept.x)[0] for layer, kept in zip(params, residuals, strict=True))


def gate_balance(z: Array, delta_z: Array, a: Array, delta_a: Array) -> Sides:
    """Return ⟨z, ∂J/∂z⟩ and ⟨a, ∂J/∂a⟩, equal to the last bit for a = relu(z) (S1.12)."""
    return inner(z, delta_z), inner(a, delta_a)


def layer_balances(
    params: Sequence[Layer], residuals: Residuals, delta: Sequence[Array]
) -> tuple[Sides, ...]:
    """Return `layer_balance` at l = 1 … L − 1 of an `mlp` of relus, from its δ^1 … δ^L."""
    z = pre_activations(params, residuals)
    return tuple(
        layer_balance(z[below], delta[below], params[below + 1]["b"], z[below + 1], delta[below + 1])
        for below in range(len(params) - 1)
    )


def unbalanced(balances: Callable[..., Sequence[Sides]], *args: Any) -> list[int]:
    """Return the positions in `balances(*args)` whose sides differ by more than rounding."""
    value, noise = measure(balances, *args)
    return [
        place
        for place, ((left, right), (noise_left, noise_right)) in enumerate(zip(value, noise, strict=True))
        if not agree(left, right, noise_left + noise_right)
    ]


def rank_bound(grad_W: Float[Array, "n_out n_in"], samples: int) -> Sides:
    """Return both signs of every minor of ∂J/∂W of order `samples` + 1, equal as each is zero (S0.14).

    Each sample adds one outer product δ aᵀ, so the rank is at most the number of samples. By Leibniz's
    formula a minor is Σ_even Π_k W_{i_k j_p(k)} − Σ_odd Π_k W_{i_k j_p(k)}, over the permutations p of
    its columns. Their number grows fast: the law is meant for small matrices and few samples.
    """
    order = samples + 1
    rows, columns = (
        jnp.array([*combinations(range(n), order)], int).reshape(-1, order) for n in grad_W.shape
    )

    def signed(parity: int) -> Array:
        terms = (
            jnp.prod(grad_W[rows[:, None, :], columns[None, :, jnp.array(p)]], axis=-1)
            for p in permutations(range(order))
            if sum(p[i] > p[k] for i, k in combinations(range(order), 2)) % 2 == parity
        )
        return jnp.sum(jnp.stack([*terms]), axis=0)

    return signed(0), signed(1)


def dead_units(z: Float[Array, "*batch n"], grads: Layer, grads_above: Layer) -> Sides:
    """Return what the gradients hold at units whose gate z > 0 never opens, and zeros (S1.12).

    Such a unit i has row i of ∂J/∂W, entry i of ∂J/∂b and column i of ∂J/∂W of the layer above at
    exactly zero. The first side holds those three, with zero wherever a unit lives.
    """
    dead = jnp.all(z <= 0, axis=tuple(range(z.ndim - 1)))
    row, column = dead[:, None], dead[None, :]
    held = tuple(
        jnp.where(jnp.broadcast_to(mask, grad.shape), grad, jnp.zeros_like(grad))
        for mask, grad in ((row, grads["W"]), (dead, grads["b"]), (column, grads_above["W"]))
    )
    return held, tuple(jnp.zeros_like(part) for part in held)
