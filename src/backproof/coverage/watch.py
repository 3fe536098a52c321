"""Notes which backward passes run in tests, outside the verifier.

A `jax.custom_vjp` or `custom_jvp` keeps its derivative as an attribute, which JAX reads at each call. While a
test runs, a function that notes the call and passes it on stands there. The verifier never meets it: it is
taken out around each verification, so that what is judged is the user's code alone.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from backproof.coverage.found import NOTED, Found

ATTRIBUTES = {"custom_vjp": "bwd", "custom_jvp": "jvp"}


class Watch:
    """Notes the names of the gradients whose backward pass ran; it is a class because it notes.

    Attributes:
        ran: the names so far.
    """

    def __init__(self, found: Iterable[Found]) -> None:
        """Hold the gradients that are watched; `begin` begins."""
        self.ran: set[str] = set()
        self._watched = [one for one in found if one.kind in ATTRIBUTES and one.rule is not None]
        self._own: list[tuple[Any, str, Any, Any]] = []
        self._notes: dict[str, tuple[Any, Any]] = {}

    def begin(self) -> None:
        """Put the notes in place; without effect where they are."""
        if self._own:
            return
        for one in self._watched:
            attribute = ATTRIBUTES[one.kind]
            own = getattr(one.rule, attribute, None)
            if own is not None:  # a rule whose backward pass is not defined yet
                noting = self._noted(one.name, own)
                setattr(one.rule, attribute, noting)
                self._own.append((one.rule, attribute, own, noting))

    def end(self) -> None:
        """Take the notes out, where nobody has put something else in their place."""
        for rule, attribute, own, noting in self._own:
            if getattr(rule, attribute) is noting:
                setattr(rule, attribute, own)
        self._own.clear()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the notes out for a while."""
        watching = bool(self._own)
        self.end()
        try:
            yield
        finally:
            if watching:
                self.begin()

    def _noted(self, name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function that notes a call of `own`, the same one each time: a test may hold it."""
        if self._notes.get(name, (None,))[0] is not own:
            self._notes[name] = own, self._noting(name, own)
        return self._notes[name][1]

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def noting(*args: Any, **named: Any) -> Any:
            self.ran.add(name)
            return function(*args, **named)

        setattr(noting, NOTED, function)
        return noting
