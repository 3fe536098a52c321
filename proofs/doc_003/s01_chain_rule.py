"""The chain rule, on simple functions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import one_if


@bp.derivation(r"\frac{\partial (x + y)}{\partial (x, y)}", items=("S3.1",))
def a_sum(x: Float[Array, ""], y: Float[Array, ""]):
    """A sum hands what comes from above to both of its terms."""
    yield line(r"\nabla (x + y)", jnp.stack(jax.grad(lambda x, y: x + y, (0, 1))(x, y)), "definition")
    yield line(r"(1, 1)", jnp.array([1.0, 1.0]), "each term moves the sum one for one")
    ones = {"W": jnp.ones((1, 2)), "b": jnp.zeros(1)}
    yield line(
        r"\texttt{backproof}",
        bp.rules.affine(1).backward(ones, jnp.stack([x, y]), jnp.ones(1))[1],
        "an affine map with weights 1, 1",
    )


@bp.derivation(r"\frac{\partial\, x y}{\partial (x, y)}", items=("S3.1",))
def a_product(x: Float[Array, ""], y: Float[Array, ""]):
    """A product hands to each factor the other one."""
    yield line(r"\nabla (x y)", jnp.stack(jax.grad(lambda x, y: x * y, (0, 1))(x, y)), "definition")
    yield line(r"(y, x)", jnp.stack([y, x]), "the product is linear in each factor")
    weight = {"W": x[None, None], "b": jnp.zeros(1)}
    _, of_y = bp.rules.affine(1).backward(weight, y[None], jnp.ones(1))
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.affine(1).backward(weight, y[None], jnp.ones(1))[0]["W"][0, 0], of_y[0]]),
        "an affine map with the weight x and the input y",
    )


@bp.derivation(r"\frac{\partial \max(x, y)}{\partial (x, y)}", items=("S3.1",))
def a_maximum(x: Float[Array, ""], y: Float[Array, ""]):
    """A maximum hands everything to the larger one."""
    yield bp.assume(x != y, r"x \neq y")
    yield line(r"\nabla \max(x, y)", jnp.stack(jax.grad(jnp.maximum, (0, 1))(x, y)), "definition")
    yield line(
        r"(1(x \ge y),\; 1(y \ge x))",
        jnp.stack([one_if(x >= y), one_if(y >= x)]),
        "max is x on one side and y on the other",
    )
    _, kept = bp.rules.relu.forward((), x[None] - y[None])
    yield line(
        r"\texttt{backproof}",
        jnp.array([0.0, 1.0])
        + jnp.array([1.0, -1.0]) * bp.rules.relu.backward((), kept, jnp.ones(1))[1].squeeze(),
        "max(x, y) = y + relu(x − y)",
    )


@bp.derivation(r"\nabla \max \text{ at } x = y", items=("S3.1",))
def a_tie(x: Float[Array, ""]):
    """At a tie the two indicators are both 1, and no subgradient is (1, 1)."""
    yield line(r"\nabla \max(x, x)", jnp.stack(jax.grad(jnp.maximum, (0, 1))(x, x)), "autodiff's choice")
    yield line(r"(\tfrac12, \tfrac12)", jnp.array([0.5, 0.5]), "shared")
    _, kept = bp.rules.relu_with(0.5).forward((), x[None] - x[None])
    slope = bp.rules.relu_with(0.5).backward((), kept, jnp.ones(1))[1][0]
    raised = jax.jvp(lambda s: jnp.maximum(x + s, x + s), (jnp.zeros(()),), (jnp.ones(()),))[1]
    yield line(
        r"\frac{d}{ds} \max(x + s, x + s) = 1",
        bp.equal(raised, 1.0),
        "raise both and the maximum rises as much",
    )
    yield line(
        r"1(x \ge x) + 1(x \ge x) = 2 \neq 1",
        bp.differ(one_if(x >= x) + one_if(x >= x), raised),
        "the indicators of the course would have it rise twice as much",
    )
    yield line(
        r"\texttt{backproof}",
        jnp.stack([bp.rules.relu_with(0.5).backward((), kept, jnp.ones(1))[1][0], 1 - slope]),
        "max(x, y) = y + relu(x − y), with slope ½ at 0",
    )


@bp.derivation(r"\nabla (x + y) z", items=("S3.1",), uses=(a_sum, a_product))
def a_composition(x: Float[Array, ""], y: Float[Array, ""], z: Float[Array, ""]):
    """The function f = (x + y) z, cut into q = x + y and f = q z."""
    yield line(
        r"\nabla f", jnp.stack(jax.grad(lambda x, y, z: (x + y) * z, (0, 1, 2))(x, y, z)), "definition"
    )
    of_q, of_z = jax.grad(lambda q, z: q * z, (0, 1))(x + y, z)
    of_x, of_y = jax.grad(lambda x, y: x + y, (0, 1))(x, y)
    yield line(
        r"\left(\frac{\partial f}{\partial q} \frac{\partial q}{\partial x},\;"
        r" \frac{\partial f}{\partial q} \frac{\partial q}{\partial y},\; \frac{\partial f}{\partial"
        r" z}\right)",
        jnp.stack([of_q * of_x, of_q * of_y, of_z]),
        "chain rule at q",
    )
    yield line(r"(z, z, x + y)", jnp.stack([z * 1.0, z * 1.0, x + y]), "a product, and a sum below it")
