"""The settings for checkpoints: where and how often an experiment is saved. `saving` does the writing."""

from dataclasses import dataclass
from pathlib import Path

from backproof.rule import require_number, require_whole_number


@dataclass(frozen=True)
class Checkpoints:
    """Says where an experiment is saved, and how often.

    Attributes:
        folder: a folder that is used for nothing else; it is created if it does not exist.
        keep: the number of newest checkpoints that are kept.
        every_steps: the number of steps after which an epoch may be interrupted; None: only at its end.
        every_seconds: the least time between two saves. The end of training is always saved.

    Raises:
        UsageError: a number is out of range.
    """

    folder: str | Path
    keep: int = 3
    every_steps: int | None = None
    every_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("keep", "every_steps"):
            if getattr(self, name) is not None:  # as int, because it is written as JSON
                value = require_whole_number(getattr(self, name), name, "Checkpoints")
                object.__setattr__(self, name, value)
        require_number(self.every_seconds, "every_seconds", "Checkpoints", "of at least 0", lambda s: s >= 0)
