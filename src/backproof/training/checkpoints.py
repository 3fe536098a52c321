"""Where and how often an experiment is saved; `saving`, which needs orbax-checkpoint, does the writing."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backproof.errors import CheckpointError, message
from backproof.rule import require_number, require_whole_number

if TYPE_CHECKING:
    from backproof.training.saving import Saver


@dataclass(frozen=True)
class Checkpoints:
    """Says where an experiment is saved, and how often.

    Attributes:
        folder: of its own, made if it is not there.
        keep: how many of the newest are kept.
        every_steps: where an epoch may be interrupted: after so many steps; None means only at its end.
        every_seconds: how long to wait at least from one save to the next. The end is always saved.

    Raises:
        UsageError: a number is out of range.
    """

    folder: str | Path
    keep: int = 3
    every_steps: int | None = None
    every_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("keep", "every_steps"):
            if getattr(self, name) is not None:  # as int, for it is written in JSON
                value = require_whole_number(getattr(self, name), name, "Checkpoints")
                object.__setattr__(self, name, value)
        require_number(self.every_seconds, "every_seconds", "Checkpoints", "of at least 0", lambda s: s >= 0)


def saver(checkpoints: Checkpoints, experiment: dict[str, Any]) -> "Saver":
    """Return what saves to and resumes from `checkpoints.folder`; `experiment` says in JSON which it is.

    Raises:
        CheckpointError: orbax-checkpoint is not installed, or the folder is no place for checkpoints.
    """
    if find_spec("orbax") is None or find_spec("orbax.checkpoint") is None:
        raise CheckpointError(
            message(
                must="checkpoints need the package orbax-checkpoint",
                found="none installed",
                where="fit",
                do='install it: pip install "backproof[checkpoints]"',
            )
        )
    return import_module("backproof.training.saving").Saver(checkpoints, experiment)
