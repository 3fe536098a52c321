r"""The formulas of everything shipped in LaTeX, as in the docstrings of their files; a file for each family.

For each name in the catalogue the formula of the function and that of its backward pass; \bar v stands
for ∂L/∂v.
"""

from collections.abc import Mapping

from backproof.reporting.formulas import (
    activations,
    attention,
    heads,
    layers,
    linear_maps,
    losses,
    networks,
    recurrences,
)

FAMILIES = (layers, activations, attention, linear_maps, recurrences, networks, losses, heads)
SHIPPED_FORMULAS: Mapping[str, tuple[str, str]] = {
    name: both for family in FAMILIES for name, both in family.FORMULAS.items()
}
