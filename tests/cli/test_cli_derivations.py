"""`backproof verify PATH` and `backproof show PATH`, from the arguments to the exit status."""

import json
import os
from pathlib import Path

import pytest

from backproof.cli import main
from backproof.cli.show import changed, saves
from backproof.derivations import find, form

HEAD = "import jax\nimport jax.numpy as jnp\nimport backproof as bp\nfrom jaxtyping import Array, Float\n"
LINES = '''
@bp.derivation(r"\\delta^L", items=("S0.3",))
def NAME(z: Float[Array, " n"]):
    """The slope of tanh."""
    yield bp.assume(jnp.all(z != 0), r"z \\neq 0")
    yield bp.line(r"\\frac{\\partial J}{\\partial z}", jax.grad(lambda z: jnp.tanh(z).sum())(z), "definition")
    yield bp.line("1 - a^2", SIGN(1 - jnp.tanh(z) ** 2), "slope of tanh")
'''
pytestmark = pytest.mark.as_user


def text(name, sign="+"):
    return LINES.replace("NAME", name).replace("SIGN", sign)


@pytest.fixture
def file(tmp_path):
    def write(*derivations):
        path = tmp_path / "mine.py"
        path.write_text(HEAD + "".join(derivations))
        return str(path)

    return write


def test_a_file_that_holds_ends_with_status_0(file, tmp_path, capsys):
    report = tmp_path / "report.json"
    assert main(["verify", file(text("first")), "--examples", "3", "--json", str(report)]) == 0
    said = capsys.readouterr().out
    assert "HOLDS" in said
    assert "1 of 1 derivations good" in said
    (found,) = json.loads(report.read_text("utf-8"))
    assert (found["name"], found["verdict"], found["items"]) == ("first", "HOLDS", ["S0.3"])


def test_a_wrong_line_ends_with_status_1_and_is_shown(file, capsys):
    assert main(["verify", file(text("first"), text("second", "-"))]) == 1
    said = capsys.readouterr().out
    assert "1 of 2 derivations good" in said
    assert "second, δᴸ: FAILS at line 1 (sign)" in said
    assert "smallest example" in said


def test_many_derivations_are_shared_among_processes_and_stay_in_order(file, capsys):
    names = [f"f{i}" for i in range(13)]
    assert main(["verify", file(*map(text, names)), "--examples", "2"]) == 0
    rows = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("HOLDS")]
    assert rows == names


def test_what_cannot_be_used_ends_with_status_2(file, tmp_path, capsys):
    assert main(["verify", str(tmp_path / "nowhere.py")]) == 2
    assert main(["verify", file("raise ValueError('broken')\n")]) == 2
    assert "a file must be importable, but found ValueError: broken" in capsys.readouterr().err
    assert main(["verify", file(text("first")), "--args", "f32[n]"]) == 2
    assert main(["show", str(tmp_path / "nowhere.py")]) == 2


def test_slips_are_planted_by_command(file, capsys):
    assert main(["verify", file(text("first")), "--slips", "--examples", "2"]) == 0
    said = capsys.readouterr().out
    assert "slips that change a line are named at that line" in said
    assert "sign" in said


def test_a_derivation_is_shown_as_it_is_read(file, capsys):
    assert main(["show", file(text("first"), text("second", "-"))]) == 1
    said = capsys.readouterr().out
    for part in ("first  δᴸ  S0.3", "The slope of tanh.", "where z ≠ 0", "= 1 - a²", "✓", "✗", "FAILS"):
        assert part in said


def test_markdown_keeps_the_formulas(file, capsys):
    assert main(["show", "--markdown", file(text("first"))]) == 0
    said = capsys.readouterr().out
    for part in (
        "## `first` (S0.3)",
        r"$\delta^L$",
        r"Assumed: $z \neq 0$",
        "| 1 | $= 1 - a^2$ |",
        "**HOLDS**",
    ):
        assert part in said


def test_a_derivation_on_which_several_rest_is_verified_once(file, monkeypatch, capsys):
    verified, report_on = [], form.report_on

    def counting(function, *rest, **settings):
        verified.append(function.__name__)
        return report_on(function, *rest, **settings)

    monkeypatch.setattr(form, "report_on", counting)
    resting = (text(name).replace('("S0.3",)', '("S0.3",), uses=(lemma,)') for name in ("first", "second"))
    assert main(["show", file(text("lemma"), *resting)]) == 0
    assert sorted(verified) == ["first", "lemma", "second"]
    assert capsys.readouterr().out.count("rests on lemma") == 2


def test_a_notebook_shows_formulas_and_the_example(file):
    (found,) = find([Path(file(text("second", "-")))])
    shown = found.verify()._repr_markdown_()
    for said in ("$= 1 - a^2$", "**DOES NOT FOLLOW**", "**FAILS** at line 1", "- tried at ", "z = np.array("):
        assert said in shown


def test_watching_shows_only_what_has_changed_since_the_last_save(file):
    path = Path(file(text("first"), text("second", "-")))

    def saved():
        yield  # as it was
        yield  # nothing has changed
        path.write_text(HEAD + "\n\n" + text("first") + text("second"))
        yield  # one is mended, and both have moved down
        path.write_text(HEAD + "broken = ")
        yield
        path.write_text(HEAD + "x = 1\n" + text("first") + text("second"))
        yield  # what they may use has changed

    *looks, broken, last = changed([path], 0, saved())
    names = [[(one.name, one.ok) for one in reports] for reports in looks]
    assert names == [[("first", True), ("second", False)], [], [("second", True)]]
    assert "a file must be importable" in broken
    assert [one.name for one in last] == ["first", "second"]


def test_a_save_is_noticed_by_the_time_of_the_file(file):
    path = Path(file(text("first")))
    waits = iter([lambda: None, lambda: os.utime(path, ns=(1, 1)), lambda: None])
    moments = saves([path], wait=lambda _: next(waits)())
    next(moments)
    next(moments)  # after two looks, of which the second follows the save
    with pytest.raises(RuntimeError):
        next(moments)


def test_the_lines_of_a_paragraph_are_shown_as_one(file, capsys):
    long = text("first").replace("The slope of tanh.", "The slope\n    of tanh.\n\n    And more.")
    assert main(["show", file(long)]) == 0
    assert "  The slope of tanh." in capsys.readouterr().out
