"""The one place where Hypothesis runs: it draws the points of a claim, nothing is judged inside it."""

from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable

from backproof.errors import UsageError, message
from backproof.verification.claim import Claim
from backproof.verification.points import Drawn


def draw(claim: Claim, examples: int, seed: int) -> list[Drawn]:
    """Return the drawn argument tuples: `examples` of them, the same for the same seed.

    Raises:
        UsageError: nothing satisfies the specification.
    """
    found: list[Drawn] = []
    before: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=-(-examples // claim.points.block),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        # the metaclass of HealthCheck hides its type
        suppress_health_check=tuple(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    @hypothesis.given(claim.points.strategy)
    def collect(drawn: Any) -> None:
        block = claim.points.made(drawn, len(before), (before or [drawn])[0])
        hypothesis.assume(block)
        before.append(drawn)
        found.extend(block)

    try:
        collect()
    except Unsatisfiable as error:
        raise _unsatisfiable(claim) from error
    if not found:
        raise _unsatisfiable(claim)
    return found[:examples]


def _unsatisfiable(claim: Claim) -> UsageError:
    return UsageError(
        message(
            must="some argument must satisfy the specification",
            found="none among those drawn",
            where=claim.name,
            do="widen the bounds or the where= predicate, or pass a strategy that builds such arguments",
        )
    )
