"""Distances on a logarithmic axis, in noise units, with the bound within which two values agree."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from backproof.numerics.tolerance import AGREES_WITHIN

# The ends of the axis, as powers of ten: the noise is measured to a part of itself, and a wrong entry of
# float64 is at most about 10^16 units away.
LOW, HIGH = -3.0, 17.0
TICKS = (0, 4, 8, 12, 16)
# The room at both ends, in percent, for what lies beyond: a distance of 0, and one that is not finite.
ROOM = 4.0


class Dot(NamedTuple):
    """Holds one distance on the axis: its place in percent, whether it is within the bound, and its text."""

    x: float
    within: bool
    text: str


class Axis(NamedTuple):
    """Holds the dots on an axis, and where the bound and the ticks stand, in percent.

    Attributes:
        dots: the distances.
        bound: where the bound stands.
        within: the bound itself, in noise units.
        ticks: where the powers of ten stand, and which they are.
        label: what the axis shows, in words.
    """

    dots: tuple[Dot, ...]
    bound: float
    within: str
    ticks: tuple[tuple[float, int], ...]
    label: str


def axis(distances: Iterable[tuple[str, float, bool]]) -> Axis:
    """Return the axis of some distances.

    Args:
        distances: for each its name, the distance in noise units, and whether it counts as an agreement.
    """
    dots = tuple(Dot(place(units), within, f"{name}: {in_words(units)}") for name, units, within in distances)
    said = "; ".join(dot.text for dot in dots) or "no distance"
    within = f"{AGREES_WITHIN:g}"
    label = f"Logarithmic axis of distances in noise units; agreement ends at {within}. {said}."
    ticks = tuple((place(10.0**power), power) for power in TICKS)
    return Axis(dots, place(AGREES_WITHIN), within, ticks, label)


def place(units: float) -> float:
    """Return where a distance stands on the axis, in percent of its width."""
    if units == 0 or math.isnan(units):
        return ROOM / 2 if units == 0 else 100 - ROOM / 2
    power = math.inf if math.isinf(units) else math.log10(abs(units))
    if power > HIGH:
        return 100 - ROOM / 2
    part = (max(power, LOW) - LOW) / (HIGH - LOW)
    return round(ROOM + part * (100 - 2 * ROOM), 2)


def in_words(units: float) -> str:
    """Return a distance as text."""
    if not math.isfinite(units):
        return "beyond all units"
    text = f"{units:.2g}"
    return f"{text} noise unit{'' if text == '1' else 's'}"
