"""A cache of the functions that experiments are made of: running the same experiment again compiles nothing.

JAX keeps a compiled program for as long as the function from which it was compiled. The functions of an
experiment are built anew in every call. This cache keeps the last few of them, and finds them by the objects
from which they were built and by those settings of JAX that its own compilation cache does not distinguish.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")

MOST = 8
DEBUGGING = ("jax_debug_nans", "jax_debug_infs")
SETTINGS = (*DEBUGGING, "jax_default_prng_impl")
_forget_each: list[Callable[[], None]] = []


def kept(build: Callable[P, T]) -> Callable[P, T]:
    """Return the pure function `build` with a cache: the same arguments give the same object again.

    The last `MOST` objects are kept. A function that is an argument is equal only to itself. If an argument
    cannot be hashed, `build` is called each time.
    """

    def build_under(settings: tuple[object, ...], *args: P.args, **kwargs: P.kwargs) -> T:
        return build(*args, **kwargs)

    remembered = lru_cache(MOST, typed=True)(build_under)
    _forget_each.append(remembered.cache_clear)

    @wraps(build)
    def found(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return build(*args, **kwargs)
        return remembered(_settings(), *args, **kwargs)

    return found


def forget() -> None:
    """Free the programs compiled for the last experiments, and all objects that their functions refer to."""
    for clear in _forget_each:
        clear()


def looks_for_nans() -> bool:
    """Return whether JAX is set to look for the source of a NaN or an infinity."""
    return any(getattr(jax.config, name) for name in DEBUGGING)


def _settings() -> tuple[object, ...]:
    return tuple(getattr(jax.config, name) for name in SETTINGS)
