"""The map of proofs/README.md: from each item to its derivations, the code they end in, and its tests.

    python tests/spec/proof_map.py

writes both tables anew: the map is read from the files, the errata are run.
"""

import re
from pathlib import Path

from backproof.derivations import find, verify_each
from backproof.derivations.latex import readable
from backproof.derivations.source import shipped, source_of
from items import ITEMS, READING_NOTES
from test_coverage import marked

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "proofs" / "README.md"


def derivations():
    """Return every derivation of the documents, in the order of the files and of their sources."""
    return find([ROOT / "proofs"])


def document_of(path):
    """Return the document of a file of proofs/: the folder in which it is."""
    return Path(path).parent.name


def code_of(derivation):
    """Return what of the library the last line of a derivation runs; empty if nothing."""
    if derivation.ships:
        return derivation.ships
    source = source_of(derivation.function)
    yields = source.yields() if source else []
    return (shipped(source, yields[-1].lineno) if yields else None) or ""


def tests_of():
    """Return for each item the files of its tests."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for item in marked(path.read_text("utf-8")):
            found.setdefault(item, []).append(path.relative_to(ROOT / "tests").as_posix())
    return found


def row(*cells):
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def map_of_items(found):
    """Return the map as Markdown: item, kind, what it says, derivations, code, tests."""
    tests = tests_of()
    rows = ["| item | kind | what | derivation | code | test |", "|---|---|---|---|---|---|"]
    for item, (kind, what) in ITEMS.items():
        mine = [one for one in found if item in one.items]
        places = "; ".join(f"`{document_of(one.path)}.{one.name}`" for one in mine)
        code = ", ".join(dict.fromkeys(f"`{code_of(one)}`" for one in mine if code_of(one)))
        rows.append(row(item, kind, what, places, code, ", ".join(tests.get(item, []))))
    return "\n".join(rows)


def table_of_errata(reports):
    """Return the errata as Markdown: where each fails, by what cause, and what a reader needs to know."""
    rows = ["| erratum | the line | cause | | derivation |", "|---|---|---|---|---|"]
    for report in sorted(reports, key=lambda one: one.refutes.erratum):
        line = next(one for one in report.lines if one.number == report.wrong)
        formula = readable(line.latex) or line.reason  # what raises before its line is reached has no formula
        place = f"`{document_of(report.file)}.{report.name}`, line {report.wrong}"
        rows.append(row(report.refutes.erratum, formula, report.cause, report.refutes.because, place))
    notes = [row(name, "", "reading note", note, "not executable") for name, note in READING_NOTES.items()]
    return "\n".join(rows + notes)


def written(text, name, table):
    """Return `text` with the table between the marks of this name replaced."""
    begin, end = f"<!-- {name}: begin -->\n", f"\n<!-- {name}: end -->"
    assert begin in text, name
    assert end in text, name
    return re.sub(
        re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + table + end, text, flags=re.DOTALL
    )


def table_in(text, name):
    """Return what stands between the marks of this name."""
    return text.split(f"<!-- {name}: begin -->\n")[1].split(f"\n<!-- {name}: end -->")[0]


def main():
    """Write both tables of proofs/README.md anew."""
    found = derivations()
    text = README.read_text("utf-8")
    text = written(text, "map", map_of_items(found))
    errata = list(verify_each(one for one in found if one.refutes))
    README.write_text(written(text, "errata", table_of_errata(errata)), "utf-8")


if __name__ == "__main__":
    main()
