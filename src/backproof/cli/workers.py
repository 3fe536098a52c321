"""Work in other processes and in a thread beside the terminal's, so that Ctrl-C is heard at once."""

import contextlib
import contextvars
import itertools
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
# How often, in seconds, the terminal's thread looks whether Ctrl-C was pressed.
TICK = 0.1
_ALIVE: set[threading.Thread] = set()


def in_processes(
    function: Callable[..., T], *rows: Iterable[Any], jobs: int, begin: Callable[[], None] | None = None
) -> Iterator[T]:
    """Yield `function` of each tuple of rows, in order, computed by `jobs` spawned processes.

    If the caller stops early, the processes are killed: what they compute takes long to end by itself.

    Args:
        function: a function that can be sent to a process.
        rows: its arguments.
        jobs: how many processes.
        begin: what each process calls first.
    """
    # a forked process would share the locks of JAX's threads
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=begin)
    before = set(multiprocessing.active_children())
    try:
        with _deaf():  # a process that is spawned now does not hear Ctrl-C; this one does
            results = pool.map(function, *rows)
        yield from results
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def in_background(items: Iterable[T]) -> Iterator[T]:
    """Yield what an iterable yields, made in a thread of its own.

    XLA compiles for seconds without looking at signals; the thread that waits here does look.
    """
    made: queue.Queue[tuple[str, Any]] = queue.Queue()

    def work() -> None:
        try:
            for one in items:
                made.put(("item", one))
            made.put(("end", None))
        except BaseException as error:
            # Whatever is raised belongs to the thread that waits.
            made.put(("error", error))
        _ALIVE.discard(threading.current_thread())

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    _ALIVE.add(thread)
    thread.start()
    for _ in itertools.count():
        try:
            kind, value = made.get(timeout=TICK)
        except queue.Empty:
            continue
        if kind == "end":
            return
        if kind == "error":
            raise value
        yield value


def leave(status: int) -> int:
    """Return an exit status, or end the process with it if a thread still works, which cannot be stopped."""
    if _ALIVE:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
