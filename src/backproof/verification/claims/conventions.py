"""Backward passes in other conventions than `vjp(args, cotangent)`: with a cache, or adding to buffers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from backproof.errors import UsageError, message
from backproof.numerics.leaves import PyTree, is_inexact
from backproof.numerics.tolerance import OF_A_BUFFER
from backproof.verification.claims.names import name_of

# The attribute that holds what `verify` should know of a pullback made here: NumPy code must stay a function.
CONVENTION = "backproof_convention"
# What stands in the buffers before anything is added: whole numbers, which no float rounds.
FILLED = (3.0, -5.0)


class Convention(NamedTuple):
    """Holds what a pullback was made of.

    Attributes:
        call: Python that makes it again, for the example in a report.
        forward: the forward pass with a cache, if there is one.
        outputs: the same without its cache.
        dtype: the precision in which the code computes, if it is said.
    """

    call: str = ""
    forward: Callable[..., Any] | None = None
    outputs: Callable[..., Any] | None = None
    dtype: Any = None


def convention_of(vjp: Any) -> Convention:
    """Return what a pullback was made of; nothing for one that its user wrote."""
    return getattr(vjp, CONVENTION, Convention())


def cached(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., PyTree]:
    """Return the pullback of a forward and a backward pass that share a cache.

        bp.verify(of=affine_forward, vjp=bp.cached(affine_forward, affine_backward), args=[…])

    `verify` then takes the outputs alone, without the cache, for the function. Both passes may be NumPy code.

    Args:
        forward: `forward(*args) -> (out, cache)`, or `(out_1, …, out_n, cache)` with several outputs.
        backward: `backward(dout, cache) -> (d_1, …, d_k)`, or `backward(dout_1, …, dout_n, cache)`: the
            gradients of the first k arguments, or of the first alone as an array. The others have none.
    """

    def vjp(args: tuple[PyTree, ...], cotangent: PyTree) -> tuple[PyTree, ...]:
        *outputs, cache = _with_cache(forward(*args), forward)
        found = backward(*(cotangent if len(outputs) > 1 else (cotangent,)), cache)
        grads = tuple(found) if isinstance(found, tuple | list) else (found,)
        return (*grads, *[None] * (len(args) - len(grads)))

    def outputs(*args: PyTree) -> PyTree:
        *found, _ = _with_cache(forward(*args), forward)
        return found[0] if len(found) == 1 else tuple(found)

    outputs.__name__ = name_of(forward)
    vjp.__name__ = name_of(backward)
    call = f"backproof.cached({name_of(forward)}, {name_of(backward)})"
    setattr(vjp, CONVENTION, Convention(call, forward, outputs))
    return vjp


def outputs_of(of: Any, vjp: Any) -> Any:
    """Return the function whose pullback is claimed: of a forward pass with a cache its outputs alone."""
    made = convention_of(vjp)
    return made.outputs if of is not None and made.forward is of else of


def _with_cache(result: Any, forward: Callable[..., Any]) -> tuple[Any, ...]:
    if not isinstance(result, tuple | list) or len(result) < 2:
        raise UsageError(
            message(
                must="a forward pass with a cache must return (out, cache), or several outputs and the cache",
                found=f"a {type(result).__name__}",
                where=f"cached({name_of(forward)}, …)",
                do="return the cache last, None if there is none; without one pass vjp= itself",
            )
        )
    return tuple(result)


def accumulating(
    function: Callable[..., Any], *, dtype: Any = None
) -> Callable[[tuple[PyTree, ...], PyTree], tuple[PyTree, ...]]:
    """Return the pullback of a backward pass that adds its gradients to buffers, as C code does.

        bp.verify(of=affine, vjp=bp.accumulating(affine_backward), args=[…])

    The buffers hold other numbers than zeros first: what overwrites them instead of adding is found.

    Args:
        function: `function(*args, cotangent, *buffers)`, which adds the gradient of each floating argument to
            the buffer of that argument, in order; what it returns is ignored.
        dtype: the precision of the code; arrays are converted to it and back. By default that of the
            arguments.
    """

    def vjp(args: tuple[PyTree, ...], cotangent: PyTree) -> tuple[PyTree, ...]:
        given = [_in(dtype, arg) for arg in (*args, cotangent)]
        floating = [i for i, arg in enumerate(args) if is_inexact(arg)]
        alone = _added(function, given, floating, 0.0)
        for fill in FILLED:
            _require_sums(function, alone, _added(function, given, floating, fill), fill)
        grads: list[Any] = [None] * len(args)
        for i, grad in zip(floating, alone, strict=True):
            grads[i] = grad.astype(np.asarray(args[i]).dtype)
        return tuple(grads)

    vjp.__name__ = name_of(function)
    given = "" if dtype is None else f", dtype={np.dtype(dtype).name!r}"
    call = f"backproof.accumulating({name_of(function)}{given})"
    setattr(vjp, CONVENTION, Convention(call, dtype=dtype))
    return vjp


def _in(dtype: Any, arg: Any) -> Any:
    if not hasattr(arg, "dtype") and not isinstance(arg, int | float | complex):
        raise UsageError(
            message(
                must="a pass that adds to buffers must take arrays",
                found=f"a {type(arg).__name__}",
                where="accumulating",
                do="write vjp= itself, and fill the buffers there",
            )
        )
    array = np.array(arg, order="C")
    return array.astype(dtype) if dtype is not None and is_inexact(array) else array


def _added(
    function: Callable[..., Any], given: list[Any], floating: list[int], fill: float
) -> list[np.ndarray]:
    """Return the buffers of the floating arguments after a call; before it each number in them is `fill`."""
    buffers = [np.full_like(given[i], fill, order="C") for i in floating]
    function(*(np.array(one) for one in given), *buffers)
    return buffers


def _require_sums(
    function: Callable[..., Any], alone: list[np.ndarray], filled: list[np.ndarray], fill: float
) -> None:
    """Require that what stood in the buffers was added to.

    Raises:
        ValueError: it was not.
    """
    for which, (mine, more) in enumerate(zip(alone, filled, strict=True)):
        size = np.abs(mine) + abs(fill)
        unit = float(jnp.finfo(mine.dtype).eps) * OF_A_BUFFER * (size + np.max(size, initial=0.0))
        with np.errstate(all="ignore"):
            wrong = np.isfinite(mine) & ~(np.abs(more - fill - mine) <= unit)
        if np.any(wrong):
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"{name_of(function)} does not add to buffer {which}: at {at} stood {fill:g}, the gradient "
                f"is {mine[at]:g}, and afterwards {more[at]:g} stands there"
            )
