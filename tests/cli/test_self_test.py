"""`backproof verify --self-test`: what it prints and how it ends, on few cases."""

import pytest

import backproof as bp
from backproof import selftest
from backproof.cli import main, self_test
from backproof.cli import shipped as by_processes

pytestmark = pytest.mark.as_user
NEGATED = bp.rules.tanh._replace(name="negated", backward=lambda params, a, delta: ((), -delta * (1 - a * a)))


@pytest.fixture
def few(monkeypatch):
    """Put few cases, mutants and rules in the place of all."""
    for kind in ("CORPUS", "BLIND_SPOTS", "FALSE_ALARMS"):
        monkeypatch.setattr(selftest, kind, getattr(selftest, kind)[:1])
    monkeypatch.setattr(selftest, "cross_section", lambda: list(selftest.mutants())[:1])

    def shipped(*rules):
        for place in (self_test, by_processes):
            monkeypatch.setattr(place, "SHIPPED", rules)

    return shipped


def test_all_judged_rightly_ends_with_status_0(few, capsys):
    few(bp.rules.tanh)
    assert main(["verify", "--self-test", "--jobs", "1", "--examples", "20", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "3 of 3 cases judged rightly" in said
    assert "1 of 1 mutants detected; 1 (100%) named rightly, 0 wrongly" in said
    assert "0 alarms in 2 pairs of a right rule and a seed" in said


def test_an_alarm_is_shown_and_ends_with_status_1(few, capsys):
    few(NEGATED)
    assert main(["verify", "--self-test", "--jobs", "1", "--examples", "20", "--seeds", "1"]) == 1
    said = capsys.readouterr().out
    assert "negated: WRONG (sign)" in said
    assert "1 alarms in 1 pairs" in said


def test_a_mutant_that_is_missed_or_misnamed_is_counted():
    mutant = next(iter(selftest.mutants()))
    right = bp.verify(mutant.of, examples=5, dtypes=(), second_order=False)
    tally = selftest.Tally().with_report(mutant, right)
    assert (tally.mutants, tally.detected, len(tally.missed)) == (1, 0, 1)
    wrong = bp.verify(NEGATED._replace(backward=lambda p, a, d: ((), 3 * d * (1 - a * a))), examples=5)
    assert selftest.Tally().with_report(mutant, wrong).misnamed == (f"{mutant.name}: factor",)


def test_seeds_without_the_self_test_are_refused(capsys):
    assert main(["verify", "--seeds", "3"]) == 2
    assert "--full and --seeds go with --self-test" in capsys.readouterr().err
