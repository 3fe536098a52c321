"""The chain of levels, and the order of its factors."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import INPUT, LEVELS, TARGET, L_of, f, f_top, half_squared_error, level, network
from .s1_one_level import both_derivatives


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^n}",
    items=("S4.2",),
    uses=(both_derivatives,),
    args=[LEVELS, INPUT, TARGET],
    ships=lambda levels, x_1, t: bp.value_and_grad(network(levels), half_squared_error)(levels, x_1, t)[1][0][
        "W"
    ],
)
def chain(levels, x_1, t):
    """The document's chain, with three levels above ω^1: n = 1, n + 3 = 4 = N + 1.

    A product of Jacobians may be bracketed anywhere. From the left, each factor meets a row, ∂L/∂x, and no
    product of two matrices is ever formed: a vjp at each level.
    """
    one, two, three = levels
    x_2 = level(f)(one, x_1)
    x_3 = level(f)(two, x_2)
    x_4 = level(f_top)(three, x_3)
    dx_4 = x_4 - t  # ∂L/∂x^4
    J_4 = jax.jacobian(lambda x: level(f_top)(three, x))(x_3)  # ∂x^4/∂x^3
    J_3 = jax.jacobian(lambda x: level(f)(two, x))(x_2)  # ∂x^3/∂x^2
    J_2 = jax.jacobian(lambda omega: level(f)({"W": omega, "b": one["b"]}, x_1))(one["W"])  # ∂x^2/∂ω^1
    yield line(
        r"\frac{\partial L}{\partial \omega^1}",
        jax.grad(lambda omega: L_of(({"W": omega, "b": one["b"]}, two, three), x_1, t))(one["W"]),
        "definition",
    )
    yield line(
        r"\frac{\partial L}{\partial x^2} \frac{\partial x^2}{\partial \omega^1}",
        jnp.einsum("i,ijk->jk", jax.grad(lambda x: L_of((two, three), x, t))(x_2), J_2),
        "chain rule at x^2",
    )
    yield line(
        r"\left(\frac{\partial L}{\partial x^3} \frac{\partial x^3}{\partial x^2}\right)"
        r" \frac{\partial x^2}{\partial \omega^1}",
        jnp.einsum("i,ijk->jk", jax.grad(lambda x: L_of((three,), x, t))(x_3) @ J_3, J_2),
        "chain rule at x^3",
    )
    yield line(
        r"\left(\left(\frac{\partial L}{\partial x^4} \frac{\partial x^4}{\partial x^3}\right)"
        r" \frac{\partial x^3}{\partial x^2}\right) \frac{\partial x^2}{\partial \omega^1}",
        jnp.einsum("i,ijk->jk", ((dx_4 @ J_4) @ J_3), J_2),
        "chain rule at x^4; bracketed from the loss: rows times matrices",
    )
    yield line(
        r"\frac{\partial L}{\partial x^4} \left(\left(\frac{\partial x^4}{\partial x^3}"
        r" \frac{\partial x^3}{\partial x^2}\right) \frac{\partial x^2}{\partial \omega^1}\right)",
        jnp.einsum("i,ijk->jk", dx_4, jnp.einsum("ab,bjk->ajk", J_4 @ J_3, J_2)),
        "bracketed from the other end: the same number, by products of matrices",
    )
    pull_4 = jax.vjp(lambda x: level(f_top)(three, x), x_3)[1]
    pull_3 = jax.vjp(lambda x: level(f)(two, x), x_2)[1]
    pull_2 = jax.vjp(lambda omega: level(f)({"W": omega, "b": one["b"]}, x_1), one["W"])[1]
    yield line(
        r"\mathrm{vjp}_{\omega^1}(\mathrm{vjp}_{x^2}(\mathrm{vjp}_{x^3}(\partial L/\partial x^4)))",
        pull_2(pull_3(pull_4(dx_4)[0])[0])[0],
        "each row times a Jacobian, without the Jacobian",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial x^n}",
    items=("E4", "S4.1"),
    args=[bp.array("4 3"), bp.array("4"), bp.array("3"), bp.array("4")],
    uses=(both_derivatives,),
    refutes=bp.Refutes(
        line=2,
        erratum="E4(e)",
        cause="contract-raises",
        because="∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n in this order wants a row on the left. Gradients are kept as"
        " columns, like the x they belong to, and then the product is (∂x^{n+1}/∂x^n)ᵀ ∂L/∂x^{n+1}. As"
        " printed it holds for numbers, and for rows.",
    ),
)
def a_column_on_the_left(omega, b, x, dx_above):
    """∂L/∂x^{n+1} · ∂x^{n+1}/∂x^n, with ∂L/∂x^{n+1} a column, n_{n+1} × 1, as x^{n+1} is."""
    jacobian = jax.jacobian(lambda x: f(omega @ x + b))(x)
    yield line(
        r"\frac{\partial L}{\partial x^n}",
        jax.vjp(lambda x: f(omega @ x + b), x)[1](dx_above)[0][:, None],
        "definition, as a column",
    )
    yield line(
        r"\left(\frac{\partial x^{n+1}}{\partial x^n}\right)^{\top} \frac{\partial L}{\partial x^{n+1}}",
        jacobian.T @ dx_above[:, None],
        "for columns",
    )
    yield line(
        r"\frac{\partial L}{\partial x^{n+1}} \cdot \frac{\partial x^{n+1}}{\partial x^n}",
        dx_above[:, None] @ jacobian,
        "as printed",
    )
