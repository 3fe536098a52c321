"""`backproof audit` prints the report, and its exit status is 0 only if the test sees every slip."""

import json

import pytest

from backproof.cli import main

pytestmark = pytest.mark.as_user

CODE = """
import numpy as np

def backward(dout, x):
    return 2 * x * dout

def test_it():
    x, dout = np.arange(1.0, 4.0), np.array([1.0, -2.0, 5.0])
    for scale in range(20):
        dout = dout + 1
        assert np.array_equal(backward(dout, x), 2 * x * dout)

def test_loosely():
    x = np.arange(1.0, 4.0)
    assert np.all(np.abs(backward(x, x) - 2 * x * x) < 7)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("user")
    (path / "test_rule_of_cli_audit.py").write_text(CODE)
    return path


@pytest.fixture
def user(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def run(test, *options):
    return main(
        ["audit", f"test_rule_of_cli_audit.py::{test}", "--rule", "test_rule_of_cli_audit:backward", *options]
    )


def test_a_test_that_sees_every_slip_exits_with_0(user, capsys):
    assert run("test_it", "--json", "found.json") == 0
    out = capsys.readouterr().out
    assert out.startswith("test_rule_of_cli_audit.py::test_it: CATCHES ALL\n")
    assert "11 of 11 slips killed (100 %); its backward pass ran 20 times" in out
    assert "rounding asks for no less" in out
    found = json.loads((user / "found.json").read_text())
    assert (found["verdict"], found["kill_rate"]) == ("CATCHES ALL", 1.0)


def test_a_test_that_lets_slips_pass_exits_with_1(user, capsys):
    assert run("test_loosely", "--slips", "half,twice,times 1.01", "--no-tolerances") == 1
    out = capsys.readouterr().out
    assert "2 of 3 slips killed (66 %)" in out  # x² is up to 9, so that half and twice are off by 9
    assert "result: times 1.01" in out
    assert "the tolerance\n" not in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["no_such_file.py::test"], "pytest must find a test there"),
        (["test_rule_of_cli_audit.py::test_it"], "name the function that computes the gradient"),
        (["test_rule_of_cli_audit.py::test_it", "--slips", "twise"], "did you mean twice?"),
    ],
)
def test_misuse_exits_with_2(user, capsys, options, said):
    assert main(["audit", *options]) == 2
    assert said in capsys.readouterr().err
