"""The documents' derivations hold and their errata fail as stated; proofs/README.md says what was run.

Here the right ones are tried at their largest shape, the errata at all of theirs; every shape of all is
tried by `backproof verify proofs/`.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "spec"))

from backproof.derivations import verify_each
from backproof.derivations.slips import Outcome, campaign
from items import ITEMS
from pages import PAGES, documents, page_of, section_of
from proof_map import README, derivations, document_of, map_of_items, table_in, table_of_errata

FOUND = derivations()
RIGHT = [one for one in FOUND if not one.refutes]
ERRATA = [one for one in FOUND if one.refutes]
FILES = sorted({one.path for one in FOUND})
pytestmark = pytest.mark.as_user  # a proof is a user's file


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(Path(path).parts[-2:]))
def test_every_derivation_holds(path):
    mine = [one for one in RIGHT if one.path == path]
    reports = list(verify_each(mine, shapes=1))
    fallen = [str(report) for report in reports if not report.ok]
    assert not fallen, "\n\n".join(fallen)
    assert missing_in_page(mine, reports) == [], "python tests/spec/pages.py writes the pages"


def test_every_erratum_fails_where_and_as_it_is_stated_and_stands_in_the_table():
    reports = list(verify_each(ERRATA))
    fallen = [str(report) for report in reports if not report.ok]
    assert not fallen, "\n\n".join(fallen)
    assert table_in(README.read_text("utf-8"), "errata") == table_of_errata(reports)
    assert missing_in_page(ERRATA, reports) == [], "python tests/spec/pages.py writes the pages"


def missing_in_page(found, reports):
    """Return the names of the derivations that the page of their document does not show as they are."""
    pairs = zip(found, reports, strict=True)
    return [one.name for one, report in pairs if section_of(one, report) not in text_of(one)]


def text_of(derivation):
    return (PAGES / f"{document_of(derivation.path)}.md").read_text("utf-8")


@pytest.mark.parametrize("folder", documents(), ids=lambda folder: folder.name)
def test_a_page_has_every_section_of_its_document_in_order_and_nothing_else(folder):
    mine = [one for one in FOUND if document_of(one.path) == folder.name]
    heads = {one: f"### {one.name.replace('_', ' ')} (" for one in mine}
    text = text_of(mine[0])
    places = [text.index(head) for head in heads.values()]
    assert places == sorted(places)
    assert text.count("\n### ") == len(mine)
    frame = page_of(folder, dict.fromkeys(mine, "")).strip().split("\n\n")
    assert [part for part in frame if part and part not in text] == []


def test_every_item_has_a_derivation_or_a_check():
    shown = {item for one in FOUND for item in one.items}
    assert sorted(ITEMS.keys() - shown) == []
    assert sorted(shown - ITEMS.keys()) == []


def test_an_equation_has_a_derivation_of_two_lines_and_none_is_without_a_formula():
    for item, (kind, _) in ITEMS.items():
        mine = [one for one in FOUND if item in one.items]
        assert all(one.latex and one.prose for one in mine), item
        if kind == "errata":
            assert any(one.refutes for one in mine), item


def test_the_map_is_what_the_files_say():
    assert table_in(README.read_text("utf-8"), "map") == map_of_items(FOUND)


def test_a_slip_planted_in_a_document_is_found_at_its_line():
    chosen = next(one for one in FOUND if one.name == "induction_step")
    planted = list(campaign(chosen, examples=1))
    assert {slip.kind for slip in planted} >= {"sign", "slope", "order", "transpose"}
    assert not [slip for slip in planted if slip.outcome in (Outcome.MISSED, Outcome.FALSE_ALARM)]
