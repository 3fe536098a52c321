"""One batch: the sweep over the levels, with the update inside."""

import jax
import jax.numpy as jnp

import backproof as bp
from backproof import line

from . import INPUT, LEVELS, RATE, TARGET, L_of, f, f_top, level, network, output
from .s1_one_level import both_derivatives


@bp.derivation(
    r"\omega^n - \eta \frac{\partial L}{\partial \omega^n}, b^n - \eta \frac{\partial L}{\partial b^n}",
    items=("S4.1", "S4.3"),
    uses=(both_derivatives,),
    args=[LEVELS, INPUT, TARGET, RATE],
)
def sweep(levels, x_1, t, eta):
    """From the top down: both derivatives of a level, and then its update.

    The update may stand inside the sweep because derivative 2 has been taken before it: the level below
    hears of ω^n only through ∂L/∂x^n, and that was formed with the old ω^n. So the sweep equals the step
    that takes all derivatives first and updates afterwards.
    """
    one, two, three = levels
    x_2 = level(f)(one, x_1)
    x_3 = level(f)(two, x_2)

    def moved(layer, gradient):
        return {leaf: layer[leaf] - eta * gradient[leaf] for leaf in ("W", "b")}

    yield line(
        r"\left(\omega^n - \eta \frac{\partial L}{\partial \omega^n},\;"
        r" b^n - \eta \frac{\partial L}{\partial b^n}\right)_{n = 1 \ldots N}",
        jax.tree.map(lambda p, dp: p - eta * dp, levels, jax.grad(L_of)(levels, x_1, t)),
        "definition: all derivatives, and then all updates",
    )
    dx_4 = output(levels, x_1) - t
    d_three, dx_3 = jax.vjp(level(f_top), three, x_3)[1](dx_4)
    new_three = moved(three, d_three)
    d_two, dx_2 = jax.vjp(level(f), two, x_2)[1](dx_3)
    new_two = moved(two, d_two)
    d_one, _ = jax.vjp(level(f), one, x_1)[1](dx_2)
    yield line(
        r"\frac{\partial L}{\partial \omega^n},\; \frac{\partial L}{\partial x^n},\;"
        r" \omega^n \leftarrow \omega^n - \eta \frac{\partial L}{\partial \omega^n}"
        r" \quad \text{for } n = N \ldots 1",
        (moved(one, d_one), new_two, new_three),
        "the document's loop, in the order in which it lists the steps",
    )
    yield line(
        r"\omega^n - \eta \frac{\partial L}{\partial b^n} (x^n)^{\top},\;"
        r" b^n - \eta \frac{\partial L}{\partial b^n}",
        tuple(
            moved(layer, {"W": d_layer["b"][:, None] @ x[None, :], "b": d_layer["b"]})
            for layer, d_layer, x in ((one, d_one, x_1), (two, d_two, x_2), (three, d_three, x_3))
        ),
        "a level's two gradients share one factor",
    )
    _, kept = network(levels).forward(levels, x_1)
    yield line(
        r"\texttt{backproof}",
        bp.descend(network(levels), levels, kept, dx_4, lambda p, dp: p - eta * dp)[0],
        "what this library runs: each level updated in the sweep",
    )


@bp.derivation(r"\frac{\partial L}{\partial x^1}", items=("S4.1",), args=[LEVELS, INPUT, TARGET])
def nobody_needs_the_last_one(levels, x_1, t):
    """The loop ends with ∂L/∂x^1, which no level below uses: it is the derivative by the input."""
    yield line(r"\frac{\partial L}{\partial x^1}", jax.grad(L_of, argnums=1)(levels, x_1, t), "definition")
    x_2 = level(f)(levels[0], x_1)
    dx_2 = jax.grad(lambda x: L_of(levels[1:], x, t))(x_2)
    yield line(
        r"(\omega^1)^{\top} \left(\frac{\partial L}{\partial x^2} \odot f'(z^1)\right)",
        levels[0]["W"].T @ (dx_2 * (1 - x_2**2)),
        "derivative 2 of level 1, with tanh′ = 1 − tanh²",
    )
    x_4, kept = network(levels).forward(levels, x_1)
    yield line(
        r"\texttt{backproof}",
        network(levels).backward(levels, kept, x_4 - t)[1],
        "returned beside the gradients",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial \omega^1}",
    items=("S4.3",),
    uses=(sweep,),
    args=[bp.array("", low=1, high=1), bp.array("", low=0.25, high=1)],
)
def smallest_network_updated_first(one, eta):
    """ω^1 = ω^2 = x = 1, t = 0, no f, no b: the smallest network in which the order of the steps shows.

    ∂L/∂ω^1 is 1. With ω^2 updated before its second use it would be 1 − η: ½ at η = ½, and 0 at η = 1.
    """
    omega_1, omega_2, x, dx_3 = one, one, one, one * one * one  # ∂L/∂x^3 = x^3 − t = 1
    d_omega_2 = dx_3 * (omega_1 * x)
    yield line(
        r"\frac{\partial}{\partial \omega^1} \tfrac12 (\omega^2 \omega^1 x)^2",
        jax.grad(lambda omega_1: (omega_2 * omega_1 * x) ** 2 / 2)(omega_1),
        "definition",
    )
    yield line(
        r"\frac{\partial L}{\partial x^3} \omega^2 x",
        dx_3 * omega_2 * x,
        "both derivatives of level 2, then its update",
    )
    layer = {"W": one[None, None], "b": jnp.zeros(1)}
    _, kept = bp.mlp((1, 1, 1), bp.rules.identity).forward((layer, layer), jnp.ones(1))
    new, _ = bp.descend(
        bp.mlp((1, 1, 1), bp.rules.identity), (layer, layer), kept, dx_3[None], lambda p, dp: p - eta * dp
    )
    yield line(
        r"\texttt{backproof}",
        (omega_1 - new[0]["W"][0, 0]) / eta,
        "read off the step that this library takes",
    )
    yield line(
        r"\frac{\partial L}{\partial x^3} \left(\omega^2 - \eta \frac{\partial L}{\partial \omega^2}\right) x"
        r" = 1 - \eta",
        bp.equal(dx_3 * (omega_2 - eta * d_omega_2) * x, 1 - eta),
        "W already updated: derivative 2 of level 2 is taken with the new ω^2",
    )
    yield line(
        r"1 - \eta \neq 1",
        bp.differ(dx_3 * (omega_2 - eta * d_omega_2) * x, dx_3 * omega_2 * x),
        "so the order matters, for every η",
    )


@bp.derivation(
    r"\frac{\partial L}{\partial x^n}",
    items=("E4", "S4.3"),
    uses=(both_derivatives, smallest_network_updated_first),
    args=[bp.array("m n"), bp.array("m"), bp.array("n"), bp.array("m"), bp.array("", low=0.1, high=1)],
    refutes=bp.Refutes(
        line=2,
        erratum="E4(f)",
        cause="surplus",
        because="'Used at once for the update of this level' invites updating ω^n before derivative 2 is"
        " taken. Then W is already updated: ∂L/∂x^n is formed with the new ω^n, and every level below"
        " descends along something else. With ω^1 = ω^2 = x = 1, t = 0, η = ½ the derivative 1 becomes ½."
        " Take both derivatives first.",
    ),
)
def updated_before_its_second_use(omega, b, x, dx_above, eta):
    """The update moved between derivative 1 and derivative 2."""
    yield line(
        r"\frac{\partial L}{\partial x^n}",
        jax.vjp(lambda x: f(omega @ x + b), x)[1](dx_above)[0],
        "definition",
    )
    dz = dx_above * (1 - f(omega @ x + b) ** 2)
    yield line(
        r"(\omega^n)^{\top} \left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z^n)\right)",
        omega.T @ dz,
        "derivative 2, with ω^n as it was going forward",
    )
    yield line(
        r"\left(\omega^n - \eta \frac{\partial L}{\partial \omega^n}\right)^{\top}"
        r" \left(\frac{\partial L}{\partial x^{n+1}} \odot f'(z^n)\right)",
        (omega - eta * jnp.outer(dz, x)).T @ dz,
        "W already updated",
    )
