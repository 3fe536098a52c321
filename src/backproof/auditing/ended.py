"""How one run of a test ended, and the limit on how long it may take."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

PASSED, FAILED, RAISED, TIMED_OUT, SKIPPED = "passed", "failed", "raised", "timed out", "was skipped"


@dataclass(frozen=True)
class Ended:
    """Holds how one run of the test ended.

    Attributes:
        how: `passed`, `failed` (an AssertionError), `raised` (another exception), `timed out` or
            `was skipped`.
        detail: the exception, shortened to a line.
    """

    how: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the test lets pass what it was run on; a test that is skipped does."""
        return self.how in (PASSED, SKIPPED)


class OverTime(BaseException):
    """Raised in a test that runs for too long; no `except Exception` in it can hold this up."""


# A timer cannot be set to fewer seconds than this.
SOONEST = 1e-6

# Runs the test once, and ends it after so many seconds.
Run = Callable[[float], Ended]


def of_exception(error: BaseException) -> Ended:
    """Return how a run ended that raised this."""
    said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    if isinstance(error, OverTime):
        return Ended(TIMED_OUT, said)
    if any(base.__name__ == "OutcomeException" for base in type(error).__mro__):  # pytest.skip, pytest.fail
        return Ended(SKIPPED if type(error).__name__ == "Skipped" else FAILED, said)
    return Ended(FAILED if isinstance(error, AssertionError) else RAISED, said)


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `OverTime` here after so many seconds: in the main thread, where the system has such a signal.

    A timer that runs already waits for the end of this limit; one that ended within it rings right after it.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise OverTime(f"more than {seconds:.0f} s")

    rest, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if rest:
            left = max(rest - (time.monotonic() - began), SOONEST)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
