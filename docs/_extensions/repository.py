"""Pages of the repository that stand outside docs/, and links from any page to files there.

A page of `PAGES` is copied below docs/generated/ when the site is built. Links are written as they work in a
clone, relative to the file that has them; on the site they lead to the page that shows the file. A link to
any other file or folder becomes its path, in code. A link to nothing is a warning, and an error under `-W`.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.util.typing import ExtensionMetadata

LOG = getLogger(__name__)
DOCS = Path(__file__).parent.parent
ROOT = DOCS.parent
GENERATED = DOCS / "generated"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "proofs/README.md": "chain-of-trust.md",
    "proofs/formal/README.md": "formal.md",
    "proofs/formal/traceability.md": "traceability.md",
}
CAME_FROM = {GENERATED / name: ROOT / path for path, name in PAGES.items()}
SHOWN = {ROOT / path: GENERATED / name for path, name in PAGES.items()} | {
    ROOT / "README.md": DOCS / "index.md",
    ROOT / "docs": DOCS / "index.md",
    ROOT / "docs" / "documents": DOCS / "documents" / "index.md",
}
# In blocks and words of code, no link is one.
FENCE, CODE = r"^(?P<fence>`{3,})(?!\{).*?^(?P=fence)", r"`[^`\n]+`"
LINK = r"(?<!!)\[(?P<words>[^\[\]]*)\]\((?![a-z]+:|#)(?P<path>[^()#\s]+)(?P<anchor>#[^()\s]*)?\)"
TOKEN = re.compile(f"{FENCE}|{LINK}|{CODE}", re.MULTILINE | re.DOTALL)


def write_if_new(path: Path, text: str) -> None:
    """Write a generated page, unless it is there already: an unchanged page is not read again."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def copy_pages(app: Sphinx) -> None:
    """Copy the pages of the repository below docs/generated/."""
    for page, source in CAME_FROM.items():
        write_if_new(page, source.read_text("utf-8"))


def mend_links(app: Sphinx, docname: str, content: list[str]) -> None:
    """Turn the links of a page, which work in a clone, into links that work on the site."""
    page = Path(app.env.doc2path(docname))
    content[0] = relinked(content[0], page, CAME_FROM.get(page, page), docname)


def relinked(text: str, page: Path, source: Path, docname: str) -> str:
    """Return the text of `page`, whose links are relative to `source`, with links relative to `page`."""

    def instead(found: re.Match[str]) -> str:
        words, path, anchor = found["words"], found["path"], found["anchor"] or ""
        if path is None:
            return found[0]
        target = Path(os.path.normpath(source.parent / path))
        if not target.exists():
            LOG.warning("[%s](%s) links to nothing", words, path, location=docname, type="repository")
            return words
        shown = SHOWN.get(target, target)
        if shown.suffix == ".md" and shown.is_relative_to(DOCS):
            return f"[{words}]({os.path.relpath(shown, page.parent)}{anchor})"
        named = f"`{target.relative_to(ROOT)}`"
        return named if words.strip("`") in path else f"{words} ({named})"

    return TOKEN.sub(instead, text)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Copy the pages before any is read, and mend the links of each as it is read."""
    app.connect("builder-inited", copy_pages)
    app.connect("source-read", mend_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
