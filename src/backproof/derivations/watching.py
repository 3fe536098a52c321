"""What a derivation makes and takes while its lines run: lines and claims to be yielded, values of lemmas."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np


class Lemma:
    """What a line may take the value of: a derivation."""

    @property
    def name(self) -> str:
        """Its name, in the reports of those that rest on it."""
        raise NotImplementedError


class Made(NamedTuple):
    """Holds a line, an assumption or a claim as it was made, and the line of the file on which it was."""

    said: Any
    row: int


class Truth(NamedTuple):
    """Holds whether an assumption of a lemma holds where a line takes its value.

    Attributes:
        line: the number of the line.
        lemma: the name of the lemma.
        latex: the formula of the assumption.
        holds: whether it holds there.
    """

    line: int
    lemma: str
    latex: str
    holds: bool


@dataclass
class Watched:
    """Holds what a derivation makes and takes while its lines are run.

    Attributes:
        made: the lines, assumptions and claims; each must be yielded.
        cited: the derivations whose values it takes.
        truths: what is known of the assumptions of lemmas; None if nobody asks.
        line: the number of the line that is made.
        is_lemma: whether it is run for its value, which a line of another derivation takes.
    """

    made: list[Made]
    cited: list[Lemma]
    truths: list[Truth] | None = None
    line: int = 0
    is_lemma: bool = False


_WATCHED: ContextVar[Watched | None] = ContextVar("watched", default=None)


@contextmanager
def watching(truths: list[Truth] | None = None) -> Iterator[Watched]:
    """Yield what is made and taken from now on; the lemmas of a lemma belong to the line that takes it."""
    above = _WATCHED.get()
    watched = Watched([], [], above.truths, above.line, True) if above else Watched([], [], truths)
    token = _WATCHED.set(watched)
    try:
        yield watched
    finally:
        _WATCHED.reset(token)


def noted(said: Any) -> Any:
    """Return a line, an assumption or a claim, and note the row on which its maker was called."""
    watched = _WATCHED.get()
    if watched is not None:
        watched.made.append(Made(said, sys._getframe(2).f_lineno))
    return said


def cite(lemma: Lemma) -> None:
    """Note that the value of a derivation is taken."""
    watched = _WATCHED.get()
    if watched is not None:
        watched.cited.append(lemma)


def note_truth(lemma: Lemma, latex: str, holds: Any) -> None:
    """Note whether an assumption of a lemma holds, also inside of what JAX transforms, if somebody asks."""
    watched = _WATCHED.get()
    if watched is None or watched.truths is None:
        return
    truths, number = watched.truths, watched.line

    def keep(holds: Any) -> None:
        truths.append(Truth(number, lemma.name, latex, bool(np.all(holds))))

    jax.debug.callback(keep, holds)
