r"""The fixed point y* = f(params, y*, x) of a step f that contracts, and its derivative without the loop.

Forward, y is replaced by f(params, y, x) again and again. Backward, from δy = ∂L/∂y*, by the theorem of the
implicit function, with J = ∂f/∂y at y*:
    λ = δy + Jᵀ λ,   ∂L/∂params = (∂f/∂params)ᵀ λ,   ∂L/∂x = (∂f/∂x)ᵀ λ.
λ is a fixed point itself, which is found by as many iterations. The step is a rule, and each of these
products is its backward pass, written by hand, at y*. y* does not depend on the start, whose gradient is 0.
Kept are the residuals of one step, at y*: memory does not grow with the iterations. Autodiff of the loop
keeps those of every step, and gives the same.
No tolerance is chosen: the iterations are a number. Once y moves no more, further ones change nothing. If
the step shrinks a distance by c, so does each iteration; 53 reach the precision of float64 for c = 1/2.
Source: Christianson 1994, "Reverse accumulation and attractive fixed points", Optimization Methods and
Software 3; Bai, Kolter and Koltun 2019, "Deep equilibrium models", arXiv:1909.01377 (derived in
`docs/catalogue/linear_algebra.py`; the papers were not at hand).
Slips that people make: δy for λ, as if the loop had one step; the residuals of the start for those of y*; the
report names the line.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.errors import UsageError, message
from backproof.rule import PyTree, Rule, parameter_dtype, require_rule, require_whole_number


def fixed_point(step: Rule, iterations: int) -> Rule:
    """Return the rule from x = (start, x of the step) to y* = step(y*, x), where `iterations` steps lead.

    Its parameters are those of the step.

    Args:
        step: a rule from `(y, x)` to a y of the same form, which contracts in y: its slope is below 1.
        iterations: how often the step is applied, and as often its backward pass.

    Raises:
        UsageError: `step` is not a rule, `iterations` not a whole number of at least 1; or (raised by `init`)
            the step changes the form of y.
    """
    require_rule(step, "fixed_point", "step")
    iterations = require_whole_number(iterations, "iterations", "fixed_point")
    name = f"fixed_point({step.name}, {iterations})"

    def init(key: jax.Array, x: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        params, y = step.init(key, x)
        _require_same_form(x[0], y, name)
        return params, y

    def forward(params: PyTree, x: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        start = lax.stop_gradient(x[0])  # y* does not depend on it
        y = _repeated(lambda y: step.forward(params, (y, x[1]))[0], start, iterations)
        return y, step.forward(params, (y, x[1]))[1]

    def backward(params: PyTree, residuals: PyTree, delta_y: PyTree) -> tuple[PyTree, tuple[PyTree, PyTree]]:
        def through_step(delta: PyTree) -> PyTree:
            """Return δy + Jᵀ δ."""
            through = step.backward(params, residuals, delta)[1][0]
            return jax.tree.map(jnp.add, delta_y, through)

        grads, (_, delta_x) = step.backward(params, residuals, _repeated(through_step, delta_y, iterations))
        return grads, (jax.tree.map(jnp.zeros_like, delta_y), delta_x)

    return Rule(name, init, forward, backward, step.domain, step.at_kinks, (step,))


def _repeated(step: Callable[[PyTree], PyTree], start: PyTree, iterations: int) -> PyTree:
    return lax.fori_loop(0, iterations, lambda _, y: step(y), start)


def _require_same_form(start: PyTree, y: PyTree, where: str) -> None:
    """Raise `UsageError` unless the step gives y in the form in which it takes it."""
    forms = [jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", one) for one in (start, y)]
    if forms[0] != forms[1]:
        raise UsageError(
            message(
                must="the step must give y in the form in which it takes it",
                found=f"{forms[0]} to {forms[1]}",
                where=where,
                do="start from an array like the y of the step",
            )
        )


def _kepler_init(key: jax.Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
    return jnp.zeros(x[1].shape[-1], parameter_dtype(x)), x[0]


def _kepler_forward(
    phase: Float[Array, " n"], x: tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    y, x_ = x
    angle = y + jnp.broadcast_to(phase, y.shape)
    return x_ + jnp.sin(angle) / 8, angle


def _kepler_backward(
    phase: Float[Array, " n"], angle: Float[Array, "*batch n"], delta_y: Float[Array, "*batch n"]
) -> tuple[Float[Array, " n"], tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]]:
    by_angle = delta_y * jnp.cos(angle) / 8
    return by_angle.sum(axis=tuple(range(angle.ndim - 1))), (by_angle, delta_y)


# It contracts whatever x and φ are. Other shapes show nothing more.
kepler_step: Rule = Rule(
    "kepler_step", _kepler_init, _kepler_forward, _kepler_backward, (array("2 3"), array("2 3"))
)
# Kepler's equation y = x + e sin(y + φ), of eccentricity e = 1/8, solved for y.
kepler: Rule = fixed_point(kepler_step, 24)
