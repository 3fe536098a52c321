"""A picture of the network 3-4-2: its units with their numbers, and its weights, of which some stand out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from backproof.page.grids import number

# Where the columns and rows stand, in the units of the picture.
COLUMNS, MIDDLE, APART = (50, 180, 310), 92, 44
SIZES = (3, 4, 2)


class Node(NamedTuple):
    """Holds one unit of the picture: where it stands, its number, and how it looks."""

    x: float
    y: float
    text: str
    look: str


class Edge(NamedTuple):
    """Holds one weight of the picture."""

    x1: float
    y1: float
    x2: float
    y2: float
    look: str


class Picture(NamedTuple):
    """Holds the network at one step: its units, its weights, and what the numbers of each column are.

    A name comes in two parts, the letter and the layer.
    """

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    names: Sequence[tuple[float, str, str]]
    said: str


def picture(
    layers: Sequence[Any], names: Sequence[str], *, edges: int = 0, units: int = 0, backward: bool = False
) -> Picture:
    """Return the network with the numbers of its layers; the weights or the units at work stand out.

    Args:
        layers: the numbers of each layer, from the input on; None where they are not known yet.
        names: what they are, e.g. `a^(1)`; empty where they are not known yet.
        edges: the layer whose weights are at work; 0 if none are.
        units: the layer whose units are at work; 0 if none are.
        backward: whether this is the way back.
    """
    look, sizes = "back" if backward else "forth", (3, 4, 2)
    places = [
        [(x, MIDDLE + APART * (i - (n - 1) / 2)) for i in range(n)]
        for x, n in zip(COLUMNS, sizes, strict=True)
    ]
    nodes, lines = [], []
    for layer, (column, known) in enumerate(zip(places, layers, strict=True)):
        texts = [""] * len(column) if known is None else [number(one) for one in np.round(known, 2) + 0.0]
        at_work = layer == units if units else layer == edges
        nodes += [
            Node(x, y, text, look if at_work else "calm") for (x, y), text in zip(column, texts, strict=True)
        ]
    for layer in (1, 2):
        lines += [
            Edge(*start, *end, look if layer == edges else "calm")
            for start in places[layer - 1]
            for end in places[layer]
        ]
    shown = []
    for x, name in zip(COLUMNS, names, strict=True):
        letter, _, layer = name.partition("^")
        shown.append((x, letter, layer))
    where = f"The weights into layer {edges}" if edges else f"The units of layer {units}"
    return Picture(nodes, lines, shown, f"The network 3-4-2. {where} are at work.")
