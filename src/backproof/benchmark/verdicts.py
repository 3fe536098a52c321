"""What a verdict costs: seconds of CPU for a fixed basket, beside `check_grads` on the same rules."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammainc, gammaln
from jax.test_util import check_grads

from backproof.arguments import array
from backproof.verification import forget, verify

EPS = 1e-5


class Entry(NamedTuple):
    """Holds a rule of the basket, and a slip in it.

    Attributes:
        name: what it is.
        of: the function.
        vjp: its pullback by hand.
        args: where it is verified.
        example: arguments at which `check_grads` checks it.
        slip: changes the pullback's result into a wrong one.
        examples: how many points are drawn.
    """

    name: str
    of: Callable[..., Any]
    vjp: Callable[[Any, Any], tuple[Any, ...]]
    args: list[Any]
    example: tuple[Any, ...]
    slip: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    examples: int = 200


@dataclass(frozen=True)
class VerdictCost:
    """Holds the seconds of CPU that one rule of the basket takes.

    Attributes:
        name: the rule.
        check_grads: `check_grads` at one point, with nothing compiled before.
        first: the first verdict, with nothing compiled before.
        second: the same call again.
        wrong: the first verdict on the rule with a slip, with its smallest example and its cause.
        verdicts: the verdict on the rule, and that on the slip.
    """

    name: str
    check_grads: float
    first: float
    second: float
    wrong: float
    verdicts: tuple[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        return asdict(self)


def verdict_costs() -> Iterator[VerdictCost]:
    """Yield the cost of each rule of the basket, measured in this process one after another."""
    for entry in basket():
        checked, _ = _measured(_check_grads(entry))
        first, right = _measured(_verify(entry, entry.vjp))
        second, _ = _measured(_verify(entry, entry.vjp), anew=False)
        wrong, slip = _measured(_verify(entry, _with_slip(entry)))
        verdicts = str(right.verdict), str(slip.verdict)
        yield VerdictCost(entry.name, checked, first, second, wrong, verdicts)


def _measured(run: Callable[[], Any], *, anew: bool = True) -> tuple[float, Any]:
    """Return the seconds of CPU of a call and its result, where `anew` with nothing traced or compiled."""
    if anew:
        forget()
        jax.clear_caches()
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def _verify(entry: Entry, vjp: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: verify(of=entry.of, vjp=vjp, args=entry.args, examples=entry.examples)


def _with_slip(entry: Entry) -> Callable[[Any, Any], tuple[Any, ...]]:
    return lambda args, cotangent: entry.slip(entry.vjp(args, cotangent))


def _check_grads(entry: Entry) -> Callable[[], None]:
    ruled = jax.custom_vjp(entry.of)
    ruled.defvjp(lambda *args: (entry.of(*args), args), entry.vjp)

    def run() -> None:
        with contextlib.suppress(AssertionError):  # its tolerance is its own affair; its time counts
            check_grads(ruled, entry.example, order=1, modes=["rev"])

    return run


def _layer_norm(x: jax.Array, gain: jax.Array, bias: jax.Array) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    return gain * centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + EPS) + bias


def _layer_norm_back(args: Any, ct: jax.Array) -> tuple[jax.Array, ...]:
    x, gain, _ = args
    centred = x - x.mean(-1, keepdims=True)
    scale = 1 / jnp.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    normal, delta = centred * scale, ct * gain
    both = delta.mean(-1, keepdims=True) + normal * (delta * normal).mean(-1, keepdims=True)
    return (delta - both) * scale, (ct * normal).sum(0), ct.sum(0)


def _attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    return jax.nn.softmax(q @ k.T / q.shape[-1] ** 0.5, -1) @ v


def _attention_back(args: Any, ct: jax.Array) -> tuple[jax.Array, ...]:
    q, k, v = args
    scale = q.shape[-1] ** -0.5
    p = jax.nn.softmax(q @ k.T * scale, -1)
    dp = ct @ v.T
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * scale
    return ds @ k, ds.T @ q, p.T @ ct


def _convolution(x: jax.Array, w: jax.Array) -> jax.Array:
    return jnp.convolve(x, w, mode="full")


def _convolution_back(args: Any, ct: jax.Array) -> tuple[jax.Array, ...]:
    x, w = args
    return jnp.correlate(ct, w, mode="valid"), jnp.correlate(ct, x, mode="valid")


def _gammainc_back(args: Any, ct: jax.Array) -> tuple[jax.Array, ...]:
    (x,) = args
    return (ct * jnp.exp(1.5 * jnp.log(x) - x - gammaln(2.5)),)


def _halved(grads: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the gradients with the first one halved, a slip."""
    return grads[0] * 0.5, *grads[1:]


def basket() -> tuple[Entry, ...]:
    """Return the rules: a scalar function, three layers, one large array and one special function."""
    draw = np.random.default_rng(0).standard_normal

    def normal(*shape: int) -> np.ndarray:
        return draw(shape).astype(np.float32)

    large = (normal(512, 2048), normal(2048), normal(2048))
    return (
        Entry(
            "a scalar function", jnp.tanh, lambda args, ct: (ct * (1 - jnp.tanh(args[0]) ** 2),),
            [array("")], (normal(),), _halved,
        ),
        Entry(
            "layer norm", _layer_norm, _layer_norm_back, [array("b n>=1"), array("n>=1"), array("n>=1")],
            (normal(4, 5), normal(5), normal(5)), lambda grads: (grads[0], grads[1] * 0.5, grads[2]),
        ),
        Entry(
            "attention", _attention, _attention_back,
            [array("n>=1 d>=1"), array("m>=1 d>=1"), array("m>=1 e>=1")],
            (normal(4, 5), normal(3, 5), normal(3, 2)), _halved,
        ),
        Entry(
            "a convolution", _convolution, _convolution_back, [array("12"), array("5")],
            (normal(12), normal(5)), lambda grads: (grads[0], grads[1][::-1]),
        ),
        Entry(
            "layer norm of 512 × 2,048", _layer_norm, _layer_norm_back, list(large), large,
            lambda grads: (grads[0].at[7, 1234].add(0.5), *grads[1:]), examples=3,
        ),
        Entry(
            "gammainc(2.5, x)", lambda x: gammainc(2.5, x), _gammainc_back,
            [array("n", low=0.01, high=20)], (np.abs(normal(5)) + 1,), lambda grads: (grads[0] * 2.5,),
        ),
    )  # fmt: skip
