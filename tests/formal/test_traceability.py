"""From every formal statement to its item, to the shipped code, to its mirror and to its derivations."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import mirror
import statements
from items import ITEMS
from links import broken, derivations

pytestmark = pytest.mark.smoke

FORMAL = statements.HERE
TABLE = (FORMAL / "traceability.md").read_text("utf-8")
THEOREMS = [one for one in statements.read() if one.is_claim]
DEFINITIONS = [one for one in statements.read() if not one.is_claim]
NONE = "—"
BEYOND = "(beyond the documents)"


def rows(cells):
    """Return the rows of the table with so many cells, backquotes left out."""
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE.splitlines()]
    return [
        [cell.replace("`", "") for cell in row]
        for row in found
        if len(row) == cells and row[0].startswith("`")
    ]


def expected(some):
    return [[one.name, one.file, ", ".join(dict.fromkeys(one.items)) or NONE] for one in some]


def quoted():
    """Return, for each name defined in the mirror, the comment that stands directly above it."""
    found = {}
    for path in sorted(Path(mirror.__file__).parent.glob("[a-z]*.py")):
        lines = path.read_text("utf-8").splitlines()
        for node in ast.parse("\n".join(lines)).body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Assign)):
                continue
            name = node.targets[0].id if isinstance(node, ast.Assign) else node.name
            first = node.lineno - 1
            while lines[first - 1].startswith("#") and not re.fullmatch(r"# \w+\.v", lines[first - 1]):
                first -= 1
            found[name] = [line.removeprefix("# ") for line in lines[first : node.lineno - 1]]
    return found


def test_every_theorem_stands_in_the_table_and_no_other():
    assert [row[:3] for row in rows(5)] == expected(THEOREMS)


def test_every_definition_stands_in_the_table_and_no_other():
    assert [row[:3] for row in rows(4)] == expected(DEFINITIONS)


def test_every_source_is_built():
    assert {path.name for path in FORMAL.glob("*.v")} == {path.name for path in statements.files()}


def test_every_statement_has_a_comment_and_every_theorem_an_item_or_says_that_it_has_none():
    assert not [one.name for one in THEOREMS + DEFINITIONS if not one.comment.endswith((".", ".)"))]
    assert not [one.name for one in THEOREMS if not one.items and BEYOND not in one.comment]
    assert {item for one in THEOREMS + DEFINITIONS for item in one.items} <= ITEMS.keys()


def test_no_name_is_given_twice():
    names = [one.name for one in THEOREMS + DEFINITIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted({row[3] for row in rows(5) + rows(4)} - {NONE}))
def test_the_shipped_name_exists(name):
    found, parts = importlib.import_module("backproof"), name.split(".")[1:]
    for i, part in enumerate(parts):
        if not hasattr(found, part):
            importlib.import_module(".".join(["backproof", *parts[: i + 1]]))
        found = getattr(found, part)
    assert found is not None


def test_every_derivation_that_the_table_links_to_exists_and_fits_its_theorem():
    known, linked = derivations(FORMAL.parent), {row[0]: row[4] for row in rows(5)}
    assert len(known) > 100
    for one in THEOREMS:
        links = [] if linked[one.name] == NONE else linked[one.name].split(", ")
        assert broken(links, one.items, known) == [], one.name
        assert len(links) == len(set(links)), one.name


def test_every_definition_has_a_mirror_that_quotes_it_and_no_other():
    assert quoted() == {one.name: one.text.splitlines() for one in DEFINITIONS}


def test_every_mirror_is_run_by_a_test():
    folder = Path(__file__).parent
    text = "".join(path.read_text("utf-8") for path in [*folder.glob("test_mirror*.py"), folder / "drawn.py"])
    assert [one.name for one in DEFINITIONS if not re.search(rf"\bmirror\.{one.name}\b", text)] == []


def test_a_statement_is_read_with_the_comment_above_it():
    text = "(* Old. *)\n\n(* δ is z\n   (S0.3, X.2). *)\nTheorem t x :\n  x.+1 = y.\nProof. by []. Qed.\n"
    (one,) = statements.read_text("a.v", text)
    assert one == ("a.v", "Theorem", "t", "Theorem t x :\n  x.+1 = y.", "δ is z (S0.3, X.2).")
    assert one.items == ("S0.3", "X.2")
    (bare,) = statements.read_text("a.v", "Lemma l : a.\nProof. by []. Qed.\n\nDefinition d := 1.\n")
    assert (bare.comment, bare.is_claim) == ("", False)


def test_a_derivation_is_found_in_a_file_and_in_a_folder_of_its_document(tmp_path):
    (tmp_path / "doc_000").mkdir()
    (tmp_path / "doc_000" / "last.py").write_text('@derivation("z", items=("S0.3", "E0"))\ndef f(): ...\n')
    (tmp_path / "doc_001.py").write_text(
        '@bp.derivation("z", items=("S1.5",))\ndef g(): ...\n\n@bp.derivation("z")\ndef h(): ...\n'
        '\n@other(items=("S1.5",))\ndef i(): ...\n\ndef j(): ...\n'
    )
    assert derivations(tmp_path) == {"doc_000.f": ("S0.3", "E0"), "doc_001.g": ("S1.5",), "doc_001.h": ()}


def test_a_link_that_leads_nowhere_or_to_another_document_is_found():
    known = {"doc_000.f": ("S0.3",), "doc_003.g": ("E3", "X.2"), "cross_cutting.h": ("X.1",)}
    assert broken(["doc_000.f"], ["S0.3"], known) == broken(["doc_000.f"], ["S0.8"], known) == []
    assert broken(["doc_003.g"], ["X.2"], known) == broken(["cross_cutting.h"], ["X.2"], known) == []
    assert broken(["doc_000.nothing"], ["S0.3"], known) == ["there is no derivation doc_000.nothing"]
    (foreign,) = broken(["cross_cutting.h"], ["S1.8", "S0.3"], known)
    assert foreign == "cross_cutting.h has neither an item nor the document of S0.3, S1.8"
    assert broken(["doc_000.f", "doc_003.g"], ["S3.1"], known)[0].startswith("doc_000.f has neither")
