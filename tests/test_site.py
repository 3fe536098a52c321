"""The site: its formulas, its links, and pages that list what the code has.

`.ci/run` builds all of it, with every warning an error; here a site of one page is built.
"""

import re
import subprocess
import sys

import pytest

import backproof as bp
from backproof import losses, rules
from backproof.catalogue import NETWORKS, SHIPPED
from backproof.derivations import verify_each
from backproof.verification.diagnosis import causes
from documentation import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_extensions"))

import catalogue  # noqa: E402 - the extensions of the site are no package
import mathml  # noqa: E402
import repository  # noqa: E402

CONF = f"""
import sys
sys.path.insert(0, {str(DOCS / "_extensions")!r})
extensions = ["myst_parser", "mathml"]
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"
"""


def built(folder, text):
    """Build a site of one page, with every warning an error; return the run and the page."""
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text(f"# A page\n\n{text}\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-n",
        str(folder),
        str(folder / "out"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    page = folder / "out" / "index.html"
    return run, page.read_text(encoding="utf-8") if page.exists() else ""


def test_a_formula_is_mathml_and_what_stands_in_a_text_stays_text(tmp_path):
    run, page = built(tmp_path, "$W^\\top \\delta$ and\n\n$$\\text{<script>alert(1)</script>} \\odot a$$")
    assert run.returncode == 0, run.stderr
    assert page.count("<math") == 2
    assert 'display="block"' in page
    assert "&lt;script&gt;alert(1)" in page
    assert "mathjax.js" not in page.lower()
    assert "cdn." not in page


def test_a_formula_that_cannot_be_read_ends_the_build_with_its_page_and_line(tmp_path):
    run, _ = built(tmp_path, "one line\n\n$\\notacommand{x}$")
    assert run.returncode != 0
    assert "index.md:5: WARNING: formula '\\\\notacommand{x}' cannot be read" in run.stderr


def test_each_formula_of_the_pages_of_the_documents_can_be_read():
    for page in (DOCS / "documents").glob("*.md"):
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found = re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL)
        assert found or page.stem == "index"
        for block, inline in found:
            assert mathml.mathml(block or inline, display=bool(block)).startswith("<math")


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(repository.LOG, "warning", lambda text, *args, **_: said.append(text % args))
    return said


def relinked(text):
    page = DOCS / "generated" / "chain-of-trust.md"
    return repository.relinked(text, page, ROOT / "proofs" / "README.md", "generated/chain-of-trust")


def test_a_link_leads_to_the_page_that_shows_a_file_or_becomes_its_path(warnings):
    assert relinked("[000](../docs/documents/doc_000.md#loss)") == "[000](../documents/doc_000.md#loss)"
    assert relinked("[README](formal/README.md)") == "[README](formal.md)"
    assert relinked("see [the table](../tests/mutants.py)") == "see the table (`tests/mutants.py`)"
    assert relinked("[`doc_000`](doc_000)") == "`proofs/doc_000`"
    assert relinked("[far](https://example.org/a.md) [here](#an-anchor)") == (
        "[far](https://example.org/a.md) [here](#an-anchor)"
    )
    assert warnings == []


def test_what_looks_like_a_link_in_code_is_none(warnings):
    code = "`vjp(f)[1](dz)` and\n\n```python\ny = f[1](dz)\n```\n"
    assert relinked(code) == code
    assert warnings == []


def test_a_link_to_nothing_is_a_warning(warnings):
    relinked("[gone](nowhere.md)")
    assert warnings == ["[gone](nowhere.md) links to nothing"]


def test_the_pages_of_the_repository_that_are_shown_exist():
    assert [path for path in repository.PAGES if not (ROOT / path).is_file()] == []


def written(wrong=()):
    """Return the page of the catalogue as if every verdict were good, but those of `wrong`."""
    good = {"verdict": "AGREES", "said": "", "examples": 9, "worst": 0.5}
    verdicts = [{**good, "name": one.name} for one in SHIPPED]
    for one in verdicts:
        one["verdict"] = "WRONG" if one["name"] in wrong else "AGREES"
    derived = {catalogue.derivation_of(one): {"prose": "Prose.", "table": "| |"} for one in SHIPPED}
    return catalogue.page(verdicts, derived, "0.0")


def test_the_catalogue_has_a_section_for_each_member_with_its_code_and_verdict():
    page = written()
    heads = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert heads == [one.name for one in (*rules.CATALOGUE, *NETWORKS, *losses.CATALOGUE)]
    assert sorted(heads) == sorted(one.name for one in SHIPPED)
    assert page.count("def ") >= 2 * len(SHIPPED)
    assert "delta_a * -jnp.expm1(-a)" in page


def test_a_verdict_that_is_not_good_has_another_badge():
    assert "{bdg-danger}" not in written()
    assert written(wrong=["softplus"]).count("{bdg-danger}`WRONG`") == 2


@pytest.mark.as_user
def test_each_rule_and_loss_of_the_catalogue_has_a_derivation_that_holds_and_ends_in_its_code():
    found = catalogue.find([DOCS / "catalogue"])
    wanted = {catalogue.derivation_of(one) for one in SHIPPED if one not in NETWORKS}
    assert {one.name for one in found} == wanted
    fallen = [str(report) for report in verify_each(found, shapes=1) if not report.ok]
    assert not fallen, "\n\n".join(fallen)
    assert [one.name for one in found if not one.ships] == []


def names_in(texts):
    return [name for text in texts for name in re.findall(r"`([\w-]+)`", text)]


def test_the_page_of_causes_has_a_section_for_each_name_of_the_table_and_no_other():
    heads = re.findall(r"^### (.*)", (DOCS / "causes.md").read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(r"^\| (`.*`) \|", causes.__doc__, re.MULTILINE)
    assert sorted(names_in(heads)) == sorted(names_in(rows))


def test_each_section_of_that_page_prints_its_own_name():
    sections = re.split(r"^##+ ", (DOCS / "causes.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for section in sections:
        head, _, text = section.partition("\n")
        if head.startswith("`"):
            printed = "\n".join(re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
            for name in names_in([head]):
                assert re.search(rf"^(\w+ )?{name}$", printed, re.MULTILINE), head


def test_the_reference_has_every_public_name():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", page, re.MULTILINE))
    documented = {one.rpartition(".")[2] for one in documented}
    public = {name for module in (bp, bp.training, bp.derivations) for name in module.__all__}
    packages_and_tables = {
        "auditing",
        "datasets",
        "derivations",
        "losses",
        "rules",
        "training",
        "verification",
        "OPTIMIZERS",
    }
    assert public - documented == packages_and_tables


def test_each_link_of_the_readme_leads_somewhere(warnings):
    for name in ("README.md", "CONTRIBUTING.md"):
        repository.relinked((ROOT / name).read_text(encoding="utf-8"), DOCS / "index.md", ROOT / name, name)
    assert warnings == []


def test_no_star_stands_alone_in_what_the_reference_shows():
    """A star begins emphasis there: an axis `*batch` is written in backticks."""
    of_packages = [getattr(package, name) for package in (rules, losses) for name in package.__all__]
    shown = {one.__name__: one.__doc__ or "" for one in of_packages if callable(one)}
    assert "attention_with" in shown
    alone = [name for name, text in shown.items() if re.search(r"(?<!\\)\*\w", re.sub(r"`[^`]*`", "", text))]
    assert alone == []
