r"""Gated linear units y = a(gate) ⊙ up, with (gate, up) the two halves of the last axis of x.

`swiglu`: a(z) = z σ(z), as in `silu`.   `geglu`: a(z) = z Φ(z), as in `gelu`.
Backward, from δy = ∂L/∂y:   ∂L/∂gate = δy ⊙ up ⊙ a′(gate),   ∂L/∂up = δy ⊙ a(gate).
The halves stand side by side, so that `chain(affine(2 * m), swiglu, affine(n))` is the layer of a
transformer: a pair of inputs could not follow one affine map. The first half is the gate. Kept is x alone;
a(gate) is made again from it. Both passes compute in float32 at least.
Source: Shazeer 2020, "GLU variants improve transformer", arXiv:2002.05202 (the paper was not at hand).
Slips that people make: `up` left out of the gradient of the gate, or a of that of `up`; the report leads to
the line.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import Rule
from backproof.rules._affine import require_floating_rows
from backproof.rules._gelu import gelu
from backproof.rules._rms_norm import at_least_float32
from backproof.rules._silu import silu

Halves = Float[Array, "*batch 2*n"]
Half = Float[Array, "*batch n"]


def gated(activation: Rule, name: str) -> Rule:
    """Return the rule y = a(gate) ⊙ up; `activation` is a."""

    def init(key: jax.Array, x: jax.ShapeDtypeStruct) -> tuple[tuple[()], jax.ShapeDtypeStruct]:
        require_halves(x, name)
        return (), jax.ShapeDtypeStruct((*x.shape[:-1], x.shape[-1] // 2), x.dtype)

    def forward(params: tuple[()], x: Halves) -> tuple[Half, Halves]:
        require_halves(x, name)
        gate, up = halves(x)
        a, _ = activation.forward((), gate)
        return (a * up).astype(x.dtype), x

    def backward(params: tuple[()], x: Halves, delta_y: Half) -> tuple[tuple[()], Halves]:
        gate, up = halves(x)
        delta = delta_y.astype(gate.dtype)
        a, kept = activation.forward((), gate)
        delta_gate = activation.backward((), kept, delta * up)[1]
        delta_up = delta * a
        return (), jnp.concatenate((delta_gate, delta_up), axis=-1).astype(x.dtype)

    return Rule(name, init, forward, backward, array("*batch 2*n"))


def halves(x: Halves) -> tuple[Half, Half]:
    """Return gate and up, in float32 at least."""
    wide, n = x.astype(at_least_float32(x)), x.shape[-1] // 2
    return wide[..., :n], wide[..., n:]


def require_halves(x: Array | jax.ShapeDtypeStruct, where: str) -> None:
    """Raise `UsageError` unless the last axis of x has two halves."""
    require_floating_rows(x, where)
    if x.shape[-1] % 2:
        raise UsageError(
            message(
                must="the last axis must be even: a half of gates, and a half that they multiply",
                found=f"x.shape={x.shape}",
                where=where,
                do="let the layer before have twice as many outputs",
            )
        )


swiglu: Rule = gated(silu, "swiglu")
geglu: Rule = gated(gelu, "geglu")
