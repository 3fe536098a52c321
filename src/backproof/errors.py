"""What backproof raises, and the one way its messages are put together."""

import difflib
from collections.abc import Iterable


class GradientError(AssertionError):
    """Is raised by `backproof.check` when a hand-written gradient is not shown to be right."""


class UsageError(ValueError):
    """Is raised when a call cannot mean anything: a wrong shape, tree, dtype, name or number."""


class DataError(UsageError):
    """Is raised when a data set cannot be read, or holds values no experiment can use."""


class CheckpointError(UsageError):
    """Is raised when what is saved of an experiment cannot be gone on with."""


class CheckpointWarning(UserWarning):
    """Is given when a checkpoint cannot be written or read, and training goes on without it."""


class DivergedError(ArithmeticError):
    """Is raised when training meets a loss that is not finite."""


class ProcessLostError(RuntimeError):
    """Is raised when one of the processes of an experiment was ended from outside."""


def message(*, must: str, found: str, where: str, do: str) -> str:
    """Return the text of an error: what must hold, what was found, where, and what to do.

    Args:
        must: the condition that had to hold, as a full clause.
        found: what stood there instead, as `name=value` where there is a name.
        where: the rule, leaf path or file that it concerns.
        do: the next step for the reader.
    """
    return f"{where}: {must}, but found {found}; {do}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return what to do about a `name` that is none of `known`, for `message`."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]}?" if close else "choose one of them"
