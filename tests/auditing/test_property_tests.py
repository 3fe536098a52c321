"""A property test of the user is audited like any other, and leaves no example behind."""

import sys

import pytest
from hypothesis import settings

import backproof as bp

pytestmark = pytest.mark.as_user

CODE = """
from hypothesis import given
from hypothesis import strategies as st

RUNS = []

def backward(dout, x):
    return 2.0 * x * dout

@given(st.integers(-4, 4), st.integers(-4, 4))
def compared(x, dout):
    RUNS[-1].append((x, dout))
    assert backward(float(dout), float(x)) == 2 * x * dout

def test_it():
    RUNS.append([])
    compared()
"""


def test_each_run_has_the_same_examples_and_stops_at_the_first_that_fails(tmp_path, monkeypatch):
    (tmp_path / "test_with_properties.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    node, rule = f"{tmp_path}/test_with_properties.py::test_it", "test_with_properties:backward"
    report = bp.audit(node, rule=rule, slips=["zero", "half"], tolerances=False)
    assert report.ok
    plain, watched, *planted = sys.modules["test_with_properties"].RUNS
    assert plain == watched
    assert len(plain) > 10
    for run in planted:  # the first example with a gradient is run once more, to be reported
        *before, found = run[:-1]
        assert [*before, found] == plain[: len(run) - 1]
        assert run[-1] == found
        assert 0 not in found
    assert not (tmp_path / ".hypothesis").exists()


def test_the_settings_are_put_back_also_after_an_error():
    before = settings.default
    with pytest.raises(bp.UsageError):
        bp.audit(lambda: 1 / 0)
    assert settings.default == before
