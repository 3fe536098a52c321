"""`backproof verify`: its table, its JSON and its exit status, from the arguments to the end."""

import json
import os
import subprocess
import sys

import pytest

import backproof as bp
from backproof.catalogue import PRECISIONS, SHIPPED
from backproof.cli import main, verify
from backproof.cli import shipped as by_processes

FEW = (bp.rules.relu, bp.rules.sigmoid, bp.losses.half_squared_error)
NEGATED = bp.rules.tanh._replace(name="negated", backward=lambda params, a, delta: ((), -delta * (1 - a * a)))


def strictly(text):
    """Return what JSON says; NaN and Infinity are no JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def shipped(monkeypatch):
    """Put other rules in the place of the shipped catalogue."""

    def put(*rules):
        monkeypatch.setattr(verify, "SHIPPED", rules)
        monkeypatch.setattr(by_processes, "SHIPPED", rules)

    return put


@pytest.mark.as_user
def test_good_rules_end_with_status_0_and_a_row_each(shipped, tmp_path, capsys):
    shipped(*FEW)
    path = tmp_path / "reports.json"
    assert main(["verify", "--jobs", "1", "--examples", "5", "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for rule, line in zip(FEW, lines[1:], strict=False):
        assert line.split()[0] == rule.name
        assert line.split()[1] in ("AGREES", "SUBGRADIENT")
    assert any("3 of 3 good, in " in line for line in lines)
    reports = strictly(path.read_text("utf-8"))
    assert [report["name"] for report in reports] == [rule.name for rule in FEW]
    assert all(report["ok"] and report["examples"] >= 5 for report in reports)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.smoke
@pytest.mark.as_user
def test_one_wrong_rule_among_good_ones_ends_with_status_1_and_is_shown(shipped, tmp_path, capsys):
    shipped(bp.rules.relu, NEGATED)
    path = tmp_path / "reports.json"
    assert main(["verify", "--jobs", "1", "--examples", "5", "--json", str(path)]) == 1
    said = capsys.readouterr().out
    assert "1 of 2 good" in said
    assert "negated: WRONG (sign)" in said
    assert "smallest example" in said
    relu, negated = strictly(path.read_text("utf-8"))
    assert (relu["ok"], negated["ok"], negated["verdict"], negated["cause"]) == (True, False, "WRONG", "sign")


def test_what_is_verified_is_the_whole_catalogue_with_the_settings_given(monkeypatch, capsys):
    seen = []

    def agreeing(rule, **settings):
        seen.append((rule, settings))
        return bp.verification.Report(rule.name, bp.verification.Verdict.AGREES)

    monkeypatch.setattr(by_processes, "verify", agreeing)
    assert main(["verify", "--jobs", "1", "--examples", "7", "--seed", "3"]) == 0
    assert [rule for rule, _ in seen] == list(SHIPPED)
    given = {"examples": 7, "seed": 3, "dtypes": PRECISIONS, "budget": 120.0}
    assert all(settings == given for _, settings in seen)
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "AGREES" in line]
    assert len(rows) == len(SHIPPED)


@pytest.mark.as_user
def test_several_processes_report_what_one_does():
    """Identity and hinge, at the places where they stand, with the same draws in every process."""
    places = [one for one, rule in enumerate(SHIPPED) if rule.name in ("identity", "hinge")]
    settings = {"examples": 5, "seed": 4}
    found = list(by_processes.reports(places, settings, jobs=2))
    alone = [bp.verify(SHIPPED[place], **settings) for place in places]
    told = [[(one.name, one.verdict, one.examples, one.worst) for one in many] for many in (found, alone)]
    assert told[0] == told[1]
    again = list(by_processes.reports_by_seed(places[:1], range(4, 6), {"examples": 5}, jobs=2))
    assert [(one.name, one.seed, one.ok) for one in again] == [("identity", 4, True), ("identity", 5, True)]


@pytest.mark.as_user
def test_what_was_compiled_is_kept_where_the_caller_says(tmp_path):
    folder, command = tmp_path / "compiled", [sys.executable, "-m", "backproof", "verify", "--examples", "2"]
    given = ["math_of_users:double", "--args", "f32[n]", "--compilation-cache", str(folder)]
    (tmp_path / "math_of_users.py").write_text(
        "import jax\n\n@jax.custom_vjp\ndef double(x):\n    return 2 * x\n\n"
        "double.defvjp(lambda x: (2 * x, None), lambda _, ct: (2 * ct,))\n"
    )
    elsewhere = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    run = subprocess.run(
        [*command, *given], cwd=tmp_path, capture_output=True, text=True, check=False, env=elsewhere
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert any(folder.iterdir())


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--slips"], "--slips goes with files of derivations"),
        (["m:f", "--slips"], "--slips goes with files of derivations"),
    ],
)
def test_options_that_would_be_ignored_are_refused(argv, said, capsys):
    assert main(["verify", *argv]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.as_user
def test_lines_of_json_are_all_that_is_printed(shipped, capsys):
    shipped(bp.rules.relu, NEGATED)
    assert main(["verify", "--jobs", "1", "--examples", "5", "--jsonl"]) == 1
    relu, negated = map(strictly, capsys.readouterr().out.splitlines())
    assert (relu["name"], relu["ok"]) == ("relu", True)
    assert (negated["name"], negated["ok"], negated["cause"]) == ("negated", False, "sign")
    assert main(["verify", "--self-test", "--jsonl"]) == 2
    assert "--jsonl prints reports" in capsys.readouterr().err
