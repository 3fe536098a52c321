"""The documents as pages: formula, reason, verdict and code of every derivation, in their order.

    python tests/spec/pages.py

runs every derivation, and writes docs/documents/ anew.
"""

import inspect
import sys
import textwrap
from pathlib import Path

from backproof.derivations import verify_each
from backproof.derivations.files import load
from backproof.derivations.markdown import table
from items import ITEMS
from proof_map import ROOT, derivations

PAGES = ROOT / "docs" / "documents"
LEAD = """*Written by `python tests/spec/pages.py` from [`proofs/{0}`](../../proofs/{0}); do not edit.*

`backproof verify proofs/{0}` checks all of it. The names that the sections share stand in
[`__init__.py`](../../proofs/{0}/__init__.py).

Each line of a table must equal the line before it at every drawn point; a claim (≤, ≠, …) stands alone.
Line 0 *starts*: it is the definition, *anchored* in the autodiff that evaluates it. *This is what runs*
names the code of the library in which the last line ends. What is checked is the code; that a formula and
its reason say the same is for the reader to see. S and X number statements of the specification, E the
documents' slips: an erratum is as it should be if it is **REFUTED** at the line where the document errs."""


def documents():
    """Return the folders of the documents."""
    return sorted({Path(one.path).parent for one in derivations()})


def page_of(folder, sections):
    """Return the page of a document, from the section of each of its derivations."""
    title, text = _titled(load(folder / "__init__.py"))
    parts = [f"# {title}", LEAD.format(folder.name), text]
    files = list(dict.fromkeys(one.path for one in sections))
    for path in files:
        heading, prose = _titled(load(Path(path)))
        parts += [f"## {heading}", prose]
        parts += [sections[one] for one in sections if one.path == path]
    return "\n\n".join(part for part in parts if part) + "\n"


def section_of(derivation, report):
    """Return a derivation as Markdown: what it shows, its lines with their verdicts, and its code."""
    items = ", ".join(derivation.items)
    parts = [f"### {derivation.name.replace('_', ' ')} ({items})"]
    parts += [f"> **{item}** ({ITEMS[item][0]}): {ITEMS[item][1]}" for item in derivation.items]
    parts += [f"$${derivation.latex}$$", report.prose, table(report)]
    at = "" if report.wrong is None else f" at line {report.wrong} ({report.cause})"
    stated = derivation.refutes
    parts.append(f"**{report.verdict}**{at}" + (f". {stated.erratum}: {stated.because}" if stated else ""))
    if report.uses:
        parts.append(f"Rests on {', '.join(f'`{name}`' for name in report.uses)}.")
    code = textwrap.dedent(inspect.getsource(derivation.function)).rstrip()
    parts.append(f"<details><summary>code</summary>\n\n```python\n{code}\n```\n\n</details>")
    return "\n\n".join(parts)


def _titled(module):
    """Return the first line of a module's docstring, and the rest of it."""
    title, _, text = (inspect.getdoc(module) or "").partition("\n")
    return title.rstrip("."), text.strip()


def main():
    """Write the pages anew."""
    found = derivations()
    reports = dict(zip(found, verify_each(found), strict=True))
    fallen = [str(report) for report in reports.values() if not report.ok]
    if fallen:
        sys.exit("\n\n".join(fallen))
    PAGES.mkdir(exist_ok=True)
    for folder in documents():
        mine = [one for one in found if Path(one.path).parent == folder]
        sections = {one: section_of(one, reports[one]) for one in mine}
        (PAGES / f"{folder.name}.md").write_text(page_of(folder, sections), "utf-8")


if __name__ == "__main__":
    main()
