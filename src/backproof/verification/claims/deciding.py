"""The decisions of NumPy code by values: each truth and whole number that it takes from an array.

Run on numbers, they are noted. Run on arrays that JAX traces, noted decisions are taken again, so that the
program is that of one path through the code.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from jax.core import Tracer


class LeavesNumpyError(TypeError):
    """Raised where NumPy code needs the numbers of an array that JAX traces, or a function that JAX lacks."""


class Path:
    """Holds the decisions on one run; it is a class because they are noted, or taken, one after another."""

    def __init__(self, given: Sequence[Any] | None = None) -> None:
        """Take the decisions `given`, or note those that are made."""
        self.made: list[Any] = []
        self._given = None if given is None else iter(given)

    def decide(self, kind: type, value: Any) -> Any:
        """Return the next decision."""
        if self._given is None:
            self.made.append(kind(value))
            return self.made[-1]
        try:
            return next(self._given)
        except StopIteration:
            raise LeavesNumpyError("the code takes another path when it is run again") from None


PATH: ContextVar[Path | None] = ContextVar("PATH", default=None)


@contextlib.contextmanager
def deciding(path: Path) -> Iterator[Path]:
    """Run code along a path."""
    token = PATH.set(path)
    try:
        yield path
    finally:
        PATH.reset(token)


def decided(kind: type, value: Any) -> Any:
    """Return the truth of an array of one entry, or its whole number."""
    if kind is int and not np.issubdtype(value.dtype, np.integer) and isinstance(value, Tracer):
        raise LeavesNumpyError("a number is rounded to a whole one")
    path = PATH.get()
    if path is not None:
        return path.decide(kind, value)
    if isinstance(value, Tracer):
        raise LeavesNumpyError("a branch, or an index, depends on the numbers of an argument")
    return kind(value)
