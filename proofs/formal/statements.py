"""What the development states: every definition and theorem, read from the .v files."""

import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
DEFINITIONS = ("Definition", "Fixpoint", "Inductive", "Record")
CLAIMS = ("Theorem",)  # a Lemma is scaffolding: checked like a theorem, listed nowhere
COMMENT = re.compile(r"\(\*.*?\*\)", re.DOTALL)
STATEMENT = re.compile(
    rf"(?:\(\*\s*(?P<comment>(?:(?!\*\)).)*?)\s*\*\)\n)?^(?P<kind>{'|'.join(DEFINITIONS + CLAIMS)})"
    r"\s+(?P<name>\w+).*?\.$",
    re.DOTALL | re.MULTILINE,
)
ITEM = re.compile(r"\b[SX]\d?\.\d+\b")


class Statement(NamedTuple):
    """Holds one definition or theorem: its words, and the comment that stands directly above it."""

    file: str
    kind: str
    name: str
    text: str
    comment: str

    @property
    def items(self) -> tuple[str, ...]:
        """Return the items of the specification that the comment names."""
        return tuple(ITEM.findall(self.comment))

    @property
    def is_claim(self) -> bool:
        """Return whether it is a theorem."""
        return self.kind in CLAIMS


def read(folder: Path = HERE) -> list[Statement]:
    """Return every definition and theorem of the files in _CoqProject, in its order."""
    return [one for path in files(folder) for one in read_text(path.name, path.read_text("utf-8"))]


def read_text(file: str, text: str) -> list[Statement]:
    """Return every definition and theorem in the text of one file."""
    return [
        Statement(
            file,
            found["kind"],
            found["name"],
            found[0][found.start("kind") - found.start() :],
            " ".join((found["comment"] or "").split()),
        )
        for found in STATEMENT.finditer(text)
    ]


def files(folder: Path = HERE) -> list[Path]:
    """Return the files in the order in which _CoqProject lists them."""
    lines = (folder / "_CoqProject").read_text("utf-8").split()
    return [folder / line for line in lines if line.endswith(".v")]


def without_comments(text: str) -> str:
    """Return the text with comments blanked out and its lines kept (comments here are not nested)."""
    return COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
