"""What was built from the same parts before, kept: the same experiment run again compiles nothing.

JAX keeps what it compiled for as long as the function lives that was compiled. An experiment is made of
functions that are built anew from call to call; here the last few are kept, found by their parts, the very
objects, and by those settings of JAX that its own compilation cache does not tell apart.
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
    """Return `build`, a pure function, giving back what it built of the same arguments before.

    The last `MOST` are kept. Functions are equal to themselves alone. Of arguments that cannot be hashed it
    builds anew each time.
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
    """Free what was compiled for the last experiments, and with it what their functions hold on to."""
    for clear in _forget_each:
        clear()


def looks_for_nans() -> bool:
    """Return whether JAX is set to look for the source of a NaN or an infinity."""
    return any(getattr(jax.config, name) for name in DEBUGGING)


def _settings() -> tuple[object, ...]:
    return tuple(getattr(jax.config, name) for name in SETTINGS)
