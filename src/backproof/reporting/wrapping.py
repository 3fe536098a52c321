"""Text in a terminal: lines that are too long are broken between words; elsewhere they stay whole."""

import textwrap

from rich.console import Console
from rich.text import Text

HANGING = 4


def say(console: Console, text: str, style: str = "") -> None:
    """Print text as it stands, and in a terminal no wider than that is.

    Brackets are no markup. What is piped or written to a file keeps its lines, so that a program can read it.
    """
    lines = text.splitlines() or [""]
    if console.is_terminal:
        lines = [part for line in lines for part in wrapped(line, console.width)]
    for line in lines:
        console.print(Text(line, style), highlight=False, soft_wrap=True)


def wrapped(line: str, width: int) -> list[str]:
    """Return a line in parts of at most `width` columns, those after the first further to the right.

    A word alone that is wider than that is broken.
    """
    if len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip()) + HANGING
    further = " " * min(indent, width // 2)
    return textwrap.wrap(line, width, subsequent_indent=further, break_on_hyphens=False) or [line]
