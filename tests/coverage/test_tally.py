"""What is said of a run: the closing line, what was verified, what never was, and what must be."""

import pytest

from backproof.coverage.tally import Tally, in_short, plain
from backproof.session import Heard

pytestmark = pytest.mark.smoke


def outcome(name="f", *, ok=True, kind="gradient", covered=(), inside=(), worst=1.0):
    heard = Heard(kind, name, "AGREES" if ok else "WRONG", None if ok else "sign", ok, 1200, worst, 0.25)
    return plain(heard, covered, inside)


def listed(*names, why_not="", watched="yes"):
    said = {"why_not": why_not, "watched": watched}
    return [{"name": name, "place": f"k.py:{i}", **said} for i, name in enumerate(names)]


def test_the_closing_line_counts_rules_points_distance_and_seconds():
    tally = Tally()
    heard = [outcome("f"), outcome("f", worst=2.5), outcome("g", ok=False), outcome("d", kind="derivation")]
    tally.add(heard, [])
    assert tally.closing() == (
        "2 rules and 1 derivation verified, 1 not good; 4,800 points, "
        "right entries within 2.5 noise units, 1.0 s"
    )


def test_each_gradient_is_counted_as_what_is_known_of_it():
    tally = Tally()
    tally.expect(listed("good", "bad", "inside", "ran", "never"))
    tally.expect(listed("left", why_not="left out: an example"))
    tally.add([outcome(covered=["bad"], ok=False), outcome(covered=["good", "bad"])], ["ran"])
    tally.add([outcome(inside=["inside", "good"])], [])
    assert tally.coverage() == [
        "1 of 6 gradients by hand shown to be right, 1 more inside other functions, 1 not",
        "  never verified: ran  (k.py:3)  its backward pass ran, but nothing judged it",
        "  never verified: never  (k.py:4)  its backward pass never ran",
        "  never verified: left  (k.py:0)  left out: an example",
    ]
    assert tally.required == ["ran", "never"]


def test_a_wrong_verdict_on_a_function_says_nothing_good_of_what_it_calls():
    tally = Tally()
    tally.expect(listed("inside"))
    tally.add([outcome(inside=["inside"], ok=False)], [])
    assert list(tally.uncovered) == ["inside"]


def test_a_rule_whose_runs_cannot_be_watched_is_not_said_to_have_never_run():
    tally = Tally()
    tally.expect(listed("made", why_not="a function makes it", watched=""))
    assert tally.uncovered == {"made": "nothing judged it; a function makes it"}


def test_a_report_in_short_begins_with_the_verdict():
    class Told:
        name, verdict, cause = "f", "WRONG", "sign"

    assert in_short(Told()) == "WRONG (sign): f"
    Told.wrong, Told.cause = 2, None
    assert in_short(Told()) == "WRONG at line 2: f"
