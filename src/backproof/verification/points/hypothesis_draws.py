"""The one place where Hypothesis runs: it draws the points of a claim, nothing is judged inside it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import platformdirs
from hypothesis import HealthCheck, Phase, configuration
from hypothesis.errors import Unsatisfiable

from backproof.errors import UsageError, message
from backproof.verification.points.draws import Drawn, Points


def draw(points: Points, examples: int, seed: int, name: str) -> list[Drawn]:
    """Return the drawn argument tuples: `examples` of them, the same for the same seed.

    Args:
        points: draws the arguments of the claim, or of the derivation.
        examples: how many tuples are drawn.
        seed: the seed of every draw.
        name: the name of the claim or derivation, for an error.

    Raises:
        UsageError: nothing satisfies the specification.
    """
    found: list[Drawn] = []
    before: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=-(-examples // points.block),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        # the metaclass of HealthCheck hides its type
        suppress_health_check=tuple(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    @hypothesis.given(points.strategy)
    def collect(drawn: Any) -> None:
        block = points.made(drawn, len(before), (before or [drawn])[0])
        hypothesis.assume(block)
        before.append(drawn)
        found.extend(block)

    try:
        with _without_a_folder():
            collect()
    except Unsatisfiable as error:
        raise _unsatisfiable(name) from error
    if not found:
        raise _unsatisfiable(name)
    return found[:examples]


@contextlib.contextmanager
def _without_a_folder() -> Iterator[None]:
    """Let Hypothesis keep the constants that it reads in modules in the user's cache, not in this folder."""
    found = configuration.storage_directory(intent_to_write=False)
    before: Any = getattr(found, "home_directory", found)  # older releases return the folder itself
    configuration.set_hypothesis_home_dir(platformdirs.user_cache_path("backproof") / "hypothesis")
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)


def _unsatisfiable(name: str) -> UsageError:
    return UsageError(
        message(
            must="some argument must satisfy the specification",
            found="none among those drawn",
            where=name,
            do="widen the bounds or the where= predicate, or pass a strategy that builds such arguments",
        )
    )
