"""What was built from the same parts before, kept: the same experiment run again compiles nothing.

JAX keeps what it compiled for as long as the function lives that was compiled. An experiment is made of
functions that are built anew from call to call; here the last few are kept, found by their parts.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST = 8


def kept(build: Callable[P, T]) -> Callable[P, T]:
    """Return `build`, a pure function, giving back what it built of equal arguments before.

    The last `MOST` are kept. Functions are equal to themselves alone. Of arguments that cannot be hashed it
    builds anew each time.
    """
    remembered = lru_cache(MOST, typed=True)(build)

    @wraps(build)
    def found(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return build(*args, **kwargs)
        return remembered(*args, **kwargs)

    return found
