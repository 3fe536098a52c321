"""A card shows all that a report holds: verdict, line, mend, both sides with marks, replay and reach."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.derivations import DerivationReport, DerivationVerdict, Mark
from backproof.derivations.report import Example, Line
from backproof.page import cards
from backproof.page.cards import MARKS, VERDICTS, derivation_card, paragraphs, report_card
from backproof.page.formulas import mathml
from backproof.page.templates import text_of
from backproof.verification import Counterexample, Report, Verdict
from backproof.verification.report import Sides

SCRIPT = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Reads the elements and the text of a card."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.marked, self._in_mark = [], "", [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.text += " " * (tag in ("td", "th", "li", "p", "pre", "summary", "h4", "figcaption"))
        if tag == "mark":
            self.marked.append("")
            self._in_mark = True

    def handle_endtag(self, tag):
        self._in_mark = self._in_mark and tag not in ("mark", "span")

    def handle_data(self, data):
        self.text += data
        if self._in_mark:
            self.marked[-1] += data


def read(card):
    reader = Reader()
    reader.feed(str(card))
    reader.text = re.sub(r"\s+", " ", reader.text)
    return reader


@pytest.mark.smoke
def test_every_verdict_and_every_mark_has_a_look():
    assert {one.name for one in (*Verdict, *DerivationVerdict)} == set(VERDICTS)
    assert {mark.name for mark in Mark} == set(MARKS)
    assert {VERDICTS[one.name] is cards.GOOD for one in (*Verdict, *DerivationVerdict) if one.ok} == {True}
    assert not any(VERDICTS[one.name] is cards.GOOD for one in (*Verdict, *DerivationVerdict) if not one.ok)


REPORT_OF_A_SIGN = Report(
    "f",
    Verdict.WRONG,
    "sign",
    "",
    Counterexample((np.ones(1),), np.ones(1), "[0]", (0,), -1.0, 1.0, 1e-16, 1e16),
)


def linear(x, w):
    return x @ w


def slip_in_one_row(args, ct):
    x, w = args
    dx = ct @ w.T
    return dx, x.T @ (2 * ct)


@pytest.fixture(scope="module")
def wrong():
    return bp.verify(of=linear, vjp=slip_in_one_row, args=[bp.array("b n"), bp.array("n m>=2")], examples=10)


@pytest.mark.as_user
def test_a_failure_shows_its_line_its_mend_both_sides_and_the_replay(wrong):
    shown = read(report_card(wrong))
    assert "✗ WRONG factor" in shown.text
    assert wrong.explanation in shown.text
    assert f"{wrong.blame.line} ✗reads return dx, x.T @ (2 * ct)" in shown.text
    assert f"✓should read {wrong.blame.mend}" in shown.text
    assert "dx = ct @ w.T" in shown.text  # the line above it
    for line in (*wrong.counterexample.repro.splitlines(), *wrong.counterexample.replay.splitlines()):
        assert re.sub(r"\s+", " ", line) in shown.text
    assert "import numpy as np" in shown.text
    for name, said in wrong.reach.rows():
        assert f"{name} {said}" in shown.text
    assert "the wrong entry: " in str(report_card(wrong))  # on the axis


@pytest.mark.as_user
def test_both_sides_are_whole_and_what_differs_is_marked(wrong):
    sides = wrong.counterexample.sides
    assert sides.hand.shape == sides.oracle.shape == sides.differs.shape
    np.testing.assert_array_equal(sides.hand, 2 * sides.oracle)
    np.testing.assert_array_equal(sides.differs, sides.oracle != 0)
    assert sides.hand[wrong.counterexample.index] == wrong.counterexample.hand
    assert len(read(report_card(wrong)).marked) == 2 * sides.differs.sum() > 0


@pytest.mark.as_user
def test_only_the_entries_that_differ_are_marked():
    def one_entry_off(args, ct):
        return (jnp.cos(args[0]) * ct * (1 + (jnp.arange(args[0].shape[0]) == 1)),)

    found = bp.verify(of=jnp.sin, vjp=one_entry_off, args=[bp.array("3")], examples=10)
    assert found.counterexample.sides.differs.tolist() == [False, True, False]
    assert len(read(report_card(found)).marked) == 2


@pytest.mark.as_user
def test_at_a_kink_every_entry_that_differs_is_marked_and_none_as_wrong():
    def largest(x):
        return jnp.max(x)

    def first_alone(args, ct):
        (x,) = args
        return (ct * (jnp.arange(x.size) == jnp.argmax(x)),)

    found = bp.verify(of=largest, vjp=first_alone, args=[bp.array("3")], examples=40)
    assert found.verdict is Verdict.SUBGRADIENT
    sides = found.counterexample.sides
    np.testing.assert_array_equal(sides.differs, sides.hand != sides.oracle)
    assert sides.differs.sum() > 1
    assert 'class="bp-part bp-kink"' in report_card(found)
    assert "bp-kink" not in report_card(REPORT_OF_A_SIGN)


@pytest.mark.smoke
def test_of_a_low_precision_the_one_entry_is_shown():
    found = Counterexample(
        (np.ones(2),), np.ones(2), "[0]", (1,), 1.5, 2.5, 0.1, 70.0, unit="times autodiff's error"
    )
    card = report_card(Report("f", Verdict.UNSTABLE, "accuracy", counterexample=found))
    shown = read(card)
    assert "result[0][1]: 1.5 by hand, 2.5 by autodiff, 70 times autodiff's error" in shown.text
    assert "the wrong entry" not in str(card)  # no noise units, so it has no place on the axis


@pytest.mark.smoke
def test_an_example_without_an_entry_is_its_arguments_alone():
    found = Counterexample((np.ones((2, 0)),), None, "", (), None, None, 0.0, np.nan)
    shown = read(report_card(Report("f", Verdict.WRONG, "contract-shape", "a shape", counterexample=found)))
    assert "no entry" in shown.text
    assert "by hand" not in shown.text


@pytest.mark.smoke
def test_a_kink_is_no_failure():
    sides = Sides(np.zeros(1), np.full(1, 0.5), np.array([True]))
    found = Counterexample((np.zeros(1),), np.ones(1), "[0]", (0,), 0.0, 0.5, 1e-16, 5e15, sides=sides)
    report = Report("relu", Verdict.SUBGRADIENT, None, "at a kink", found, examples=3)
    card = report_card(report)
    shown = read(card)
    assert "✓ SUBGRADIENT" in shown.text
    assert "At a kink" in shown.text
    assert "the wrong entry" not in str(card)


LINES = (
    Line(0, "value", r"\delta", "definition", 3, Mark.STARTS, "anchored in jax.grad"),
    Line(1, "value", r"a \odot b", "chain rule", 4, Mark.FOLLOWS, worst=0.5),
    Line(2, "value", r"a + b", SCRIPT, 5, Mark.FAILS),
    Line(3, "value", r"\text{" + SCRIPT + "}", "after it", 6, Mark.WOULD_BE_WRONG),
)
DERIVATION = DerivationReport(
    "output_delta",
    r"\delta^L",
    "proof.py",
    7,
    f"It is shown\nthat {SCRIPT}.\n\n    kept\n    apart",
    DerivationVerdict.FAILS,
    ("S0.3",),
    ("a_lemma", "another"),
    LINES,
    (r"z \ne 0",),
    2,
    "sign",
    "line 2: it is wrong",
    Example(
        ("z", "name"),
        (np.array([1.0, 2.0]), SCRIPT),
        ("line 1", "line 2"),
        ({"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, -2.0])}),
        "['a'][1]",
        3e14,
        {"['a']": np.array([False, True])},
    ),
    points=12,
    reach="at 12 points, sizes n 2",
    notes=("a note",),
)


@pytest.mark.smoke
def test_a_derivation_shows_its_lines_with_formula_reason_and_verdict():
    card = str(derivation_card(DERIVATION, "here", {"a_lemma": "there"}))
    shown = read(card)
    assert str(mathml(r"= a \odot b")) in card
    assert str(mathml(r"\delta")) in card  # line 0 has no sign before it
    assert str(mathml(r"z \ne 0")) in card
    for said in (
        "✗ FAILS line 2, sign",
        "definition (anchored in jax.grad) · starts",
        "chain rule ✓ follows",
        "✗ DOES NOT FOLLOW",
        "Line 2: it is wrong",
        "furthest apart at ['a'][1], by 3e+14 noise units",
        "tried at 12 points, sizes n 2",
        "a note",
        "It is shown that",
    ):
        assert said in shown.text, said
    assert [text.strip() for text in shown.marked] == ["2 (differs)", "−2 (differs)"]
    assert '<a href="#there">a_lemma</a>' in card
    assert "<code>another</code>" in card
    assert 'id="here"' in card
    assert "line 2: 3e+14 noise units" in card


@pytest.mark.smoke
def test_whatever_a_user_wrote_stays_text():
    found = Counterexample((SCRIPT,), None, "", (), None, None, 0.0, np.nan, call=SCRIPT)
    report = Report(SCRIPT, Verdict.WRONG, SCRIPT, SCRIPT, found, notes=(SCRIPT,))
    for card in (report_card(report), derivation_card(DERIVATION)):
        shown = read(card)
        assert "script" not in shown.tags
        assert SCRIPT in shown.text
    assert shown.text.count(SCRIPT) == 5  # in the docstring, a reason, a formula, an argument and the replay


@pytest.mark.smoke
def test_prose_flows_but_for_what_is_indented():
    assert paragraphs("one\ntwo\n\n  a\n  b\n") == ["one two", "  a\n  b"]
    assert paragraphs("") == []


@pytest.mark.smoke
def test_a_notebook_shows_the_card_with_its_style_and_no_script():
    for report, card in (
        (REPORT_OF_A_SIGN, report_card(REPORT_OF_A_SIGN)),
        (DERIVATION, derivation_card(DERIVATION)),
    ):
        shown = report._repr_html_()
        assert card in shown
        assert "script" not in read(shown).tags
        assert text_of("parts.css") in shown
    good = replace(DERIVATION, verdict=DerivationVerdict.HOLDS)
    assert '<details class="bp-derivation" open>' in good._repr_html_()
    assert '<details class="bp-derivation">' in derivation_card(good)
