r"""The linear recurrence h_t = a_t ⊙ h_{t−1} + b_t, h_0 = 0, run in blocks of steps, all blocks at once.

Within a block that starts after step k, with P_t = a_{k+1} ⊙ … ⊙ a_t and g the recurrence from g_k = 0:
    h_t = P_t ⊙ h_k + g_t.
One scan over the steps of a block finds P and g of all blocks, and one over the blocks their first states;
size + s / size steps then follow one another in place of s.

Backward, from δh_t = ∂L/∂h_t, is the same recurrence in the same blocks, from the last step to the first:
    λ_t = δh_t + a_{t+1} ⊙ λ_{t+1},   ∂L/∂b_t = λ_t,   ∂L/∂a_t = λ_t ⊙ h_{t−1}.
A last block that is not full is filled with zeros; no earlier step sees them.
Kept are a and the states, as in `linear_recurrence`; both are computed in float32 at least.
P overflows where a product of factors does, even if the states stay finite. Factors of at most 1 in size, as
in state space models, never do that, and the domain states them.
Source: Blelloch 1990, "Prefix sums and their applications", for the associativity that this rests on (not at
hand; derived in `docs/catalogue/recurrences.py`).
Slips that people make: the factor of the same step in place of that of the step after, and h_t in place of
h_{t−1} in ∂L/∂a_t; the report names the line of either.
"""

from functools import cache

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.rule import Rule, require_whole_number
from backproof.rules._linear_recurrence import (
    Sequences,
    of_terms,
    require_factors_and_terms,
)
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._rnn import before, steps_first, steps_last

WITHIN_ONE = array("*batch s n", low=-1, high=1)


@cache
def linear_recurrence_in_blocks(size: int) -> Rule:
    """Return h_t = a_t ⊙ h_{t−1} + b_t of x = (a, b), both (…, s, n), run in blocks of `size` steps; h_0 = 0.

    Any s will do, a multiple of `size` or not. A `size` near √s gives the fewest steps in a row.

    Raises:
        UsageError: `size` is not a positive whole number.
    """
    size = require_whole_number(size, "size", "linear_recurrence_in_blocks")
    name = f"linear_recurrence_in_blocks({size})"

    def forward(
        params: tuple[()], x: tuple[Sequences, Sequences]
    ) -> tuple[Sequences, tuple[Sequences, Sequences]]:
        require_factors_and_terms(x, name)
        a, b = x
        dtype = jnp.promote_types(at_least_float32(a), at_least_float32(b))
        h = steps_last(in_blocks(steps_first(a.astype(dtype)), steps_first(b.astype(dtype)), size))
        return h.astype(b.dtype), (a, h)

    def backward(
        params: tuple[()], kept: tuple[Sequences, Sequences], delta_h: Sequences
    ) -> tuple[tuple[()], tuple[Sequences, Sequences]]:
        a, h = kept
        factors, terms = steps_first(a.astype(h.dtype)), steps_first(delta_h.astype(h.dtype))
        # backwards in time: what comes back to step t has the factor of step t + 1
        after = jnp.concatenate([factors[1:], jnp.zeros_like(factors[:1])])
        lam = steps_last(jnp.flip(in_blocks(jnp.flip(after, 0), jnp.flip(terms, 0), size), 0))
        return (), ((lam * before(h)).astype(a.dtype), lam.astype(delta_h.dtype))

    return Rule(name, of_terms, forward, backward, (WITHIN_ONE, array("*batch s n")))


def in_blocks(
    a: Float[Array, "steps *any n"], b: Float[Array, "steps *any n"], size: int
) -> Float[Array, "steps *any n"]:
    """Return h_t = a_t ⊙ h_{t−1} + b_t along the first axis, in blocks of `size` steps."""
    steps = a.shape[0]
    a, b = _cut(a, size), _cut(b, size)

    def within(
        state: tuple[Array, Array], each: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        (product, g), (a, b) = state, each
        state = a * product, a * g + b
        return state, state

    def across(first: Array, each: tuple[Array, Array]) -> tuple[Array, Array]:
        product, last = each
        return product * first + last, first

    none = jnp.zeros(a.shape[1:], a.dtype)
    products, g = lax.scan(within, (jnp.ones_like(none), none), (a, b))[1]
    first = lax.scan(across, jnp.zeros(none.shape[1:], a.dtype), (products[-1], g[-1]))[1]
    h = jnp.moveaxis(products * first[None] + g, 0, 1)
    return h.reshape(h.shape[0] * size, *h.shape[2:])[:steps]


def _cut(x: Float[Array, "steps *any n"], size: int) -> Float[Array, "size blocks *any n"]:
    """Return `x` cut into blocks, step by step of all blocks; zeros fill the last block."""
    blocks = -(-x.shape[0] // size)
    missing = blocks * size - x.shape[0]
    x = jnp.concatenate([x, jnp.zeros((missing, *x.shape[1:]), x.dtype)])
    return jnp.moveaxis(x.reshape(blocks, size, *x.shape[1:]), 1, 0)
