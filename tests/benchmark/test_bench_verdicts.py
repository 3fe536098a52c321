"""What a verdict costs: the basket is judged rightly, and each figure is that of its own run."""

import io

import pytest
from rich.console import Console

import backproof as bp
from backproof.benchmark import verdicts
from backproof.cli import main
from backproof.reporting import benchmark as pages

pytestmark = pytest.mark.as_user
ENTRIES = {entry.name: entry for entry in verdicts.basket()}
SMALL = [name for name in ENTRIES if "×" not in name]


@pytest.mark.parametrize("name", SMALL)
def test_the_rule_is_right_and_the_slip_is_wrong(name):
    entry = ENTRIES[name]
    quick = {"examples": 20, "dtypes": (), "second_order": False, "args": entry.args}
    assert bp.verify(of=entry.of, vjp=entry.vjp, **quick).verdict == "AGREES"
    assert bp.verify(of=entry.of, vjp=verdicts._with_slip(entry), **quick).verdict == "WRONG"


def test_the_figures_are_printed_and_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(verdicts, "basket", lambda: (ENTRIES["a scalar function"],))
    assert main(["bench", "--verify", "--json", str(tmp_path / "figures.json")]) == 0
    assert "a scalar function" in capsys.readouterr().out
    assert '"verdicts"' in (tmp_path / "figures.json").read_text("utf-8")


def test_a_line_stands_in_the_columns_of_its_heading():
    console = Console(file=io.StringIO(), width=120)
    found = verdicts.VerdictCost("layer norm", 0.5, 1.5, 0.25, 2.0, ("AGREES", "WRONG"))
    console.print(pages.verdict_line(found), markup=False)
    assert console.file.getvalue().split()[2:] == [
        "0.50", "1.50", "(", "3.0)", "0.25", "(", "0.5)", "2.00", "(", "4.0)", "AGREES", "/", "WRONG",
    ]  # fmt: skip
