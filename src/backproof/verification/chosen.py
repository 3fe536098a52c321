"""Points chosen for the code at hand: axes longer than its blocks, numbers beside the constants it names."""

from backproof.verification.lengths import long_draws
from backproof.verification.points import Drawn
from backproof.verification.runners import Runners
from backproof.verification.values import Style, as_long_as, beside

# A norm, or its square, is guarded by the smallest of them, if it is no guard of a division by 0.
GUARDS_AT_MOST, LEAST = 4, 1e-30
# Draws at each size of the menu that are made beside constants, and of all draws the part they may be.
ROUNDS = 3
SHARE = 4


def chosen_draws(runners: Runners, examples: int, seed: int) -> list[Drawn]:
    """Return draws with one long axis each, and draws beside the constants of the code."""
    long = long_draws(runners.float64, runners.lengths, seed)
    found = runners.constants
    if not found:
        return long[:examples]
    guards = [length for constant in found if constant > LEAST for length in (constant, constant**0.5)]
    styles = [Style(beside(found))] * ROUNDS + [Style(as_long_as(one)) for one in guards[:GUARDS_AT_MOST]]
    rounds = [runners.claim.points.styled(style, ROUNDS * seed + i) for i, style in enumerate(styles)]
    marked = [one for made in rounds for one in made if not one.empty]
    return [*long, *marked[: examples // SHARE]][:examples]
