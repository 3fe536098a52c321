"""The runs of the user's test, in this process: of a callable, or of a test of pytest by its node id.

It runs in this process, because a process of its own would import JAX and compile everything anew for each of
the slips, and because a rule made by a closure or a fixture has no name by which another process could find
it. What the test keeps in its modules is therefore shared by all runs.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from backproof.auditing.ended import PASSED, Ended, Run, limited, of_exception
from backproof.errors import UsageError, message

T = TypeVar("T")


def with_runs(test: Any, args: tuple[Any, ...], body: Callable[[Run], T]) -> T:
    """Call `body` with a function that runs the test once, and return its result.

    Args:
        test: a callable, or the node id of a test of pytest, which is collected once.
        args: the arguments of a callable.
        body: gets the function, and may call it as often as it likes.

    Raises:
        UsageError: the test is neither, or pytest finds none.
    """
    if callable(test):
        return body(lambda seconds: _ended(lambda: test(*args), seconds))
    if not isinstance(test, str) or args:
        raise UsageError(
            message(
                must="the test must be a callable with its arguments, or a node id of pytest alone",
                found=f"test={test!r}",
                where="audit",
                do="pass a function, or e.g. 'tests/test_kernels.py::test_layernorm'",
            )
        )
    try:
        from backproof.auditing.by_pytest import within_pytest
    except ModuleNotFoundError as error:
        raise UsageError(
            message(
                must="pytest must be installed to run a test by its node id",
                found=str(error),
                where=test,
                do="pip install pytest, or pass the test as a function to backproof.audit",
            )
        ) from error
    return within_pytest(test, body)


def _ended(run: Callable[[], Any], timeout: float) -> Ended:
    try:
        with limited(timeout):
            run()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # The test is the user's code: whatever it raises tells how it ended.
        return of_exception(error)
    return Ended(PASSED)
