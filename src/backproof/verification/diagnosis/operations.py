"""The operations of a traced program, by where they stand in the source."""

import functools
import itertools
import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.extend.source_info_util import summarize

from backproof.numerics.coverage import CALLS

OWN = Path(__file__).parents[2]
# Where an operation stands: its name, the line of the source, and its number among the same of that line.
# The number of the operation itself differs between sizes: an axis of size 1 needs other operations.
Place = tuple[str, str, int]


class Held(NamedTuple):
    """Holds one operation, and the programs that hold it, the innermost last."""

    eqn: Any
    within: tuple[Jaxpr, ...]
    calls: tuple[Any, ...]


@functools.lru_cache(maxsize=64)
def places(jaxpr: Jaxpr, names: frozenset[str] | None = None) -> dict[Place, Held]:
    """Return the operations with these names, or all, by their places, inside called programs too."""
    found: dict[Place, Held] = {}
    for held in _operations(jaxpr):
        name = held.eqn.primitive.name
        if names is None or name in names:
            line = " ".join(summarize(eqn.source_info) for eqn in (*held.calls, held.eqn))
            number = next(n for n in itertools.count() if (name, line, n) not in found)
            found[name, line, number] = held
    return found


def line_of(*eqns: Any) -> str:
    """Return file, number and text of the first line of the user's that made an operation; empty if none."""
    for eqn in eqns:
        found = re.match(r"(.*):(\d+):\d+ \(", summarize(eqn.source_info)) if eqn is not None else None
        if found and not Path(found[1]).is_relative_to(OWN):
            file, number = found[1], int(found[2])
            text = linecache.getline(file, number).strip()
            return f"{Path(file).name}:{number}" + (f", {text}" if text else "")
    return ""


def _operations(jaxpr: Jaxpr, within: tuple[Jaxpr, ...] = (), calls: tuple[Any, ...] = ()) -> Iterator[Held]:
    for eqn in jaxpr.eqns:
        inner = _called(eqn)
        if inner is None:
            yield Held(eqn, (*within, jaxpr), calls)
        else:
            yield from _operations(inner, (*within, jaxpr), (*calls, eqn))


def _called(eqn: Any) -> Jaxpr | None:
    """Return the program that an operation calls as it stands; on several devices none is."""
    if "mesh" in eqn.params:
        return None
    inner = next(
        (eqn.params[key] for key in CALLS if isinstance(eqn.params.get(key), ClosedJaxpr | Jaxpr)), None
    )
    return inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
