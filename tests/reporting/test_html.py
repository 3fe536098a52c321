"""The page: one file of its own with every report, whose links lead somewhere, and never half of it."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import backproof as bp
from backproof.catalogue import SHIPPED
from backproof.cli import main, shipped, verify
from backproof.derivations import DerivationReport, DerivationVerdict, Mark
from backproof.derivations.report import Line
from backproof.errors import UsageError
from backproof.page.extra import NEEDED
from backproof.page.formulas import mathml
from backproof.reporting.formulas import SHIPPED_FORMULAS
from backproof.verification import Report, Verdict

ROOT = Path(__file__).parent.parent.parent
TESTNET = bp.mlp([3, 4, 2], bp.rules.relu).name
# From what a page may load something, and how the loading would be written.
LOADS = {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}


class Page(HTMLParser):
    """Reads what a page refers to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.loads, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            elif name in LOADS:
                self.loads.append(value)


def derivation(name, file="proofs/a.py", uses=(), lines=(), verdict=DerivationVerdict.HOLDS):
    return DerivationReport(name, "z", file, 3, "", verdict, uses=uses, lines=lines)


def written(tmp_path, reports, **settings):
    path = tmp_path / "page.html"
    bp.write_html(reports, path, **settings)
    return path.read_text("utf-8")


@pytest.mark.smoke
def test_a_page_needs_no_other_file_and_no_network(tmp_path):
    reports = [Report(TESTNET, Verdict.SUBGRADIENT), Report("f", Verdict.WRONG), derivation("a_lemma")]
    text = written(tmp_path, reports)
    page = Page(text)
    assert [one for one in page.loads if not one.startswith(("#", "data:"))] == []
    assert not re.search(r"@import|url\((?!\"data:)", text)
    assert page.tags.count("script") == 1
    assert "default-src 'none'" in text


@pytest.mark.smoke
@pytest.mark.parametrize("names", [["f", "f", "f again 2"], ["f again 2", "f", "f"], ["content"], ["b.py-f"]])
def test_every_id_occurs_once_whatever_the_names(tmp_path, names):
    reports = [Report(name, Verdict.AGREES) for name in [*names, TESTNET, f"{TESTNET} sweep"]]
    page = Page(written(tmp_path, [*reports, derivation("f", "b.py")]))
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.smoke
def test_the_derivations_of_a_file_stand_together_in_whatever_order_they_come(tmp_path):
    reports = [derivation("one", "b.py"), derivation("two", "a.py"), derivation("three", "b.py")]
    text = written(tmp_path, reports)
    assert re.findall(r"<h2>(.*[.]py)</h2>", text) == ["b.py", "a.py"]
    cards = re.findall(r'<article [^>]*id="bp-[ab]-py-(\w+)"', text)
    assert cards == ["one", "three", "two"]


@pytest.mark.smoke
def test_every_report_has_a_card_and_every_link_leads_to_one(tmp_path):
    reports = [
        Report("f", Verdict.AGREES),
        Report("f", Verdict.WRONG, explanation="because"),
        derivation("lemma", "a.py"),
        derivation("lemma", "b.py"),
        derivation("theorem", "b.py", uses=("lemma", "elsewhere")),
    ]
    text = written(tmp_path, reports)
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert {one[1:] for one in page.loads if one.startswith("#")} <= set(page.ids)
    assert page.tags.count("article") == len(reports)
    assert 'Rests on <a href="#bp-b-py-lemma">lemma</a>, <code>elsewhere</code>' in text  # of its own file
    assert "<h1>4 of 5 are good</h1>" in text


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("verdicts", "title"),
    [
        ([], "Nothing verified"),
        ([Verdict.AGREES], "F0 is good"),
        ([Verdict.WRONG], "0 of 1 are good"),
        ([Verdict.AGREES, Verdict.SUBGRADIENT], "All 2 are good"),
    ],
)
def test_the_title_says_how_it_stands(tmp_path, verdicts, title):
    reports = [Report(f"F{i}", verdict) for i, verdict in enumerate(verdicts)]
    assert f"<h1>{title}</h1>" in written(tmp_path, reports)


@pytest.mark.smoke
def test_the_page_says_what_was_run_and_with_what(tmp_path):
    text = written(tmp_path, [Report("f", Verdict.AGREES, seed=7)], command="backproof verify <x>", seed=8)
    facts = dict(re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td></tr>', text))
    assert facts["command"] == "backproof verify &lt;x&gt;"
    assert facts["seed"] == "7, 8"  # the last table is that of the page
    assert facts["Python"] == sys.version.split()[0]
    assert {"backproof", "jax", "jaxlib", "numpy", "scipy", "hypothesis", "system"} <= set(facts)


@pytest.mark.smoke
def test_formulas_stand_with_the_reports_they_are_given_for_and_no_others(tmp_path):
    reports = [Report("tanh", Verdict.AGREES), Report("mine", Verdict.AGREES)]
    assert "<math" not in written(tmp_path, reports)  # a function called tanh need not be the shipped one
    text = written(tmp_path, reports, formulas={"mine": (r"y = x^2", r"\bar x = 2 x \bar y")})
    assert text.count("<math") == 2


@pytest.mark.smoke
def test_the_documents_network_comes_with_its_sweep(tmp_path):
    assert written(tmp_path, [Report(TESTNET, Verdict.AGREES)]).count('<li class="bp-step') == 11
    assert "bp-step " not in written(tmp_path, [Report("mlp(3-4-2, tanh, identity)", Verdict.AGREES)])[-9000:]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("reports", "path", "said"),
    [
        (["f: AGREES"], "page.html", "a page is made of reports.*found str"),
        ([], "nowhere/page.html", "the folder of the page must exist"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, reports, path, said):
    with pytest.raises(UsageError, match=said):
        bp.write_html(reports, tmp_path / path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.smoke
def test_one_report_is_a_page_and_one_that_was_there_is_replaced(tmp_path):
    (tmp_path / "page.html").write_text("before")
    assert written(tmp_path, Report("f", Verdict.AGREES)).startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def lines_of(section):
    """Return the lines of a derivation as its page in docs/documents has them, where | is \\vert."""
    rows = re.findall(r"^\| (\d+) \| \$?(?:= )?(.*?)\$? \| (.*?) \| (.*?) \|$", section, re.MULTILINE)
    marks = {str(mark): mark for mark in Mark}
    return tuple(
        Line(int(number), "value", latex.replace(r"\vert ", "|"), reason, 1, marks[mark.strip("*")])
        for number, latex, reason, mark in rows
    )


def test_a_page_of_the_catalogue_and_all_proofs_is_small_and_all_its_formulas_can_be_read(tmp_path):
    functions = [Report(one.name, Verdict.AGREES, examples=200, notes=("a note",) * 3) for one in SHIPPED]
    derived = []
    for file in sorted((ROOT / "docs" / "documents").glob("*.md")):
        for section in file.read_text("utf-8").split("\n### ")[1:]:
            name, lines = section.partition(" (")[0], lines_of(section)
            assert lines, name
            derived.append(derivation(name, file.name, lines=lines))
    assert len(derived) > 150
    text = written(tmp_path, [*functions, *derived], formulas=SHIPPED_FORMULAS)
    assert text.count("<math") > 900
    assert re.findall('<code class="bp-latex">(.*?)</code>', text) == []
    assert len(text.encode()) <= 3_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import jax, jax.numpy as jnp\nimport backproof as bp\n\n\n"
        "@jax.custom_vjp\ndef double(x):\n    return 2 * x\n\n\n"
        "double.defvjp(lambda x: (2 * x, None), lambda _, ct: (2 * ct,))\n\n\n"
        "@bp.derivation(r'\\sigma', args=[bp.array('n')])\ndef slope(z):\n"
        "    yield bp.line(r'\\sigma(z)', jax.nn.sigmoid(z), 'definition')\n"
        "    yield bp.line(r'\\frac{1}{1 + e^{-z}}', 1 / (1 + jnp.exp(-z)), 'written out')\n"
    )
    return path


@pytest.mark.as_user
def test_the_command_line_writes_a_page_for_derivations_and_for_functions(
    file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "mine.py", "--html", "a.html", "--seed", "3"]) == 0
    text = (tmp_path / "a.html").read_text("utf-8")
    assert "slope is good" in text
    assert "backproof verify mine.py --html a.html --seed 3" in text
    given = ["mine:double", "--args", "f32[n]", "--examples", "3", "--no-compilation-cache"]
    assert main(["verify", *given, "--html", "b.html"]) == 0
    text = (tmp_path / "b.html").read_text("utf-8")
    assert "double is good" in text
    assert "--args &#39;f32[n]&#39;" in text
    capsys.readouterr()


@pytest.mark.as_user
def test_the_page_of_the_catalogue_has_its_formulas(tmp_path, monkeypatch, capsys):
    for module in (verify, shipped):
        monkeypatch.setattr(module, "SHIPPED", (bp.rules.identity,))
    path = tmp_path / "page.html"
    given = ["--jobs", "1", "--examples", "3", "--no-compilation-cache"]
    assert main(["verify", *given, "--html", str(path)]) == 0
    text = path.read_text("utf-8")
    assert "identity is good" in text
    assert mathml(SHIPPED_FORMULAS["identity"][1]) in text
    capsys.readouterr()


@pytest.mark.smoke
def test_the_command_line_refuses_a_page_before_any_work_where_it_cannot_be_written(monkeypatch, capsys):
    assert main(["verify", "proofs/", "--slips", "--html", "a.html"]) == 2
    assert "--slips makes none" in capsys.readouterr().err
    monkeypatch.setitem(NEEDED, "no_such_module", "no-such-package")
    assert main(["verify", "--html", "a.html"]) == 2
    assert "not installed: no-such-package" in capsys.readouterr().err
