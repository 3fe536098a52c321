"""The lines of a user's source around the ones that are blamed."""

import linecache
from collections.abc import Sequence
from typing import NamedTuple

# How many lines are shown before and after those in question.
AROUND = 2


class Row(NamedTuple):
    """Holds one line of the source: its number, its text, and whether it is blamed; no number is a gap."""

    number: int | None
    text: str
    blamed: bool = False

    @property
    def indent(self) -> str:
        """The blanks at the beginning of the line."""
        return self.text[: len(self.text) - len(self.text.lstrip())]


def excerpt(file: str, lines: Sequence[int], texts: Sequence[str]) -> list[Row]:
    """Return the lines of `file` around the blamed ones.

    Where the source cannot be read, or has changed since, the blamed lines stand alone.

    Args:
        file: the path of the source.
        lines: the numbers of the blamed lines.
        texts: what stood there.
    """
    blamed = dict(zip(lines, texts, strict=True))
    if not all(text.strip() in linecache.getline(file, line) for line, text in blamed.items()):
        return [Row(line, text.strip(), blamed=True) for line, text in blamed.items()]
    near = {at for line in lines for at in range(line - AROUND, line + AROUND + 1) if at > 0}
    near = sorted(near | {at for at in range(1, max(lines)) if {at - 1, at + 1} <= near})
    shown = [(at, linecache.getline(file, at).rstrip().expandtabs(4)) for at in near]
    margin = min((len(text) - len(text.lstrip()) for _, text in shown if text), default=0)
    rows: list[Row] = []
    for at, text in shown:
        if rows and at - (rows[-1].number or at) > 1:
            rows.append(Row(None, "⋮"))
        rows.append(Row(at, text[margin:], at in blamed))
    while rows and not rows[-1].text:
        rows.pop()
    while rows and not rows[0].text:
        rows.pop(0)
    return rows
