"""M1, M8, M11: wrong derivative rules that a function itself carries, and that today's checkers accept."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.selftest.case import Case


def _example(n: int) -> list[np.ndarray]:
    return [np.random.default_rng(n).standard_normal(n).astype(np.float32)]


def _sin_with_tangent(slope: Callable[[Array], Array]) -> Any:
    sine = jax.custom_jvp(jnp.sin)
    sine.defjvp(lambda primals, tangents: (jnp.sin(*primals), slope(*primals) * tangents[0]))
    return sine


def _with_backward(
    of: Callable[[Array], Array],
    backward: Callable[[Array, Array], Array],
    forward: Callable[[Array], Array] | None = None,
) -> Any:
    """Return `of` with `backward(x, ct)`; under differentiation `forward`, if given, takes its place."""
    fn = jax.custom_vjp(of)
    fn.defvjp(lambda x: ((forward or of)(x), x), lambda x, ct: (backward(x, ct),))
    return fn


def _carried(name: str, args: Any, wrong: Any, right: Any) -> Case:
    wrong_side, right_side = ({"fn": fn, "args": args} for fn in (wrong, right))
    return Case(name, name.split()[0], "jax.test_util.check_grads", wrong_side, right_side)


def _sin_backward(x: Array, ct: Array) -> Array:
    return jnp.cos(x) * ct


def _sin_backward_held_constant(x: Array, ct: Array) -> Array:
    return lax.stop_gradient(jnp.cos(x)) * ct


def _leaky(x: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(x > 0, x, x / 8)


def _leaky_backward(x: Array, ct: Array) -> Array:
    return jnp.where(x > 0, ct, ct / 8)


def _leaky_backward_by_a_branch(x: Array, ct: Array) -> Array:
    return ct if x > 0 else ct / 8


def _sin_backward_batched_by(rule: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    backward = custom_vmap(_sin_backward)

    @backward.def_vmap
    def batched(size: int, in_batched: list[bool], x: Array, ct: Array) -> tuple[Array, bool]:
        wide = [
            jnp.broadcast_to(v, (size, *v.shape[had:])) for v, had in zip((x, ct), in_batched, strict=True)
        ]
        return rule(*wide), True

    return backward


CASES = (
    _carried("M1 zero tangent", _example(400), _sin_with_tangent(jnp.zeros_like), _sin_with_tangent(jnp.cos)),
    _carried(
        "M1 forward of another function", _example(600),
        _with_backward(jnp.sin, _sin_backward, forward=lambda x: 1.5 * jnp.sin(x)),
        _with_backward(jnp.sin, _sin_backward),
    ),
    _carried(
        "M8 branch on a value", [array("")],
        _with_backward(_leaky, _leaky_backward_by_a_branch), _with_backward(_leaky, _leaky_backward),
    ),
    _carried(
        "M8 wrong batching rule", [array("n")],
        _with_backward(jnp.sin, _sin_backward_batched_by(lambda x, ct: jnp.cos(x) * ct.mean(0))),
        _with_backward(jnp.sin, _sin_backward_batched_by(_sin_backward)),
    ),
    _carried(
        "M11 stop_gradient in the backward pass", [array("n")],
        _with_backward(jnp.sin, _sin_backward_held_constant), _with_backward(jnp.sin, _sin_backward),
    ),
)  # fmt: skip
