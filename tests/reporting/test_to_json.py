"""The JSON file: strict JSON, one object a report, and never half of it."""

import json

import pytest

import backproof as bp
from backproof.reporting import write_json
from backproof.verification import Report, Verdict


@pytest.mark.as_user
def test_a_wrong_report_carries_its_smallest_example(tmp_path):
    wrong = bp.rules.tanh._replace(backward=lambda params, a, delta: ((), -delta * (1 - a * a)))
    path = tmp_path / "reports.json"
    report = bp.verify(wrong, examples=5)
    write_json([Report("good", Verdict.AGREES), report], path)
    good, found = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    assert (good["verdict"], good["ok"], good["counterexample"]) == ("AGREES", True, None)
    assert (found["verdict"], found["ok"], found["cause"]) == ("WRONG", False, "sign")
    assert found["counterexample"]["hand"] == report.counterexample.hand
    assert found["counterexample"]["repro"] == report.counterexample.repro


def test_a_failure_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text("before")

    class Broken(Report):
        def to_json(self):
            raise ValueError("no JSON")

    with pytest.raises(ValueError, match="no JSON"):
        write_json([Report("good", Verdict.AGREES), Broken("bad", Verdict.WRONG)], path)
    assert path.read_text() == "before"


def test_a_file_that_was_there_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text("before")
    write_json([], path)
    assert json.loads(path.read_text()) == []
    assert list(tmp_path.iterdir()) == [path]
