"""Reports as one page: a file that needs no network, opens from disk, prints, and reads well on a phone."""

import base64
import hashlib
import importlib.metadata
import itertools
import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backproof import __version__
from backproof.derivations import DerivationReport
from backproof.errors import UsageError, message
from backproof.page.axis import Axis
from backproof.page.cards import Formula, axis_of, axis_of_lines, derivation_card, look_of, report_card
from backproof.page.extra import require_packages
from backproof.page.templates import bytes_of, render, text_of
from backproof.reporting.sweep import TESTNET
from backproof.reporting.sweep_steps import steps
from backproof.reporting.to_json import write_text
from backproof.verification import Report

AnyReport = Report | DerivationReport
# Packages whose versions a reader may need to repeat a run.
VERSIONS = ("jax", "jaxlib", "numpy", "scipy", "hypothesis")


class Row(NamedTuple):
    """Holds one row of a summary: the anchor of the card, the report, its look, and its distances."""

    anchor: str
    report: Any
    look: tuple[str, str]
    axis: Axis


class Group(NamedTuple):
    """Holds the rows and the cards of one part of the page: the functions, or the derivations of one file."""

    title: str
    rows: Sequence[Row]
    cards: Sequence[str]

    @property
    def good(self) -> int:
        """How many reports are good."""
        return sum(row.report.ok for row in self.rows)


def write_html(
    reports: AnyReport | Iterable[AnyReport],
    path: str | Path,
    *,
    formulas: Mapping[str, tuple[str, str]] | None = None,
    command: str = "",
    seed: int | None = None,
) -> None:
    r"""Write reports to `path` as one page of HTML, whole or not at all.

    The file needs no network and no other file. It holds a summary; a card for each function and derivation
    with its lines, distances and reach; for a failure the wrong line in its source, the mend, the smallest
    example and the code that replays it; and the versions with which all that was found. The network of the
    documents, `bp.mlp([3, 4, 2], bp.rules.relu)`, comes with its sweep, step by step.

    Args:
        reports: what `bp.verify` and `derivation.verify()` return: one of them or several.
        path: the file to write.
        formulas: by the name of a report, the formula of the function and that of its backward
            pass, in LaTeX.
        command: the command that was run, to be shown.
        seed: the seed of the derivations, to be shown; other reports know theirs.

    Raises:
        UsageError: Jinja2 or math-core is not installed, something is no report, or the folder of the
            file does not exist.
    """
    require_packages("write_html")
    several = [reports] if isinstance(reports, AnyReport) else list(reports)
    for one in several:
        if not isinstance(one, AnyReport):
            raise UsageError(
                message(
                    must="a page is made of reports on functions and derivations",
                    found=f"{type(one).__name__}",
                    where="write_html",
                    do="pass what bp.verify or derivation.verify() returns",
                )
            )
    path = Path(path)
    if not path.parent.is_dir():
        raise UsageError(
            message(
                must="the folder of the page must exist",
                found=f"path={str(path)!r}",
                where="write_html",
                do=f"make {str(path.parent)!r}, or write the page elsewhere",
            )
        )
    write_text(_page(several, formulas or {}, command, seed), path)


def _page(
    reports: Sequence[AnyReport], formulas: Mapping[str, tuple[str, str]], command: str, seed: int | None
) -> str:
    functions = [one for one in reports if isinstance(one, Report)]
    derivations = [one for one in reports if isinstance(one, DerivationReport)]
    ids = {"bp-content"}  # of the page itself
    groups = [_functions(functions, formulas, ids)] if functions else []
    groups += _derivations(derivations, ids)
    rows = [row for group in groups for row in group.rows]
    script = text_of("page.js")
    return render(
        "document.html",
        title=_title(rows),
        all_good=all(row.report.ok for row in rows),
        counts=_counts(rows),
        bad=[row for row in rows if not row.report.ok],
        groups=groups,
        environment=_environment(functions, command, seed),
        style=text_of("parts.css"),
        page_style=text_of("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        font=base64.b64encode(bytes_of("stix-two-math.woff2")).decode(),
    )


def _title(rows: Sequence[Row]) -> str:
    good = sum(row.report.ok for row in rows)
    if good < len(rows):
        return f"{good} of {len(rows)} {'is' if good == 1 else 'are'} good"
    return (
        "nothing verified"
        if not rows
        else f"all {good} are good"
        if good > 1
        else f"{rows[0].report.name} is good"
    )


def _counts(rows: Sequence[Row]) -> list[tuple[tuple[str, str], str, int]]:
    """Return each verdict that occurs, with its look, the most frequent first."""
    found = Counter(row.report.verdict for row in rows)
    return [(look_of(verdict), str(verdict), count) for verdict, count in found.most_common()]


def _functions(reports: Sequence[Report], formulas: Mapping[str, tuple[str, str]], ids: set[str]) -> Group:
    anchors = _anchors([one.name for one in reports], ids)
    rows = [
        Row(anchor, one, look_of(one.verdict), axis_of(one))
        for anchor, one in zip(anchors, reports, strict=True)
    ]
    cards = []
    for row in rows:
        pair = formulas.get(row.report.name, ())
        named = [Formula(name, latex) for name, latex in zip(("forward", "backward"), pair, strict=False)]
        cards.append(report_card(row.report, row.anchor, named, _sweep(row, ids)))
    return Group("Functions", rows, cards)


def _sweep(row: Row, ids: set[str]) -> str:
    """Return the sweep through the documents' network below its report, and nothing below any other."""
    if row.report.name != TESTNET.name:
        return ""
    (anchor,) = _anchors([f"{row.report.name}-sweep"], ids)
    return render("sweep.html", steps=steps(), name="3-4-2", anchor=anchor)


def _derivations(reports: Sequence[DerivationReport], ids: set[str]) -> list[Group]:
    """Return the derivations by file, the files in the order in which they first occur."""
    anchors = _anchors([f"{one.file}-{one.name}" for one in reports], ids)
    links = dict(zip(((one.file, one.name) for one in reports), anchors, strict=True))
    rows = [
        Row(anchor, one, look_of(one.verdict), axis_of_lines(one))
        for anchor, one in zip(anchors, reports, strict=True)
    ]
    by_file: dict[str, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row.report.file, []).append(row)
    found = []
    for file, kept in by_file.items():
        # a name may occur in several files; the one in the same file is meant
        known = {name: at for (_, name), at in links.items()}
        known |= {name: at for (where, name), at in links.items() if where == file}
        found.append(Group(file, kept, [derivation_card(row.report, row.anchor, known) for row in kept]))
    return found


def _anchors(names: Sequence[str], ids: set[str]) -> list[str]:
    """Return an id for each name, all of them different and none among `ids`, to which they are added."""
    found = []
    for name in names:
        plain = "bp-" + re.sub(r"\W+", "-", name).strip("-").lower()
        tries = itertools.chain([plain], (f"{plain}-again-{i}" for i in itertools.count(2)))
        found.append(next(one for one in tries if one not in ids))
        ids.add(found[-1])
    return found


def _environment(reports: Sequence[Report], command: str, seed: int | None) -> list[tuple[str, str]]:
    seeds = dict.fromkeys([*(one.seed for one in reports), *([] if seed is None else [seed])])
    devices = dict.fromkeys(one.reach.device for one in reports if one.reach.device)
    rows = [("command", command)] if command else []
    rows += [("seed", ", ".join(map(str, seeds)))] if seeds else []
    rows += [("device", ", ".join(devices))] if devices else []
    rows += [("backproof", __version__)]
    rows += [(name, importlib.metadata.version(name)) for name in VERSIONS]
    return [
        *rows,
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]
