"""A test run by pytest in this process; no other module imports pytest, which is no dependency.

The test is collected once, in a session in which it is then run again and again, each time with its fixtures
set up anew. The user's own configuration, plugins and conftest files hold. Only what would leave traces of
planted slips is turned aside: the cache of the last failures, files of results, and measured coverage.
"""

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest

from backproof.auditing.ended import (
    FAILED,
    PASSED,
    RAISED,
    SKIPPED,
    TIMED_OUT,
    Ended,
    Run,
    limited,
    of_exception,
)
from backproof.errors import UsageError, message

T = TypeVar("T")
# Of several tests, or phases of a test, the one that ended worst says how the run ended.
FROM_THE_WORST = (TIMED_OUT, FAILED, RAISED, SKIPPED, PASSED)


def within_pytest(node: str, body: Callable[[Run], T]) -> T:
    """Let pytest collect a test, call `body` with a function that runs that test once, and return its result.

    Args:
        node: the node id; where it selects several tests, a run is all of them.
        body: gets the function, and may call it as often as it likes.

    Raises:
        UsageError: there is no such test.
    """
    plugin = _Session(body)
    said = io.StringIO()
    options = ["-q", "--tb=short", "--no-header"]
    with tempfile.TemporaryDirectory() as cache, _elsewhere(said):
        status = pytest.main([*options, "-o", f"cache_dir={cache}", node], plugins=[plugin])
    if plugin.raised is not None:
        raise plugin.raised
    if plugin.returned:
        return plugin.returned[0]
    lines = [line.strip() for line in said.getvalue().splitlines() if line.strip()]
    marked = [line for line in lines if line.lower().startswith(("error", "e  "))]
    raise UsageError(
        message(
            must="pytest must find a test there",
            found=(marked or lines or [str(status)])[0],
            where=node,
            do="check the path and the name; pytest --collect-only shows what there is",
        )
    )


@contextlib.contextmanager
def _elsewhere(said: io.StringIO) -> Generator[None]:
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield


class _Session:
    """The plugin that runs `body` in place of the loop over the tests."""

    def __init__(self, body: Callable[[Run], Any]) -> None:
        self.returned: list[Any] = []
        self.raised: BaseException | None = None
        self._body = body
        self._streams = sys.stdout, sys.stderr
        self._ends: list[Ended] = []
        self._seconds = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> Generator[None]:
        """Switch pytest-cov off before it begins to measure; without it, nobody reads this option."""
        early_config.known_args_namespace.no_cov = True
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Keep the tests in this process, before pytest-xdist reads its options."""
        _alone(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Keep the tests in this process, and write no file of results."""
        _alone(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run the body, which runs the tests as often as it likes."""
        if session.testsfailed or not session.items:
            return None  # pytest says what is wrong

        def run(seconds: float) -> Ended:
            self._seconds = seconds
            self._ends.clear()
            with _elsewhere(io.StringIO()):
                for item, following in zip(session.items, [*session.items[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            session.testsfailed, session.shouldfail, session.shouldstop = 0, False, False
            return min(self._ends, key=lambda one: FROM_THE_WORST.index(one.how))

        out, error = self._streams
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
                self.returned.append(self._body(run))
        except BaseException as raised:
            # Whatever it is, the caller of `within_pytest` gets it; pytest would print it.
            self.raised = raised
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, Any, Any]:
        """End a test that runs for too long."""
        with limited(self._seconds):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how a phase of a test ended."""
        report = yield
        if hasattr(report, "wasxfail"):
            self._ends.append(Ended(SKIPPED, "it is marked xfail"))
        elif call.excinfo is not None:
            self._ends.append(of_exception(call.excinfo.value))
        elif report.failed:  # a strict xfail that passes
            self._ends.append(Ended(FAILED, str(report.longrepr)))
        else:
            self._ends.append(Ended(PASSED))
        return report


def _alone(config: pytest.Config) -> None:
    alone = {"numprocesses": None, "dist": "no", "tx": [], "xmlpath": None, "usepdb": False, "maxfail": 0}
    for name, value in alone.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
