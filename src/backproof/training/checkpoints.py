"""Where and how often an experiment is saved; `saving`, which needs orbax-checkpoint, does the writing."""

from dataclasses import dataclass
from pathlib import Path

from backproof.rule import require_number, require_whole_number


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
