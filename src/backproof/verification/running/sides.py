"""The comparisons in the code of both sides, and which answers they gave at the points that were tried.

A comparison is known by the line of the user's code that makes it; the programs traced at different shapes
then speak of the same one. Comparisons that JAX makes to look up an index are left out.
"""

import linecache
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax

from backproof.numerics.lanes import Witness

JAX = os.path.dirname(str(jax.__file__))
# The interpreter and the verifier trace the code; neither is the code.
BACKPROOF = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
OWN = tuple(os.path.join(BACKPROOF, place) for place in ("numerics", "verification"))
LOOKUPS = ("indexing.py", "slicing.py")
LONGEST = 60


class Comparison(NamedTuple):
    """Names a comparison: the file and line that make it, the primitive, and which of those it is there."""

    file: str
    line: int
    primitive: str
    number: int

    def __str__(self) -> str:
        """Return the line of code, with its place."""
        code = linecache.getline(self.file, self.line).strip()
        code = code if len(code) <= LONGEST else code[: LONGEST - 1] + "…"
        return f"line {self.line} of {os.path.basename(self.file)}: {code}"


Answers = Mapping[Comparison, frozenset[bool]]


def answers_of(witnesses: Iterable[Witness]) -> dict[Comparison, frozenset[bool]]:
    """Return the answers that each comparison gave in some runs."""
    found: dict[Comparison, frozenset[bool]] = {}
    for witness in witnesses:
        counts: dict[tuple[str, int, str], int] = {}
        for eqn, answers in witness.met.values():
            place = _place(eqn)
            if place is None:
                continue
            key = (*place, eqn.primitive.name)
            one = Comparison(*key, counts.setdefault(key, 0))
            counts[key] += 1
            found[one] = found.get(one, frozenset()) | answers
    return found


def _place(eqn: Any) -> tuple[str, int] | None:
    """Return the file and line of the user's code that makes a comparison; None for a look-up of JAX."""
    traceback = eqn.source_info.traceback
    for frame in traceback.frames if traceback is not None else ():
        if frame.file_name.startswith(JAX):
            if os.path.basename(frame.file_name) in LOOKUPS:
                return None
        elif not frame.file_name.startswith(OWN):
            return frame.file_name, frame.line_num
    return None
