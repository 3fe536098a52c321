"""The derivative of the derivative: does a hand-written gradient differentiate to the right Hessian?

A residual wrapped in `stop_gradient`, or saved where autodiff cannot see it, leaves the gradient right
and every second derivative wrong. One probe shows it: the tangent of the hand-written result along a
random direction, against that of autodiff.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backproof.verification.claim import Claim, pullback
from backproof.verification.oracles import Point


def second_order(claim: Claim) -> Claim:
    """Return the claim that the hand-written result has the pullback of the gradient."""

    def pulled_back(derivative: Any) -> Any:
        def second(args: tuple[Any, ...], directions: Any) -> Any:
            held, weights = directions
            return pullback(lambda *values: derivative(values, held))(args, weights)

        return second

    return claim._replace(hand=pulled_back(claim.hand), truth=pulled_back(claim.truth), forward=True)


def probe(claim: Claim, point: Point, seed: int) -> Point:
    """Return `point` with random weights for the entries of its result beside its direction."""
    rng = np.random.default_rng([seed, 3])
    like = jax.eval_shape(claim.truth, *point)
    weights = jax.tree.map(lambda leaf: _drawn(rng, leaf), like)
    return Point(point.args, (point.direction, weights))


def _drawn(rng: np.random.Generator, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    values = rng.standard_normal(leaf.shape)
    is_complex = jnp.issubdtype(leaf.dtype, jnp.complexfloating)
    return values + 1j * rng.standard_normal(leaf.shape) if is_complex else values
