"""A test of pytest is run in its own session, under the user's configuration, as often as it takes."""

import math
import signal
import textwrap
import time

import pytest

import backproof as bp
from backproof.auditing.ended import limited, of_exception
from backproof.auditing.runs import with_runs

pytestmark = pytest.mark.as_user

RULE = """
    import jax

    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, ct: (2 * x * ct,))
"""
TESTS = """
    import time
    import jax
    import numpy as np
    import pytest
    from {module} import square

    X = np.arange(1.0, 4.0, dtype=np.float32)
    grad = jax.grad(lambda x: square(x).sum())

    @pytest.fixture
    def fresh(request):
        yield [0]

    @pytest.mark.parametrize("times", [1, 2])
    def test_good(times, fresh):
        fresh[0] += 1
        assert fresh == [1]  # fixtures are set up anew in each run
        np.testing.assert_allclose(grad(times * X), 2 * times * X, 1e-5)

    def test_prints():
        print(grad(X))

    def test_fails():
        assert grad(X).sum() == 0, "not zero"

    def test_skipped():
        pytest.skip("not today")

    @pytest.mark.xfail
    def test_expected():
        assert False

    def test_raises():
        if grad(X).sum() == 0:
            raise KeyError("no gradient")

    def test_never_ends_without_a_gradient():
        while grad(X).sum() == 0:
            time.sleep(0.01)

    @pytest.fixture
    def broken():
        raise OSError("no disk")

    def test_of_a_broken_fixture(broken):
        pass

    def test_calls_pytest_fail():
        if grad(X)[0] != 2:
            pytest.fail("wrong")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("user")
    (path / "rule_of_a_user.py").write_text(textwrap.dedent(RULE))
    (path / "test_of_a_user.py").write_text(textwrap.dedent(TESTS.replace("{module}", "rule_of_a_user")))
    (path / "test_of_another.py").write_text("import no_such_module_at_all\n")
    (path / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --lf\nfilterwarnings = error\n")
    return path


def audit(folder, name, **settings):
    given = {"slips": ["zero"], "tolerances": False, **settings}
    return bp.audit(f"{folder}/test_of_a_user.py::{name}", **given)


def outcome(folder, name, **settings):
    (rule,) = audit(folder, name, **settings).rules
    ((one),) = rule.slips
    return str(one.outcome), one.detail


def test_every_selected_test_runs_with_fixtures_of_its_own(folder, capsys):
    report = audit(folder, "test_good")
    assert report.ok
    assert report.rules[0].executed == 2
    assert report.rules[0].name == "rule_of_a_user:square"
    assert outcome(folder, "test_good[2]")[0] == "caught"
    assert outcome(folder, "test_prints")[0] == "passed"
    assert capsys.readouterr().out == ""
    assert not (folder / ".pytest_cache").exists()


def test_other_exceptions_and_tests_that_do_not_end_are_told_apart(folder):
    assert outcome(folder, "test_raises") == ("raised", "raised KeyError: 'no gradient'")
    assert outcome(folder, "test_never_ends_without_a_gradient", timeout=5)[0] == "timed out"
    assert outcome(folder, "test_calls_pytest_fail") == ("caught", "Failed: wrong")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_fails", "it failed: AssertionError: not zero"),
        ("test_skipped", "it was skipped: Skipped: not today"),
        ("test_expected", "it was skipped: it is marked xfail"),
        ("test_of_a_broken_fixture", "it raised: OSError: no disk"),
    ],
)
def test_a_test_that_does_not_pass_by_itself_is_refused(folder, name, said):
    with pytest.raises(bp.UsageError, match=f"the test must pass first, but found {said}"):
        audit(folder, name)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("test_of_a_user.py::test_nothing", "not found: .*test_nothing"),
        ("no_such_file.py", "file or directory not found: .*no_such_file.py"),
        ("test_of_another.py", "ERROR .*test_of_another.py|No module named 'no_such_module_at_all'"),
    ],
)
def test_a_test_that_pytest_does_not_find_is_refused(folder, node, said):
    with pytest.raises(bp.UsageError, match=f"pytest must find a test there, but found .*({said})"):
        bp.audit(f"{folder}/{node}")


def test_the_coverage_of_the_users_own_run_is_left_as_it_is(folder, tmp_path, monkeypatch):
    for file in ("rule_of_a_user.py", "test_of_a_user.py"):
        text = (folder / file).read_text().replace("of_a_user", "that_is_measured")
        (tmp_path / file.replace("of_a_user", "that_is_measured")).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --cov --cov-report=xml -p no:cacheprovider\n")
    (tmp_path / ".coverage").write_text("of a run without slips")
    monkeypatch.chdir(tmp_path)
    assert bp.audit(f"{tmp_path}/test_that_is_measured.py::test_good", slips=["zero"], tolerances=False).ok
    assert (tmp_path / ".coverage").read_text() == "of a run without slips"
    assert not (tmp_path / "coverage.xml").exists()


def test_an_interrupt_ends_the_audit():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.audit(interrupted)


@pytest.mark.smoke
def test_how_a_run_ended_is_read_from_what_it_raised():
    assert of_exception(AssertionError("a\nb")).detail == "AssertionError: a"
    assert of_exception(ValueError()).how == "raised"
    ended = with_runs(lambda: None, (), lambda run: run(1.0))
    assert (ended.how, ended.passed) == ("passed", True)


@pytest.mark.smoke
def test_a_limit_ends_what_runs_too_long_and_leaves_no_alarm():
    def run(seconds):
        return with_runs(lambda: time.sleep(10), (), lambda run: run(seconds))

    assert run(0.05).how == "timed out"
    with limited(0.05):
        pass
    time.sleep(0.1)


@pytest.fixture
def alarms():
    """Yield a list that gets an entry at each alarm of a timer that is not the limit's."""
    found = []
    handler = signal.signal(signal.SIGALRM, lambda *_: found.append("alarm"))
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    yield found
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.mark.smoke
def test_a_limit_gives_back_the_timer_that_ran_before_less_the_time_that_passed(alarms):
    mine = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 1000, 500)
    with limited(2000):
        time.sleep(0.01)
    rest, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < rest < 1000 - 0.009
    assert interval == 500
    assert signal.getsignal(signal.SIGALRM) is mine


@pytest.mark.smoke
def test_a_timer_that_ended_within_a_limit_rings_after_it(alarms):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    with limited(1000):
        time.sleep(0.05)
        assert not alarms
    for _ in range(1000):
        if alarms:
            break
        time.sleep(0.001)
    assert alarms == ["alarm"]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.smoke
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "30", True])
@pytest.mark.parametrize("name", ["timeout", "budget"])
def test_a_time_must_be_a_positive_number(name, value):
    said = f"audit: {name} must be a finite number of seconds above 0, but found {name}={value!r}; pass e.g."
    with pytest.raises(bp.UsageError, match=said):
        bp.audit(lambda: None, **{name: value})
