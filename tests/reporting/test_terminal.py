"""The table and what stands below it: every verdict has a row, and only what needs a word gets one."""

import io
import re

import pytest
from rich.console import Console

import backproof as bp
from backproof.derivations import Mark
from backproof.reporting import print_reports
from backproof.reporting.derived import MARKS
from backproof.reporting.terminal import STYLES
from backproof.reporting.wrapping import wrapped
from backproof.verification import Report, Verdict

pytestmark = pytest.mark.smoke


def printed(*reports, **settings):
    console = Console(file=io.StringIO(), width=100, **settings)
    assert print_reports(iter(reports), console, [one.name for one in reports]) == list(reports)
    return console.file.getvalue()


def test_every_verdict_has_a_style():
    assert set(STYLES) == set(Verdict)


def test_every_mark_of_a_line_has_a_sign():
    assert set(MARKS) == set(Mark)


def test_a_report_is_a_row_of_its_numbers():
    said = printed(Report("tanh", Verdict.AGREES, examples=1234, worst=1.26, seconds=0.44))
    heading, row = said.splitlines()
    assert heading.split() == ["rule", "verdict", "worst", "(noise", "units)", "examples", "seconds"]
    assert row.split() == ["tanh", "AGREES", "1.3", "1,234", "0.4"]


def test_a_subgradient_gets_one_line_and_an_agreement_none():
    said = printed(
        Report("relu", Verdict.SUBGRADIENT, explanation="slope 0 at z = 0"),
        Report("sin", Verdict.AGREES, explanation="nothing to say"),
    )
    assert said.splitlines()[-1] == "relu: slope 0 at z = 0"
    assert "nothing to say" not in said


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if not verdict.ok])
def test_what_is_not_good_is_explained_below_the_table(verdict):
    report = Report("f[0]", verdict, cause="why", explanation="because [bold]of[/bold] it")
    assert str(report) in printed(report)  # brackets are no markup


@pytest.mark.as_user
def test_a_wrong_report_shows_where_and_the_smallest_example():
    wrong = bp.rules.tanh._replace(backward=lambda params, a, delta: ((), -delta * (1 - a * a)))
    report = bp.verify(wrong, examples=5)
    said = printed(report)
    row, below = said.splitlines()[1], said.split("\n\n", 1)[1]
    assert row.split()[:2] == ["tanh", "WRONG"]
    assert below == f"{report}\n"
    for text in (
        "tanh: WRONG (sign)",
        "by hand",
        "autodiff",
        "smallest example:",
        "args = (",
        "cotangent = ",
    ):
        assert text in below


def test_output_that_is_no_terminal_has_no_colour():
    report = Report("f", Verdict.WRONG)
    assert "\x1b" not in printed(report)
    assert "\x1b" in printed(report, force_terminal=True)


def test_what_is_known_is_printed_when_it_is_interrupted():
    console = Console(file=io.StringIO(), width=100)

    def interrupted():
        yield Report("tanh", Verdict.AGREES)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        print_reports(interrupted(), console, ["tanh", "relu", "elu"])
    lines = console.file.getvalue().splitlines()
    assert any(line.startswith("tanh") for line in lines)
    assert lines[-1] == "1 of 3 verified"


def narrow(**settings):
    return Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None, **settings)


def long_report():
    wrong = bp.rules.tanh._replace(backward=lambda params, a, delta: ((), -delta * (1 - a * a)))
    return bp.verify(wrong, examples=5)


@pytest.mark.as_user
def test_a_narrow_terminal_breaks_lines_between_words():
    report, console = long_report(), narrow()
    print_reports(iter([report]), console, ["tanh"])
    said = console.file.getvalue().partition("tanh: WRONG")[2]
    assert max(map(len, said.splitlines())) <= 40
    short = [word for word in str(report).partition("tanh: WRONG")[2].split() if len(word) <= 20]
    assert set(short) <= set(said.split())


@pytest.mark.as_user
def test_what_is_piped_keeps_its_lines():
    report = long_report()
    assert str(report) in printed(report)


def test_a_narrow_table_has_the_names_and_the_verdicts_alone():
    console = narrow()
    row = Report("mlp(3-4-2, relu, identity)", Verdict.REFERENCE_SUSPECT, explanation="why", examples=12)
    print_reports(iter([row]), console, [row.name])
    table = re.sub(r"\x1b\[[?\w]*", "", console.file.getvalue()).partition("verdict")[2].partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 40
    assert "REFERENCE_SUSPECT" in table
    assert "mlp(3-4-2," in table
    assert "examples" not in table


def test_words_wider_than_the_terminal_are_broken_and_nothing_else_is():
    assert wrapped("  a " + "b" * 60 + " c", 40) == ["  a " + "b" * 36, "      " + "b" * 24 + " c"]
    assert wrapped("one two", 40) == ["one two"]
    assert wrapped("    print(f(args))  and more words than there is room", 40) == [
        "    print(f(args))  and more words than",
        "        there is room",
    ]
