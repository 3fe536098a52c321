r"""The linear recurrence h_t = a_t ⊙ h_{t−1} + b_t for t = 1 … s, with h_0 = 0; its output is h_1 … h_s.

Backward, from δh_t = ∂L/∂h_t, is the same recurrence, run from the last step to the first, with λ_{s+1} = 0:
    λ_t = δh_t + a_{t+1} ⊙ λ_{t+1},   ∂L/∂b_t = λ_t,   ∂L/∂a_t = λ_t ⊙ h_{t−1}.
λ_{t+1} comes back through the factor of the step after, a_{t+1}, and ∂L/∂a_t has the state before.
Kept are a and the states, which are the output. They are computed, and kept, in float32 at least.
A start from another state needs no code of its own: a_1 ⊙ h_0 is added to b_1.
Source: Martin and Cundy 2018, "Parallelizing linear recurrent neural nets over sequence length",
arXiv:1709.04057 (not at hand; the formulas are derived in `docs/catalogue/recurrences.py`).
Slips that people make: h_t in place of h_{t−1} in ∂L/∂a_t, and the cotangent δh_t in place of λ_t; the report
names the line of either.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, require_shape
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._rnn import before, require_sequences, steps_first, steps_last

Sequences = Float[Array, "*batch s n"]


def of_terms(key: jax.Array, x: PyTree) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
    """Initialise a recurrence: it has no parameters, and its output is like b."""
    del key
    require_factors_and_terms(x, "a linear recurrence")
    return (), x[1]


def linear_recurrence_forward(
    params: tuple[()], x: tuple[Sequences, Sequences]
) -> tuple[Sequences, tuple[Sequences, Sequences]]:
    """Return h in the dtype of b, and (a, h), from x = (a, b)."""
    require_factors_and_terms(x, "linear_recurrence")
    a, b = x
    dtype = jnp.promote_types(at_least_float32(a), at_least_float32(b))

    def step(h: Array, each: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = each
        h = a * h + b
        return h, h

    each = steps_first(a.astype(dtype)), steps_first(b.astype(dtype))
    h = steps_last(lax.scan(step, jnp.zeros(each[0].shape[1:], each[0].dtype), each)[1])
    return h.astype(b.dtype), (a, h)


def linear_recurrence_backward(
    params: tuple[()], kept: tuple[Sequences, Sequences], delta_h: Sequences
) -> tuple[tuple[()], tuple[Sequences, Sequences]]:
    """Return (∂L/∂a, ∂L/∂b) = (λ_t ⊙ h_{t−1}, λ_t)."""
    a, h = kept

    def step(from_later: Array, each: tuple[Array, Array]) -> tuple[Array, Array]:
        a, delta_h = each
        lam = delta_h + from_later
        return a * lam, lam

    each = steps_first(a.astype(h.dtype)), steps_first(delta_h.astype(h.dtype))
    lam = steps_last(lax.scan(step, jnp.zeros(each[0].shape[1:], h.dtype), each, reverse=True)[1])
    return (), ((lam * before(h)).astype(a.dtype), lam.astype(delta_h.dtype))


def require_factors_and_terms(x: PyTree, where: str) -> None:
    """Raise `UsageError` unless `x` is a pair (a, b) of floating sequences of one shape."""
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise UsageError(
            message(
                must="x must be a pair (a, b) of factors and terms",
                found=f"x of type {type(x).__name__}",
                where=where,
                do="pass x=(a, b), both of shape (…, steps, features)",
            )
        )
    for name, leaf in zip("ab", x, strict=True):
        require_sequences(leaf, where, name)
    require_shape(x[1], jnp.shape(x[0]), where, "b", "give a and b one shape")


linear_recurrence: Rule = Rule(
    "linear_recurrence",
    of_terms,
    linear_recurrence_forward,
    linear_recurrence_backward,
    (array("*batch s n"), array("*batch s n")),
)
