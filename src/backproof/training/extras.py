"""The two parts of training that need an optional package, loaded late.

`saving` needs orbax-checkpoint and `feeding` needs grain. Only this file loads them, inside the functions
that use them, so that `backproof.training` can be imported, and imported quickly, where neither is installed.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import jax

from backproof.errors import CheckpointError, UsageError, message
from backproof.training.checkpoints import Checkpoints
from backproof.training.segment import Experiment, Position
from backproof.training.stream import Reader, Stream

if TYPE_CHECKING:
    from backproof.training.feeding import Feed
    from backproof.training.saving import Saver


def saver(checkpoints: Checkpoints, experiment: dict[str, Any]) -> "Saver":
    """Return the `Saver` that writes to and resumes from `checkpoints.folder`.

    Args:
        checkpoints: the folder, and how often to save.
        experiment: a description, which JSON can hold, that distinguishes this experiment from others.

    Raises:
        CheckpointError: orbax-checkpoint is not installed, or the folder cannot be used for checkpoints.
    """
    if find_spec("orbax") is None or find_spec("orbax.checkpoint") is None:
        raise CheckpointError(_not_installed("checkpoints need the package orbax-checkpoint", "checkpoints"))
    from backproof.training.saving import Saver

    return Saver(checkpoints, experiment)


def feed(
    stream: Stream, classes: int | None, experiment: Experiment, key: jax.Array, epochs: int, begin: Position
) -> "Feed":
    """Return the `Feed` that reads the segments of `stream` from `begin` on, ahead of the device.

    It is a context manager.

    Raises:
        UsageError: grain is not installed.
    """
    if find_spec("grain") is None:
        raise UsageError(_not_installed("a stream needs the package grain", "streaming"))
    from backproof.training.feeding import Feed

    return Feed(Reader(stream, classes).batch, stream, experiment, key, epochs, begin)


def _not_installed(must: str, extra: str) -> str:
    return message(
        must=must,
        found="none installed",
        where="fit",
        do=f'install it: pip install "backproof[{extra}]"',
    )
