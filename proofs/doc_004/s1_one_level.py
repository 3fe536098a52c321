"""One level: its two derivatives, and the bias that the document forgets."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import f


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^n}, \frac{\partial L}{\partial b^n}, \frac{\partial L}{\partial x^n}",
    items=("S4.1", "S4.4"),
)
def both_derivatives(
    omega: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], dx_above: Float[Array, " m"]
):
    """Both derivatives of a level come from its own forward map x^{n+1} = f(ω^n x^n + b^n).

    `dx_above` is ∂L/∂x^{n+1}, for any loss. The document writes f(w^n x^n) and uses ∂L/∂b^n without deriving
    it; b^n belongs inside f, and its derivative is the middle one here.
    """
    z = omega @ x + b
    df = jax.vmap(jax.grad(f))(z)
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial x^{n+1}}{\partial (\omega^n, b^n, x^n)}",
        jax.vjp(lambda omega, b, x: f(omega @ x + b), omega, b, x)[1](dx_above),
        "definition: chain rule at x^{n+1}",
    )
    yield line(
        r"\sum_i \frac{\partial L}{\partial x^{n+1}_i} \frac{\partial x^{n+1}_i}{\partial \omega^n_{jk}},\;"
        r" \sum_i \frac{\partial L}{\partial x^{n+1}_i} \frac{\partial x^{n+1}_i}{\partial b^n_j},\;"
        r" \sum_i \frac{\partial L}{\partial x^{n+1}_i} \frac{\partial x^{n+1}_i}{\partial x^n_k}",
        (
            jnp.einsum("i,ijk->jk", dx_above, jax.jacobian(lambda omega: f(omega @ x + b))(omega)),
            dx_above @ jax.jacobian(lambda b: f(omega @ x + b))(b),
            dx_above @ jax.jacobian(lambda x: f(omega @ x + b))(x),
        ),
        "∂L/∂x^{n+1} as a row, times each Jacobian",
    )
    yield line(
        r"\sum_i \frac{\partial L}{\partial x^{n+1}_i} f'(z_i)"
        r" \left(\delta_{ij} x^n_k,\; \delta_{ij},\; \omega^n_{ik}\right)",
        (
            jnp.einsum("i,i,ij,k->jk", dx_above, df, jnp.eye(b.size), x),
            jnp.einsum("i,i,ij->j", dx_above, df, jnp.eye(b.size)),
            jnp.einsum("i,i,ik->k", dx_above, df, omega),
        ),
        "f acts on each component of z = ω x + b",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z)\right) (x^n)^{\top},\;"
        r" \frac{\partial L}{\partial x^{n+1}} \odot f'(z),\;"
        r" (\omega^n)^{\top} \left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z)\right)",
        ((dx_above * df)[:, None] @ x[None, :], dx_above * df, omega.T @ (dx_above * df)),
        "δ_ij leaves i = j; the third sum runs over the rows of ω",
    )
    layer = {"W": omega, "b": b}
    _, kept = bp.mlp((x.size, b.size), bp.rules.tanh, bp.rules.tanh).forward((layer,), x)
    grads, dx = bp.layer_step(layer, kept[0], dx_above)
    yield line(
        r"\texttt{backproof}",
        (bp.layer_step(layer, kept[0], dx_above)[0]["W"], grads["b"], dx),
        "one step of this library: it has no other input",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial b^n}",
    items=("E4", "S4.1"),
    uses=(both_derivatives,),
    refutes=bp.Refutes(
        line=2,
        erratum="E4(c)",
        cause="missing",
        because="∂L/∂b^n is used in the update and derived nowhere. Read with the document's own forward"
        " map, f(w^n x^n), it is 0 and no bias would ever move. With b^n inside f it is ∂L/∂x^{n+1} ⊙"
        " f′(z^n): the factor that ∂L/∂ω^n has anyway.",
    ),
)
def derivative_of_the_bias(
    omega: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], dx_above: Float[Array, " m"]
):
    """∂L/∂b^n, from a forward map that has a b and from the one that the document prints."""
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial f(\omega^n x^n + b^n)}{\partial b^n}",
        jax.vjp(lambda b: f(omega @ x + b), b)[1](dx_above)[0],
        "definition",
    )
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \odot f'(z^n)",
        dx_above * (1 - f(omega @ x + b) ** 2),
        "with tanh′ = 1 − tanh²",
    )
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial f(w^n x^n)}{\partial b^n}",
        jax.vjp(lambda _: f(omega @ x), b)[1](dx_above)[0],
        "with x^{n+1} = f(w^n x^n), as printed",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^n}",
    items=("E4", "S4.4"),
    uses=(both_derivatives,),
    refutes=bp.Refutes(
        line=2,
        erratum="E4(d)",
        cause="wrong-value",
        because="L = f(w^n x^n) leaves out b^n and all levels above n. Without b^n the slope f′ is taken at"
        " another z, and every derivative changes wherever b ≠ 0. What is meant is x^{n+1} = f(ω^n x^n +"
        " b^n), with L further up.",
    ),
)
def forward_map_without_the_bias(
    omega: Float[Array, "m n"], b: Float[Array, " m"], x: Float[Array, " n"], dx_above: Float[Array, " m"]
):
    """The forward map as the document's note prints it."""
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \frac{\partial f(\omega^n x^n + b^n)}{\partial \omega^n}",
        jax.vjp(lambda omega: f(omega @ x + b), omega)[1](dx_above)[0],
        "definition",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^{n+1}} \odot f'(\omega^n x^n + b^n)\right) (x^n)^{\top}",
        jnp.outer(dx_above * (1 - f(omega @ x + b) ** 2), x),
        "with tanh′ = 1 − tanh²",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^{n+1}} \odot f'(w^n x^n)\right) (x^n)^{\top}",
        jnp.outer(dx_above * (1 - f(omega @ x) ** 2), x),
        "with f(w^n x^n), as printed",
    )
