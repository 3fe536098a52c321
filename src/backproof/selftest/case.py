"""One case: a wrong derivative that must be detected, and the right one, which must be accepted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Args = tuple[Any, ...]
Cotangents = tuple[Any, ...]
Pullback = Callable[[Args, Any], Cotangents]
WRONG = frozenset({"WRONG"})
# For a formula that is right on paper, but loses its digits or overflows at some inputs.
IMPRECISE = frozenset({"UNSTABLE", "WRONG"})


@dataclass(frozen=True, eq=False)
class Case:
    """Holds one pair of derivatives of one function.

    Attributes:
        name: the name of the case; no two cases share it.
        kind: the kind of bug, or the number of the blind spot (`M1` …) or false alarm (`F1` …).
        source: where it happened: `owner/repository#number`, or the tool that judges it wrongly.
        wrong: the arguments of `backproof.verify` for the wrong derivative, or None.
        right: the arguments of `backproof.verify` for the right derivative, or None.
        expect: the names of the verdicts that count as detection of `wrong`.
    """

    name: str
    kind: str
    source: str
    wrong: Mapping[str, Any] | None
    right: Mapping[str, Any] | None
    expect: frozenset[str] = WRONG


def by_vjp(
    name: str,
    kind: str,
    source: str,
    of: Callable[..., Any],
    args: Any,
    *,
    wrong: Pullback | None = None,
    right: Pullback | None = None,
    expect: frozenset[str] = WRONG,
    **more: Any,
) -> Case:
    """Return the case of two pullbacks `(args, cotangent) -> cotangents` of the same function.

    The arguments in `more` are passed on to `verify`, e.g. `argnums`.
    """
    wrong_side, right_side = (vjp and {"of": of, "vjp": vjp, "args": args, **more} for vjp in (wrong, right))
    return Case(name, kind, source, wrong_side, right_side, expect)
