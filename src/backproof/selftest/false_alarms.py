"""F1–F7: right derivatives that today's checkers call wrong; none of them may be rejected."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jaxtyping import Array, Float, Int

from backproof.arguments import array, integers
from backproof.selftest.case import Args, Case, Cotangents, by_vjp

CHECK_GRADS, TAYLOR = "jax.test_util.check_grads", "Taylor-rate tests"
BY_PROPERTIES = "property tests over check_grads"
LOW_PRECISION = ("bfloat16", "float16")


def _times(slope: Callable[[Array], Array]) -> Callable[..., Cotangents]:
    """Return the pullback of an elementwise function with this slope."""
    return lambda args, ct: (slope(args[0]) * ct,)


def _fine(
    name: str, of: Callable[..., Any], args: Any, right: Any, source: str = CHECK_GRADS, **more: Any
) -> Case:
    return by_vjp(name, name.split()[0], source, of, args, right=right, **more)


def _at(*values: float) -> list[np.ndarray]:
    return [np.array(values, np.float32)]


# F1: a network of ordinary size has a kink within every finite step.


def _network(x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Float[Array, "b k"]:
    return jax.nn.relu(x @ W1.T + b1) @ W2.T + b2


def _network_pullback(args: Args, delta_z2: Array) -> Cotangents:
    x, W1, b1, W2, _ = args
    a1 = jax.nn.relu(x @ W1.T + b1)
    delta_z1 = jnp.where(a1 > 0, delta_z2 @ W2, 0)
    return delta_z1 @ W1, delta_z1.T @ x, delta_z1.sum(0), delta_z2.T @ a1, delta_z2.sum(0)


def _network_arguments() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    x, W1, W2 = (rng.standard_normal(shape) for shape in ((32, 784), (128, 784), (10, 128)))
    values = (x, W1 / 28, np.zeros(128), W2 / 128**0.5, np.zeros(10))
    return [value.astype(np.float32) for value in values]


# F2: any subgradient is right at a kink, and next to the kink the slope is the ordinary one.


def _relu_slope(x: Array) -> Array:
    return jnp.where(x > 0, 1, 0).astype(x.dtype)


def _max_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    tied = x == x.max()
    return (jnp.where(tied, ct, 0) / tied.sum(),)


def _sort_pullback(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    return (jnp.zeros_like(x).at[jnp.argsort(x)].set(ct),)


def _clip_to_one(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.clip(x, -1, 1)


def _pool_pairs(x: Float[Array, " 2*n"]) -> Float[Array, " n"]:
    return x.reshape(-1, 2).max(1)


def _pool_pairs_pullback(args: Args, ct: Array) -> Cotangents:
    """Give each pair's cotangent to its first largest entry."""
    pairs = args[0].reshape(-1, 2)
    first = pairs[:, 0] >= pairs[:, 1]
    return (jnp.stack([jnp.where(first, ct, 0), jnp.where(first, 0, ct)], axis=1).ravel(),)


# F4: a large value drowns a finite difference, not a derivative.


def _raised_sin(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.sin(x) + 100


def _sum_of_sin(x: Float[Array, " n"]) -> Float[Array, ""]:
    return jnp.sin(x).sum()


def _tanh_slope(x: Array) -> Array:
    return 1 - jnp.tanh(x) ** 2


def _sigmoid_slope(x: Array) -> Array:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


SMOOTH: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sin": (jnp.sin, jnp.cos),
    "tanh": (jnp.tanh, _tanh_slope),
    "sigmoid": (jax.nn.sigmoid, _sigmoid_slope),
}


# F5: arguments that have no cotangent.


def _rows(table: Float[Array, "v h"], ids: Int[Array, " m"]) -> Float[Array, "m h"]:
    return table[ids]


def _rows_pullback(args: Args, ct: Array) -> Cotangents:
    table, ids = args
    return jnp.zeros_like(table).at[ids].add(ct), None


def _masked_sin(x: Float[Array, " n"], keep: Array) -> Float[Array, " n"]:
    return jnp.where(keep, jnp.sin(x), 0)


def _dropout(x: Float[Array, " n"], key: Array) -> Float[Array, " n"]:
    return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0)


def _vector_and_key(n: int, seed: int) -> Args:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32), jax.random.key(seed)


def _cube_with_rule() -> Any:
    cube = jax.custom_vjp(lambda x: x**3)
    cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x**2 * ct,))
    return cube


# F7: a remainder that is zero has no rate.


def _matvec(A: Float[Array, "m n"], x: Float[Array, " n"]) -> Float[Array, " m"]:
    return A @ x


def _matvec_pullback(args: Args, ct: Array) -> Cotangents:
    A, x = args
    return ct[:, None] * x[None, :], A.T @ ct


CASES = (
    _fine("F1 relu network 784-128-10", _network, _network_arguments(), _network_pullback),
    _fine("F2 relu at and next to 0", jax.nn.relu, _at(0, 5e-5, -5e-5), _times(_relu_slope)),
    _fine("F2 abs at and next to 0", jnp.abs, _at(0, 5e-5, -5e-5), _times(jnp.sign)),
    _fine("F2 max of a tie of three", jnp.max, _at(2, 1, 2, 2), _max_pullback),
    _fine("F2 sort across a gap of 10⁻⁵", jnp.sort, _at(1.00001, 1, 3), _sort_pullback),
    _fine(
        "F2 clip at its bounds", _clip_to_one, _at(-1, 0.5, 1),
        lambda args, ct: (jnp.where(jnp.abs(args[0]) <= 1, ct, 0),),
    ),
    _fine("F2 max pooling of ties", _pool_pairs, _at(2, 2, 1, 3, -1, -1), _pool_pairs_pullback),
    _fine("F3 sqrt near 0", jnp.sqrt, [array("n", low=1e-6, high=1e-3)], _times(lambda x: 0.5 / jnp.sqrt(x))),
    _fine("F3 log near 0", jnp.log, [array("n", low=1e-6, high=1e-3)], _times(lambda x: 1 / x)),
    _fine(
        "F3 reciprocal near 0", jnp.reciprocal, [array("n", low=1e-6, high=1e-3)],
        _times(lambda x: -1 / x**2),
    ),
    _fine(
        "F3 arcsin near 1", jnp.arcsin, [array("n", low=0.999, high=0.999999)],
        _times(lambda x: 1 / jnp.sqrt((1 - x) * (1 + x))),
    ),
    _fine("F4 identity of large numbers", lambda x: x, [array("n", low=100, high=1e6)], lambda _, ct: (ct,)),
    _fine("F4 sin(x) + 100", _raised_sin, [array("n")], _times(jnp.cos)),
    _fine("F4 sum of 2,000 sines", _sum_of_sin, [np.linspace(-3, 3, 2000, dtype="f4")], _times(jnp.cos)),
    *(
        _fine(f"F4 {name} in {dtype}", of, [array("n", dtype)], _times(slope))
        for name, (of, slope) in SMOOTH.items()
        for dtype in LOW_PRECISION
    ),
    # the pullback sums in the dtype of the table, as autodiff does; in bfloat16 that is reported as a bug
    _fine(
        "F5 integer argument", _rows, [array("v h"), integers("m", 0, "v-1")], _rows_pullback,
        dtypes=("float32",),
    ),
    _fine(
        "F5 boolean argument", _masked_sin, [array("n"), array("n", "bool")],
        lambda args, ct: (jnp.where(args[1], jnp.cos(args[0]) * ct, 0), None),
    ),
    _fine(
        "F5 key argument", _dropout,
        st.builds(_vector_and_key, st.sampled_from((1, 3, 5)), st.integers(0, 2**31)),
        lambda args, ct: (_dropout(ct, args[1]), None),
    ),
    Case(
        "F5 custom_vjp", "F5", CHECK_GRADS,
        wrong=None, right={"fn": _cube_with_rule(), "args": [array("n")]},
    ),
    _fine("F6 relu at 0", jax.nn.relu, _at(0), _times(_relu_slope), BY_PROPERTIES),
    _fine("F6 tanh where it is flat", jnp.tanh, _at(6.656, 2.738), _times(_tanh_slope), BY_PROPERTIES),
    _fine("F6 identity at 17", lambda x: x, _at(17), lambda _, ct: (ct,), BY_PROPERTIES),
    _fine("F7 a linear function", _matvec, [array("m n"), array("n")], _matvec_pullback, TAYLOR),
    _fine("F7 relu at 0.005", jax.nn.relu, _at(0.005), _times(_relu_slope), TAYLOR),
)  # fmt: skip
