"""Derivatives that the caller declares to be something other than the gradient; they are not compared."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from backproof.errors import UsageError, message
from backproof.verification.claims.claim import Claim


def not_compared(claim: Claim, function: Callable[..., Any], declared: Mapping[str, str]) -> Claim:
    """Return `claim` without the results for the arguments named in `declared`.

    Raises:
        UsageError: the function has no argument of that name, or the derivative is a jvp.
    """
    if claim.forward:
        raise UsageError(
            message(
                must="declared= needs a derivative that has a result for each argument",
                found="jvp=",
                where="verify",
                do="check the pullback, or leave declared= out",
            )
        )
    names = _names(function)
    unknown = set(declared) - set(names)
    if unknown:
        raise UsageError(
            message(
                must=f"declared names arguments of {claim.name}: {', '.join(names)}",
                found=", ".join(sorted(unknown)),
                where="verify",
                do="use the name that the function gives the argument",
            )
        )
    places = {names.index(name) for name in declared}

    def dropped(derivative: Callable[..., Any]) -> Callable[..., Any]:
        def kept(args: tuple[Any, ...], direction: Any) -> Any:
            results = derivative(args, direction)
            return tuple(None if i in places else result for i, result in enumerate(results))

        return kept

    return claim._replace(hand=dropped(claim.hand), truth=dropped(claim.truth))


def _names(function: Any) -> list[str]:
    plain = getattr(function, "fun", function)
    if callable(plain):
        return list(inspect.signature(plain).parameters)
    return ["params", "x"] if hasattr(function, "init") else ["prediction", "target"]
