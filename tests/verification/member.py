"""One member of a kind of code that was once judged wrongly: the call, the verdicts wanted, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import backproof as bp

GOOD = frozenset({"AGREES", "SUBGRADIENT", "DECLARED"})
BAD = frozenset({"WRONG", "UNSTABLE"})
NEVER_GOOD = BAD | {"INCONCLUSIVE"}
QUICK = {"examples": 40, "dtypes": ("float32",), "second_order": False}


@dataclass(frozen=True, eq=False)
class Member:
    """Holds one call of `verify`, and what its report must be.

    Attributes:
        name: what is verified.
        why: the argument, from mathematics, for the verdict.
        wanted: the verdicts of which one must be given.
        report: makes the call.
        says: words that the report's text must hold.
        hides: words that it must not hold.
    """

    name: str
    why: str
    wanted: frozenset[str]
    report: Callable[[], Any]
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()


def member(name, wanted, why, *, says=(), hides=None, fn=None, **call):
    """Return the member that calls `verify` with `call`, quickly unless `call` says otherwise.

    `args` may be a function without arguments; it is called when the test runs. Shapes are fixed where sizes
    are not the point, since each other shape costs compilations. What is wrong must be found wrong by its
    numbers, not because it does not run, unless `hides` is given.
    """

    def report():
        given = call["args"]
        settings = {**QUICK, **call, "args": given() if callable(given) else given}
        return bp.verify(fn, **{key: value for key, value in settings.items() if value is not None})

    if hides is None:
        hides = () if wanted & GOOD else ("contract-",)
    return Member(name, why, wanted, report, says, tuple(hides))


def pair(name, of, args, *, right=None, wrong=None, **call):
    """Return members for the right pullback of `of`, for the wrong one, or for both.

    `right` and `wrong` are pairs of a pullback and the argument why it is right or wrong.
    """
    sides = (("right", GOOD, right), ("wrong", BAD, wrong))
    return tuple(
        member(f"{name}, {side}", wanted, given[1], of=of, vjp=given[0], args=args, **call)
        for side, wanted, given in sides
        if given
    )
