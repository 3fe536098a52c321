"""The catalogue rule by rule, written when the site is built: each verdict on the page was reached for it.

A verdict takes a second or more, so they are kept beside the page, and reached again when a file of the
package, or of the derivations in docs/catalogue/, has changed. A verdict that is not good is a warning, and an error under `-W`.
"""

import hashlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.display import status_iterator
from sphinx.util.logging import getLogger
from sphinx.util.typing import ExtensionMetadata

from backproof import losses, rules
from backproof.catalogue import NETWORKS, PRECISIONS, SHIPPED
from backproof.cli.options import Options
from backproof.cli.shipped import default_cache, default_jobs, reports
from backproof.derivations import verify_each
from backproof.derivations.files import find
from backproof.derivations.markdown import table
from backproof.rule import Loss, Rule
from repository import DOCS, GENERATED, ROOT, write_if_new

LOG = getLogger(__name__)
PAGE, KEPT = GENERATED / "catalogue.md", GENERATED / "catalogue.json"
# The derivation in docs/catalogue/ of a member with one for its variant, or without one for its form of the
# target. Any other is the name without what stands in brackets, and without the word `with` before them.
OF_VARIANTS = {
    "relu_with(0.5)": "relu_half",
    "relu_with(1)": "relu_1",
    "leaky_relu_with(-0.5)": "leaky_relu_negative",
    "elu_with(0.5)": "elu_half",
    "huber_with(0.5)": "huber_half",
    "softmax_cross_entropy_dense": "softmax_cross_entropy",
}
GROUPS: dict[str, tuple[Rule | Loss, ...]] = {
    **rules.FAMILIES,
    "Networks": NETWORKS,
    "Losses": losses.CATALOGUE,
}
RUNS = r"this is what runs: [^)]*\b{}\b"
HEAD = """# The catalogue

Everything that backproof ships with a backward pass written by hand: {count} rules, networks and losses. The
verdict next to each was reached when this page was built, with backproof {version}, in {precisions}; `backproof
verify` reaches the same on your machine. The formula of a rule or a loss is the last line of a derivation, of which
every line was checked at drawn points, and which ends in the code below it.

{table}"""


def derivation_of(member: Rule | Loss) -> str:
    """Return the name of the derivation that ends in the code of a member of the catalogue."""
    return OF_VARIANTS.get(member.name, member.name.partition("(")[0].removesuffix("_with"))


def write_page(app: Sphinx) -> None:
    """Write the page of the catalogue."""
    reports = reached()
    for one in reports["verdicts"]:
        if not one["ok"]:
            LOG.warning("catalogue: %s: %s", one["name"], one["text"], type="catalogue")
    for name, one in reports["derivations"].items():
        if not one["ok"]:
            LOG.warning("catalogue: %s: %s", name, one["text"], type="catalogue")
    write_if_new(PAGE, page(reports["verdicts"], reports["derivations"], app.config.release))


def reached() -> dict[str, Any]:
    """Return the verdicts on the members of the catalogue, and their derivations, kept or reached now."""
    kept = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    sources = sorted((ROOT / "src").rglob("*.py"))
    written = sorted((DOCS / "catalogue").glob("*.py"))
    found = {
        "verdicts": _kept_or(kept.get("verdicts"), sources, _verdicts),
        "derivations": _kept_or(kept.get("derivations"), [*sources, *written], _derivations),
    }
    write_if_new(KEPT, json.dumps(found, ensure_ascii=False, indent=1))
    return {name: one["found"] for name, one in found.items()}


def _kept_or(kept: dict[str, Any] | None, files: list[Path], reach: Callable[[], Any]) -> dict[str, Any]:
    """Return what was found when the files were the same, or what `reach` finds now."""
    state = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return kept if kept and kept["state"] == state else {"state": state, "found": reach()}


def _verdicts() -> list[dict[str, Any]]:
    found = reports(range(len(SHIPPED)), Options(), default_jobs(), default_cache())
    said = "verifying the catalogue ... "
    shown = status_iterator(found, said, length=len(SHIPPED), stringify_func=lambda one: one.name)
    return [_verdict(one) for one in shown]


def _derivations() -> dict[str, Any]:
    """Return the derivations of docs/catalogue/ by their names."""
    return {
        report.name: {"ok": report.ok, "text": str(report), "prose": report.prose, "table": table(report)}
        for report in verify_each(find([DOCS / "catalogue"]))
    }


def _verdict(report: Any) -> dict[str, Any]:
    return {
        "name": report.name,
        "ok": report.ok,
        "verdict": str(report.verdict),
        "said": report.explanation,
        "examples": report.examples,
        "worst": report.worst,
        "text": str(report),
    }


def page(verdicts: list[dict[str, Any]], derivations: dict[str, Any], release: str) -> str:
    """Return the page, from the verdict on each member of `SHIPPED` and the derivations by name."""
    said = {one["name"]: one for one in verdicts}
    parts = [
        HEAD.format(
            count=len(SHIPPED),
            version=release,
            precisions=", ".join(PRECISIONS),
            table=overview(said),
        )
    ]
    for title, members in GROUPS.items():
        parts.append(f"## {title}")
        parts += [section(member, said[member.name], derivations) for member in members]
    return "\n\n".join(parts) + "\n"


def overview(said: dict[str, Any]) -> str:
    """Return a table of all members with their verdicts."""
    rows = ["| | verdict | points | farthest from autodiff, in noise units |", "|---|---|---|---|"]
    for members in GROUPS.values():
        for member in members:
            one = said[member.name]
            link = f"[`{member.name}`](#{slug(member.name)})"
            rows.append(f"| {link} | {badge(one['verdict'])} | {one['examples']} | {one['worst']:.2g} |")
    return "\n".join(rows)


def badge(verdict: str) -> str:
    """Return a verdict as a badge of sphinx-design."""
    return (
        f"{{bdg-success}}`{verdict}`"
        if verdict in ("AGREES", "SUBGRADIENT")
        else f"{{bdg-danger}}`{verdict}`"
    )


def slug(name: str) -> str:
    """Return the anchor of a section with this name."""
    return "catalogue-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def section(member: Rule | Loss, verdict: dict[str, Any], derivations: dict[str, Any]) -> str:
    """Return one member: its verdict, what its file says, its derivation and its code."""
    kink = f" {verdict['said']}" if verdict["said"] else ""
    parts = [f"({slug(member.name)})=\n### `{member.name}`", f"{badge(verdict['verdict'])}{kink}"]
    derived = derivations.get(derivation_of(member))
    if derived:
        parts += [derived["prose"], derived["table"]]
    else:
        parts.append(NETWORK)
    parts.append(_shown_in(member))
    parts.append(_folded("What its file says", f"```text\n{_docstring(member)}\n```"))
    code = "\n\n".join(_code(function) for function in (member.forward, member.backward))
    parts.append(_folded("Code: forward and backward", f"```python\n{code}\n```"))
    return "\n\n".join(part for part in parts if part)


NETWORK = (
    "The recursion δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l) is derived in [document 000](../documents/doc_000.md) and "
    "[proved](formal.md) for every depth; a composition runs the backward passes of its parts."
)


def _shown_in(member: Rule | Loss) -> str:
    """Return how many derivations of each document end in the code of a member, with a link."""
    name, found = derivation_of(member), []
    for path in sorted((DOCS / "documents").glob("doc_*.md")):
        sections = path.read_text("utf-8").split("\n### ")[1:]
        mine = [one.partition(" (")[0] for one in sections if re.search(RUNS.format(name), one)]
        if mine:
            found.append(
                f"[{path.stem.replace('doc_', 'document ')}](../documents/{path.name}) ({', '.join(mine)})"
            )
    return f"The documents derive it, too: {'; '.join(found)}." if found else ""


def _docstring(member: Rule | Loss) -> str:
    return inspect.getdoc(inspect.getmodule(member.forward)) or ""


def _code(function: Any) -> str:
    return textwrap.dedent(inspect.getsource(inspect.unwrap(function))).rstrip()


def _folded(title: str, text: str) -> str:
    return f"::::{{dropdown}} {title}\n{text}\n::::"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the page before any page is read."""
    app.connect("builder-inited", write_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
