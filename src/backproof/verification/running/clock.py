"""The time that a verification may take, and what it left out to keep to that."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from backproof.errors import UsageError, message

_WATCHER: ContextVar[Callable[[str], None] | None] = ContextVar("_WATCHER", default=None)


@contextlib.contextmanager
def watching(watcher: Callable[[str], None]) -> Iterator[None]:
    """Have every verification in this context say what it does to `watcher`."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


class Clock:
    """Measures one verification; it is a class because it notes what is left out.

    Attributes:
        budget: how many seconds it may take; None for as many as it needs.
        left_out: what was left out when they were used up.
        missing: what of that a good verdict needs.
    """

    def __init__(self, budget: float | None = None) -> None:
        """Begin now.

        Raises:
            UsageError: the budget is not a number of seconds above 0.
        """
        if budget is not None and not budget > 0:
            raise UsageError(
                message(
                    must="budget must be a number of seconds above 0, or None",
                    found=f"budget={budget!r}",
                    where="verify",
                    do="pass e.g. budget=60, or leave it out",
                )
            )
        self.budget = budget
        self.left_out: list[str] = []
        self.missing: list[str] = []
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The seconds since it began."""
        return time.perf_counter() - self._began

    @property
    def is_over(self) -> bool:
        """Whether the budget is used up."""
        return self.budget is not None and self.seconds > self.budget

    def says(self, what: str) -> None:
        """Tell whoever watches what is being done."""
        watcher = _WATCHER.get()
        if watcher is not None:
            watcher(what)

    def over(self, what: str, *, required: bool = False) -> bool:
        """Return whether the budget is used up, and if so note that something is left out.

        Args:
            what: what is left out then.
            required: whether a good verdict needs it.
        """
        is_over = self.is_over
        self.left_out += [what] if is_over else []
        self.missing += [what] if is_over and required else []
        return is_over
