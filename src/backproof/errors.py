"""The exceptions and the warning of backproof, and the function that builds their messages."""

import difflib
from collections.abc import Iterable
from typing import Any


class GradientError(AssertionError):
    """Raised by `check` when a hand-written gradient, or a derivation, is not shown to be right.

    Attributes:
        report: the report, whose text is the text of the error; None where there is none.
    """

    def __init__(self, text: str = "", report: Any = None) -> None:
        """Store the text and the report."""
        super().__init__(text)
        self.report = report


class UsageError(ValueError):
    """Raised when a call makes no sense: it has a wrong shape, tree, dtype, name or number."""


class DataError(UsageError):
    """Raised when a data set cannot be read, or holds values that no experiment can use."""


class CheckpointError(UsageError):
    """Raised when a checkpoint cannot be resumed."""


class CheckpointWarning(UserWarning):
    """Issued when a checkpoint cannot be written or read, and training goes on without it."""


class DivergedError(ArithmeticError):
    """Raised when the training loss is not finite."""


class ProcessLostError(RuntimeError):
    """Raised when one of the processes of an experiment was ended from outside."""


class OracleError(RuntimeError):
    """Raised when backproof itself evaluates a function otherwise than JAX does: a fault of backproof."""


def message(*, must: str, found: str, where: str, do: str) -> str:
    """Return the text of an error: what must hold, what was found, where, and what to do.

    Args:
        must: the condition that had to hold, as a full clause.
        found: what was there instead, as `name=value` where it has a name.
        where: the rule, leaf path or file that the error is about.
        do: what the reader should do next.
    """
    return f"{where}: {must}, but found {found}; {do}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the advice that `message` gives about a `name` that is not among `known`."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]}?" if close else "choose one of them"
