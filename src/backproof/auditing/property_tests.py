"""Property tests of Hypothesis under an audit: the same examples in each run, and no traces of planted slips.

A slip makes such a test fail in nearly every run. To shrink each failure would take most of the time, and an
example kept for the next time would be one at which nothing is wrong. A test that has settings of its own, or
that was imported before, keeps those.
"""

import contextlib
from collections.abc import Iterator

from hypothesis import Phase, settings

DURING, BEFORE = "backproof-audit", "before-backproof-audit"


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Give property tests the same examples each time, without shrinking, a deadline or a database."""
    before = settings.default
    settings.register_profile(
        DURING,
        before,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile(DURING)
    try:
        yield
    finally:
        settings.register_profile(BEFORE, before)
        settings.load_profile(BEFORE)
