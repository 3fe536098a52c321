"""How a line of the source reads once an expression in it is exchanged."""

import ast

from backproof.verification.blame.edits import plain_text
from backproof.verification.blame.marking import Expression


def respelled(one: Expression, text: str) -> str:
    """Return the line of an expression with another text in its place, in parentheses if it needs them."""
    plain = plain_text(text)
    safe = _spliced(one, f"({plain})")
    for written, more in ((plain, 1), (plain, 0)):
        bare = _spliced(one, written, more)
        if _dump(bare[0]) == _dump(safe[0]) != "":
            return " ".join(bare[1].split())
    return " ".join(safe[1].split())


def _spliced(one: Expression, text: str, more: int = 0) -> tuple[str, str]:
    """Return the file with another text for an expression, and those of its lines that hold the expression.

    Args:
        one: the expression.
        text: what stands in its place.
        more: how many characters around it are replaced too: the parentheses in which it stands.
    """
    node, lines = one.node, [line.encode() for line in one.source.lines]
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset or 0 :]
    if more and before.endswith(b"(") and after.startswith(b")"):
        before, after = before[:-1], after[1:]
    changed = before + text.encode() + after
    whole = b"".join([*lines[:first], changed, *lines[last + 1 :]])
    return whole.decode(), without_comment(changed.decode())


def without_comment(line: str) -> str:
    """Return a line of code without the comment that ends it."""
    for place, sign in enumerate(line):
        if sign == "#":
            head = line[:place]
            if head.count('"') % 2 == 0 and head.count("'") % 2 == 0:
                return head.strip()
    return line.strip()


def _dump(text: str) -> str:
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:
        return ""
