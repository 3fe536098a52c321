"""What a run of tests asks of every verification in its process, and what it hears of each.

A test calls `backproof.check` by itself, so whoever runs the tests (the pytest plugin) and the verifier meet
here. The module imports nothing heavy: a run of tests without backproof costs nothing.
"""

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

# Outcomes that nobody takes are forgotten, the oldest first: a program without tests never takes any.
KEPT = 10_000


class Heard(NamedTuple):
    """Holds the outcome of one verification, as `note` was told it.

    Attributes:
        kind: `gradient`, `intermediates` or `derivation`.
        name: what was verified.
        verdict, cause, ok: the outcome, the short name of what is wrong, and whether it is good.
        points: at how many points it was judged.
        worst: the largest distance, in noise units, where both sides agree.
        seconds: how long it took.
        subjects: references to the objects by hand that were judged; a dead one returns None.
        inside: the places, `file:line`, of the functions with a rule of their own that they call.
    """

    kind: str
    name: str
    verdict: str
    cause: str | None
    ok: bool
    points: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    subjects: tuple[Callable[[], Any], ...] = ()
    inside: tuple[str, ...] = ()


class Asked(NamedTuple):
    """Holds the settings that take the place of those of each call; None leaves a call its own.

    Attributes:
        examples: how many points are drawn.
        seed: the seed of every draw.
        budget: the seconds after which nothing new is begun.
    """

    examples: int | None = None
    seed: int | None = None
    budget: float | None = None


class _State:
    """Holds the state of the process: what is asked, what was heard, what stands around a verification."""

    def __init__(self) -> None:
        self.asked = Asked()
        self.heard: deque[Heard] = deque(maxlen=KEPT)
        self.around: list[Callable[[], contextlib.AbstractContextManager[Any]]] = []
        self.depth = 0  # the verifications under way, in all threads
        self.entered = contextlib.ExitStack()
        self.lock = threading.RLock()


_STATE = _State()


def ask(settings: Asked) -> Asked:
    """Have every verification from now on use these settings in place of its own; return those before."""
    before, _STATE.asked = _STATE.asked, settings
    return before


def asked() -> Asked:
    """Return what `ask` was told last."""
    return _STATE.asked


def settled(examples: int, seed: int) -> tuple[int, int]:
    """Return the number of examples and the seed that a call uses: those that are asked for, or its own."""
    now = _STATE.asked
    return (
        examples if now.examples is None else now.examples,
        seed if now.seed is None else now.seed,
    )


def note(heard: Heard) -> None:
    """Keep the outcome of a verification for whoever takes it."""
    _STATE.heard.append(heard)


def take() -> list[Heard]:
    """Return the outcomes since the last call, and forget them."""
    found = list(_STATE.heard)
    _STATE.heard.clear()
    return found


def hear_apart() -> Callable[[], None]:
    """Keep what is heard from now on apart from what was heard so far; return a function that ends this."""
    before, _STATE.heard = _STATE.heard, deque(maxlen=KEPT)

    def end() -> None:
        _STATE.heard = before

    return end


def stand_around(make: Callable[[], contextlib.AbstractContextManager[Any]]) -> Callable[[], None]:
    """Have every verification run inside a context that `make` returns; return a function that ends this."""
    _STATE.around.append(make)
    return lambda: _STATE.around.remove(make)


@contextlib.contextmanager
def verifying() -> Iterator[None]:
    """Mark a verification; the contexts of `stand_around` are entered around the outermost one.

    The last one is entered first, since it may stand on what an earlier one put in place. Verifications of
    several threads that overlap share the contexts: the first enters them, and the last leaves them.
    """
    with _STATE.lock:
        if _STATE.depth == 0:
            with contextlib.ExitStack() as stack:
                for make in reversed(_STATE.around):
                    stack.enter_context(make())
                _STATE.entered = stack.pop_all()
        _STATE.depth += 1
    try:
        yield
    finally:
        with _STATE.lock:
            _STATE.depth -= 1
            if _STATE.depth == 0:
                _STATE.entered.close()


def references(objects: Iterable[Any]) -> tuple[Callable[[], Any], ...]:
    """Return references that keep none of the objects alive; one that cannot be referred to is left out."""
    found = []
    for one in objects:
        with contextlib.suppress(TypeError):  # a tuple, or an object with __slots__
            found.append(weakref.ref(one))
    return tuple(found)
