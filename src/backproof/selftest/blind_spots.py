"""M1–M17: wrong derivatives that today's checkers accept, each with its right counterpart."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from backproof.arguments import array
from backproof.selftest import blind_spots_carried
from backproof.selftest.case import IMPRECISE, WRONG, Args, Case, Cotangents, by_vjp

CHECK_GRADS, GRADCHECK = "jax.test_util.check_grads", "torch.autograd.gradcheck"


def _example(n: int) -> list[np.ndarray]:
    return [np.random.default_rng(n).standard_normal(n).astype(np.float32)]


def _sin_pullback(args: Args, ct: Array) -> Cotangents:
    return (jnp.cos(args[0]) * ct,)


def _zero(args: Args, ct: Array) -> Cotangents:
    return (jnp.zeros_like(args[0]),)


def _of_sin(
    name: str, source: str, wrong: Callable[..., Cotangents], args: Any, expect: frozenset[str] = WRONG
) -> Case:
    """Return the case of a wrong pullback of sin and the right one."""
    return by_vjp(
        name, name.split()[0], source, jnp.sin, args, wrong=wrong, right=_sin_pullback, expect=expect
    )


# M2: one leaf dwarfs the other.


def _steep_and_flat(p: dict[str, Array]) -> Float[Array, ""]:
    return 1e4 * jnp.sin(p["steep"]).sum() + jnp.sin(p["flat"]).sum()


def _steep_and_flat_times(sign: int) -> Callable[..., Cotangents]:
    def pullback(args: Args, ct: Array) -> Cotangents:
        (p,) = args
        return ({"steep": 1e4 * jnp.cos(p["steep"]) * ct, "flat": sign * jnp.cos(p["flat"]) * ct},)

    return pullback


# M6: a mean divided by the size of the wrong axis.


def _column_means(x: Float[Array, "b n"]) -> Float[Array, " n"]:
    return x.mean(0)


def _mean_over(axis: int | None) -> Callable[..., Cotangents]:
    def pullback(args: Args, ct: Array) -> Cotangents:
        (x,) = args
        return (jnp.broadcast_to(ct, x.shape) / (1 if axis is None else x.shape[axis]),)

    return pullback


# M7: errors that ordinary points do not show.


def _softplus_overflowing(args: Args, ct: Array) -> Cotangents:
    e = jnp.exp(args[0])
    return (ct * e / (1 + e),)


def _max_to_every_tie(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    return (jnp.where(x == x.max(), ct, 0),)


def _max_shared(args: Args, ct: Array) -> Cotangents:
    (x,) = args
    tied = x == x.max()
    return (jnp.where(tied, ct, 0) / tied.sum(),)


# M12: each row of the true gradient sums to zero, so a sum with weights 1 shows nothing.


def _layernorm(x: Float[Array, "b n"]) -> Float[Array, "b n"]:
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5)


def _layernorm_times(factor: int) -> Callable[..., Cotangents]:
    def pullback(args: Args, ct: Array) -> Cotangents:
        (x,) = args
        a = _layernorm(x)
        scale = 1 / jnp.sqrt(jnp.square(x - x.mean(-1, keepdims=True)).mean(-1, keepdims=True) + 1e-5)
        mean = ct.mean(-1, keepdims=True)
        return (factor * scale * (ct - mean - a * (a * ct).mean(-1, keepdims=True)),)

    return pullback


def _softmax_times(factor: int) -> Callable[..., Cotangents]:
    def pullback(args: Args, ct: Array) -> Cotangents:
        p = jax.nn.softmax(args[0])
        return (factor * p * (ct - (p * ct).sum(-1, keepdims=True)),)

    return pullback


# M13: functions of the cotangent that may equal it if all its entries have one sign and size.

NOT_LINEAR: dict[str, Callable[[Array], Array]] = {
    "square": lambda g: g**2,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "clamp": lambda g: jnp.clip(g, -1, 1),
    "relu": lambda g: jnp.maximum(g, 0),
    "times its sum": lambda g: g * g.sum(),
    "normalised": lambda g: g / jnp.maximum(jnp.sqrt(jnp.square(g).sum()), 1e-12),
}


def _with_cotangent(change: Callable[[Array], Array]) -> Callable[..., Cotangents]:
    return lambda args, ct: (jnp.cos(args[0]) * change(ct),)


# M15, M16


def _tiny_sum(x: Float[Array, " n"]) -> Float[Array, ""]:
    return (1e-5 * jnp.sin(x)).sum()


def _weights(q: Float[Array, "n d"], k: Float[Array, "m d"]) -> Float[Array, "n m"]:
    return jax.nn.softmax(q @ k.T / q.shape[1] ** 0.5)


def _attention(q: Float[Array, "n d"], k: Float[Array, "m d"], v: Float[Array, "m e"]) -> Float[Array, "n e"]:
    return _weights(q, k) @ v


def _attention_pullback(args: Args, ct: Array) -> Cotangents:
    q, k, v = args
    p = _weights(q, k)
    delta_p = ct @ v.T
    delta_s = p * (delta_p - (p * delta_p).sum(-1, keepdims=True)) / q.shape[1] ** 0.5
    return delta_s @ k, delta_s.T @ q, p.T @ ct


def _attention_without_last_key(args: Args, ct: Array) -> Cotangents:
    delta_q, delta_k, delta_v = _attention_pullback(args, ct)
    return delta_q, delta_k.at[-1:].set(0), delta_v


def _sin_with_entry_times(factor: float, at: int) -> Callable[..., Cotangents]:
    return lambda args, ct: ((jnp.cos(args[0]) * ct).at[at].multiply(factor),)


CASES = (
    *blind_spots_carried.CASES,
    by_vjp(
        "M2 sign of the flat leaf", "M2", CHECK_GRADS, _steep_and_flat,
        [{"steep": np.array([0.3, -1.2], np.float32), "flat": np.array([0.7, 0.1, 2.0], np.float32)}],
        wrong=_steep_and_flat_times(-1), right=_steep_and_flat_times(1),
    ),
    _of_sin(
        "M3 one entry in 10⁴ is 0.1 % off", CHECK_GRADS,
        _sin_with_entry_times(1.001, 3210), _example(10_000),
    ),
    *(
        _of_sin(f"M4 {how} of a scalar cotangent", CHECK_GRADS, _with_cotangent(NOT_LINEAR[how]), [array("")])
        for how in ("clamp", "relu", "abs")
    ),
    _of_sin(
        "M5 float32 for a bfloat16 input", CHECK_GRADS,
        lambda args, ct: (jnp.cos(args[0]).astype(jnp.float32) * ct.astype(jnp.float32),),
        [array("n", dtype="bfloat16")],
    ),
    by_vjp(
        "M6 divided by the other axis", "M6", CHECK_GRADS, _column_means, [array("b n")],
        wrong=_mean_over(1), right=_mean_over(0),
    ),
    by_vjp(
        "M6 not divided at all", "M6", CHECK_GRADS, _column_means, [array("b n")],
        wrong=_mean_over(None), right=_mean_over(0),
    ),
    by_vjp(
        "M7 softplus overflows", "M7", CHECK_GRADS, jax.nn.softplus, [array("n")],
        wrong=_softplus_overflowing, right=lambda args, ct: (ct * jax.nn.sigmoid(args[0]),),
        expect=IMPRECISE,
    ),
    by_vjp(
        "M7 leaky relu drops negatives", "M7", CHECK_GRADS, lambda x: jnp.where(x > 0, x, x / 8),
        [array("n")],
        wrong=lambda args, ct: (jnp.where(args[0] > 0, ct, 0),),
        right=lambda args, ct: (jnp.where(args[0] > 0, ct, ct / 8),),
    ),
    by_vjp(
        "M7 max to every tie in full", "M7", CHECK_GRADS, jnp.max, [array("n")],
        wrong=_max_to_every_tie, right=_max_shared,
    ),
    Case(
        "M9 log of negatives", "M9", CHECK_GRADS,
        {"of": jnp.log, "vjp": lambda args, ct: (ct * jnp.log(args[0]),), "args": [array("n", high=-1)]},
        {"of": jnp.log, "vjp": lambda args, ct: (ct / args[0],), "args": [array("n", low=1e-3)]},
        expect=frozenset({"INCONCLUSIVE", "WRONG"}),
    ),
    *(
        _of_sin(f"M10 zero in {dtype} at {at}", CHECK_GRADS, _zero, [array("n", dtype, low=at, high=at)])
        for dtype, at in (("bfloat16", 1), ("float16", 1), ("float32", 10_000))
    ),
    by_vjp(
        "M12 layernorm × 7", "M12", CHECK_GRADS, _layernorm, [array("b n")],
        wrong=_layernorm_times(7), right=_layernorm_times(1),
    ),
    by_vjp(
        "M12 softmax × −3", "M12", CHECK_GRADS, jax.nn.softmax, [array("b n")],
        wrong=_softmax_times(-3), right=_softmax_times(1),
    ),
    *(
        _of_sin(f"M13 cotangent {how}", GRADCHECK, _with_cotangent(change), [array("n")])
        for how, change in NOT_LINEAR.items()
    ),
    _of_sin("M14 zero at n = 10⁵", GRADCHECK, _zero, _example(100_000)),
    _of_sin("M14 negated", GRADCHECK, _with_cotangent(jnp.negative), _example(20_000)),
    _of_sin("M14 one entry in 10⁴ zeroed", GRADCHECK, _sin_with_entry_times(0, 1234), _example(10_000)),
    by_vjp(
        "M15 tiny function", "M15", GRADCHECK, _tiny_sum, [array("n")],
        wrong=_zero, right=lambda args, ct: (1e-5 * jnp.cos(args[0]) * ct,),
    ),
    by_vjp(
        "M16 last row of dk", "M16", "kernel suites with one global bound", _attention,
        [array("n d"), array("m d"), array("m e")],
        wrong=_attention_without_last_key, right=_attention_pullback,
    ),
    _of_sin("M17 one sign flip", "norm-wise comparison", _sin_with_entry_times(-1, 4321), _example(10_000)),
)  # fmt: skip
