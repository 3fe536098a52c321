"""Points aimed at the code: axes longer than its blocks, numbers next to the constants in it."""

from backproof.numerics.effort import EFFORT
from backproof.numerics.tolerance import LEAST_GUARD
from backproof.verification.points.draws import Drawn, Points
from backproof.verification.points.sizes import FILLED
from backproof.verification.points.values import Style, as_long_as, beside, plain


def aimed_draws(
    points: Points,
    lengths: dict[str, int | None],
    constants: tuple[float, ...],
    integers: tuple[int, ...],
    examples: int,
    seed: int,
) -> list[Drawn]:
    """Return draws with one long axis each, and draws next to the constants of the code.

    Args:
        points: where the claim can be tried.
        lengths: the length to which each axis is extended, or None; the length that fills its blocks is drawn
            too.
        constants: the constants of the code.
        integers: the whole numbers with which it compares others.
        examples: how many draws there may be at most.
        seed: the seed of the draws.
    """
    both = [(axis, n) for axis, length in lengths.items() if length for n in (length, FILLED[length])]
    long = [one for one in (points.longer(axis, n, seed) for axis, n in both) if one is not None]
    if not constants and not integers:
        return long[:examples]
    # the smallest constants are likely guards of a norm or its square
    guards = [size for constant in constants if constant > LEAST_GUARD for size in (constant, constant**0.5)]
    kind = beside(constants) if constants else plain
    styles = [Style(kind, integers=integers)] * EFFORT.rounds
    styles += [Style(as_long_as(size)) for size in guards[: EFFORT.guards]]
    rounds = [points.styled(style, EFFORT.rounds * seed + i) for i, style in enumerate(styles)]
    marked = [one for made in rounds for one in made if not one.empty]
    return [*long, *marked[: examples // EFFORT.share]][:examples]
