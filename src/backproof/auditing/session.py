"""The runs of one audit: the test as it is, while it is watched, and with a slip planted.

A program that JAX has compiled keeps the backward pass with which it was traced. Where a backward pass was
traced, JAX's caches are cleared before each run, so that the planted one is the one that runs; what was
compiled for the rest comes back from a cache on disk. A backward pass that is called with arrays is in no
cache.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from backproof.auditing.ended import Ended, Run
from backproof.auditing.interception import intercepted
from backproof.auditing.named import Target
from backproof.auditing.planting import Planting
from backproof.auditing.slips import Slip
from backproof.auditing.watching import Seen, Watch
from backproof.coverage.compiled import kept_in

LEAST_TIMEOUT, TIMES_ITSELF = 30.0, 20.0
MEMORY = "backproof.verification.memory"


class Session:
    """Runs one test; a context, in which compiled programs are kept on disk."""

    def __init__(self, test: Any, run: Run, timeout: float | None) -> None:
        """Make a session of a test.

        Args:
            test: the test, from which only its name and its namespace are taken.
            run: runs it once.
            timeout: seconds after which a run is ended; None for a multiple of what the test takes.
        """
        self.name: str = test if isinstance(test, str) else getattr(test, "__qualname__", repr(test))
        space = getattr(test, "__globals__", None)
        self.spaces: Sequence[dict[str, Any]] = [space] if space is not None else []
        self.targets: Sequence[Target] = ()
        self.runs: int = 0
        self._took = 0.0
        self._timeout = timeout
        self._run = run
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Session":
        """Keep compiled programs, until the session ends."""
        folder = tempfile.TemporaryDirectory(prefix="backproof-audit-", ignore_cleanup_errors=True)
        self._stack.enter_context(kept_in(Path(self._stack.enter_context(folder))))
        self._stack.callback(_forget)
        return self

    def __exit__(self, *_: object) -> None:
        """Forget what was traced with slips in it."""
        self._stack.close()

    def plain(self) -> Ended:
        """Run the test as it is."""
        began = time.perf_counter()
        self.runs += 1
        ended = self._run(self._limit())
        self._took = time.perf_counter() - began
        return ended

    def watched(self, watch: Watch) -> Ended:
        """Run the test while a watch sees its backward passes."""
        _forget()
        self.runs += 1
        with intercepted(watch.handler, self.targets, watch.called):
            ended = self._run(self._limit())
            jax.effects_barrier()
        _forget()
        return ended

    def planted(self, seen: Seen, slip: Slip) -> tuple[Ended, int]:
        """Run the test with a slip in a rule; return how it ends, and how often the slip was planted."""
        planting = Planting(seen.name, slip)
        self.runs += 1
        if seen.traced:
            _forget()
        with intercepted(planting.handler, self.targets):
            return self._run(self._limit()), planting.times

    def _limit(self) -> float:
        return max(LEAST_TIMEOUT, TIMES_ITSELF * self._took) if self._timeout is None else self._timeout


def _forget() -> None:
    """Free what JAX has traced and compiled, and what the verifier remembers, if it is loaded."""
    jax.clear_caches()
    memory = sys.modules.get(MEMORY)
    if memory is not None:
        memory.forget()
