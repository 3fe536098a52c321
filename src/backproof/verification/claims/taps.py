"""Names for values inside a function, by which the derivative of each can be asked for."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from backproof.errors import UsageError, message
from backproof.numerics.leaves import PyTree, is_inexact


class _Tapping:
    """Notes what passes each tap, and adds to it; a class because it fills up while a function runs."""

    def __init__(self, added: Mapping[str, Any]) -> None:
        self.added = added
        self.seen: dict[str, Any] = {}

    def passed(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, dict | list | tuple):
            raise _no_array(name, value)
        if isinstance(value, Tracer) and hasattr(value, "batch_dim"):
            raise UsageError(
                message(
                    must="a tap must see the whole value",
                    found=f"tap({name!r}, …) inside vmap, where it sees one row",
                    where="check_intermediates",
                    do="tap the result of vmap, or write the function for a batch",
                )
            )
        if name in self.seen:
            raise UsageError(
                message(
                    must="each tap must have a name of its own, and be passed once",
                    found=f"tap({name!r}, …) a second time",
                    where="check_intermediates",
                    do="number the taps of a loop: tap(f'h{t}', h)",
                )
            )
        self.seen[name] = value
        return value + self.added[name] if name in self.added else value


_TAPPING: ContextVar[_Tapping | None] = ContextVar("_TAPPING", default=None)


def _no_array(name: str, value: Any) -> UsageError:
    return UsageError(
        message(
            must="what is tapped must be an array of floating numbers",
            found=f"{type(value).__name__} at tap({name!r}, …)",
            where="check_intermediates",
            do="tap the arrays that the derivative passes through, one by one",
        )
    )


def tap(name: str, value: Any) -> Any:
    """Return a value of a function as it is, with a name by which `check_intermediates` knows it.

    Args:
        name: the name; it must be passed once in each run of the function.
        value: an array of floating numbers.
    """
    tapping = _TAPPING.get()
    return value if tapping is None else tapping.passed(name, value)


@contextlib.contextmanager
def _tapping(added: Mapping[str, Any]) -> Iterator[_Tapping]:
    made = _Tapping(added)
    token = _TAPPING.set(made)
    try:
        # what is compiled may have been traced before without the taps, and a loop passes each several times
        with jax.disable_jit():
            yield made
    finally:
        _TAPPING.reset(token)


def tapped(function: Callable[..., PyTree], args: tuple[Any, ...]) -> dict[str, Any]:
    """Return the shapes of what passes the taps of a function, in the order in which they are passed.

    Raises:
        UsageError: nothing is tapped, or what is tapped is no array of floating numbers.
    """

    def noted(*given: Any) -> dict[str, Any]:
        with _tapping({}) as made:
            function(*given)
        for name, value in made.seen.items():
            if not is_inexact(value):
                raise _no_array(name, value)
        # a dict of JAX has its keys in order, and the order in which they are passed is what is wanted
        order.extend(name for name in made.seen if name not in order)
        return {name: jnp.asarray(value) for name, value in made.seen.items()}

    order: list[str] = []
    shapes = jax.eval_shape(noted, *args)
    if not order:
        raise UsageError(
            message(
                must="the function must name its intermediate values",
                found="no tap in it",
                where="check_intermediates",
                do='write e.g. z = backproof.tap("z", W @ x + b) in the function',
            )
        )
    return {name: shapes[name] for name in order}


def gradients(function: Callable[..., PyTree]) -> Callable[..., dict[str, Any]]:
    """Return a function that gives the gradient of a scalar function by everything that it taps.

    A zero is added to each tapped value; the gradient by that zero is the gradient by the value.
    """

    def by_taps(*args: Any) -> dict[str, Any]:
        zeros = {name: jnp.zeros(one.shape, one.dtype) for name, one in tapped(function, args).items()}

        def value(added: dict[str, Any]) -> Any:
            with _tapping(added):
                return function(*args)

        return jax.grad(value)(zeros)

    return by_taps
