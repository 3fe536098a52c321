"""Checkpoints on disk, by orbax: written beside training, complete or not there at all, checked when read.

A checkpoint is one folder, named by the number of steps taken. `carry` holds what was on the device,
`about` in JSON which experiment it belongs to, where it stands, its history, and a digest of the numbers.
orbax writes under another name and renames at the end, so that a kill leaves the last one whole.
"""

import hashlib
import json
import logging
import shutil
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from backproof.errors import CheckpointError, CheckpointWarning, message
from backproof.rule import PyTree
from backproof.training.checkpoints import Checkpoints
from backproof.training.data import digest
from backproof.training.devices import decided, everywhere, gathered, is_key, without_keys
from backproof.training.history import Epoch
from backproof.training.segment import Position

FORMAT = 1
UNFINISHED = ".orbax-checkpoint-tmp"


class Saved(NamedTuple):
    """Holds an experiment as it was saved."""

    carry: PyTree
    position: Position
    history: tuple[Epoch, ...]
    stopped: bool


class UnusableError(Exception):
    """Says why one checkpoint cannot be used, in words for the user."""


class Saver:
    """Writes the checkpoints of one experiment and reads the newest that is whole. Is a context."""

    def __init__(self, checkpoints: Checkpoints, experiment: dict[str, Any]) -> None:
        """Open the folder, and make it if it is not there.

        Raises:
            CheckpointError: it is a file, or holds something else than checkpoints.
        """
        self._folder = Path(checkpoints.folder).absolute()
        self._experiment = experiment
        self._every_seconds = checkpoints.every_seconds
        self._last = time.monotonic()
        self._written: Position | None = None
        _require_place(self._folder)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=checkpoints.keep, create=True, cleanup_tmp_directories=True
        )
        try:
            self._manager = ocp.CheckpointManager(
                self._folder, options=options, item_names=("carry", "about")
            )
        except OSError as error:
            raise _no_place(self._folder, str(error)) from error

    def __enter__(self) -> "Saver":
        logging.getLogger("absl").addFilter(_not_from_orbax)
        return self

    def __exit__(self, *raised: object) -> None:
        self._warning_if_it_fails(self._finish)  # the result of training must not be lost with the last save
        logging.getLogger("absl").removeFilter(_not_from_orbax)

    def _finish(self) -> None:
        try:
            self._manager.wait_until_finished()
        finally:
            self._manager.close()  # which raises once more what the wait raised

    @property
    def is_due(self) -> bool:
        """Whether it is time to save again, by the clock of process 0; every process must ask."""
        return decided(time.monotonic() - self._last >= self._every_seconds)

    def save(
        self, carry: PyTree, position: Position, history: Sequence[Epoch], stopped: bool, step: int
    ) -> None:
        """Begin to write; a failure is a `CheckpointWarning`, for training can go on without.

        `carry` may be given away as soon as this returns. `step` counts the steps taken.
        """
        if position == self._written:
            return
        own = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), without_keys(carry))
        about = {
            "format": FORMAT,
            "experiment": self._experiment,
            "epoch": position.epoch,
            "step": position.step,
            "history": [list(one) for one in history],  # of its own: it is written while training goes on
            "stopped": stopped,
            "digest": digest(gathered(own)),
        }
        about["seal"] = _seal(about)
        items = ocp.args.Composite(carry=ocp.args.StandardSave(own), about=ocp.args.JsonSave(about))
        # a write that failed in the background is told first, or it would stand in the way of this one
        self._warning_if_it_fails(self._manager.wait_until_finished)
        begun = self._warning_if_it_fails(lambda: self._manager.save(step, args=items, force=True))
        if everywhere(begun):
            self._written = position
        self._last = time.monotonic()

    def resume(self, carry: PyTree) -> Saved | None:
        """Return the newest checkpoint that is whole, placed as `carry` is; None if there is none at all.

        One that cannot be used is a `CheckpointWarning` that says why.

        Raises:
            CheckpointError: they belong to another experiment, or there are some and none can be used.
        """
        reasons = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                saved = self._restored(step, carry)
            except UnusableError as reason:
                reasons[step] = f"{self._folder / str(step)} {reason}"
                warnings.warn(f"{reasons[step]}; the one before is used", CheckpointWarning, stacklevel=4)
            else:
                self._written = saved.position
                self._put_aside(reasons)
                return saved
        if reasons:
            raise CheckpointError(
                message(
                    must="at least one checkpoint must be whole",
                    found="; ".join(reasons.values()),
                    where=str(self._folder),
                    do="restore one from a copy, or begin anew in another folder",
                )
            )
        return None

    def _put_aside(self, steps: Iterable[int]) -> None:
        """Rename the checkpoints that cannot be used, so that others can take their place; none is lost."""
        for step in steps if jax.process_index() == 0 else ():
            aside = self._folder / f"{step}.unusable"
            number = 2
            while aside.exists():
                aside, number = self._folder / f"{step}.unusable.{number}", number + 1
            (self._folder / str(step)).rename(aside)
        everywhere(True)  # the others wait for it
        self._manager.reload()

    def _restored(self, step: int, carry: PyTree) -> Saved:
        about = self._read(step, about=ocp.args.JsonRestore())["about"]
        if not isinstance(about, dict) or "format" not in about:
            raise UnusableError("was not written by backproof")
        if about["format"] != FORMAT:
            age = "a newer" if about["format"] > FORMAT else "an older"
            raise UnusableError(f"has the format of {age} backproof, {about['format']} and not {FORMAT}")
        if about.pop("seal", None) != _seal(about):
            raise UnusableError("is damaged: what it says of itself is not what was written")
        self._require_same(about["experiment"])
        wanted = ocp.args.StandardRestore(_abstract(without_keys(carry)))
        found = self._read(step, carry=wanted)["carry"]
        if digest(gathered(found)) != about["digest"]:
            raise UnusableError("is damaged: its numbers are not those that were written")
        history = tuple(Epoch(*one) for one in about["history"])
        found = jax.tree.map(_as_key, found, carry)
        return Saved(found, Position(about["epoch"], about["step"]), history, about["stopped"])

    def _read(self, step: int, **items: Any) -> Any:
        found, cause = None, None
        try:
            found = self._manager.restore(step, args=ocp.args.Composite(**items))
        except Exception as error:  # a damaged file can raise anything; the reason reaches the user
            cause = error
        if everywhere(cause is None):
            return found
        first = str(cause or "by another process").strip().partition("\n")[0][:200]
        raise UnusableError(f"cannot be read ({type(cause).__name__}: {first})") from cause

    def _require_same(self, there: dict[str, Any]) -> None:
        other = _differences(there, self._experiment)
        if other:
            raise CheckpointError(
                message(
                    must="checkpoints must be of this very experiment",
                    found=f"{'; '.join(other[:3])}{' and others' if len(other) > 3 else ''}",
                    where=str(self._folder),
                    do="call fit as it was called then, or save to another folder",
                )
            )

    def _warning_if_it_fails(self, write: Any) -> bool:
        try:
            write()
        except Exception as error:  # a full disk, a folder gone: whatever it is, training goes on
            first = str(error).strip().partition("\n")[0][:200]
            text = message(
                must="the checkpoint must be written",
                found=f"{type(error).__name__}: {first}",
                where=str(self._folder),
                do="make room; what was saved before is untouched, and training goes on",
            )
            warnings.warn(text, CheckpointWarning, stacklevel=5)
            self._written = None
            for unfinished in self._folder.glob(f"*{UNFINISHED}"):  # or they would fill what room there is
                shutil.rmtree(unfinished, ignore_errors=True)
            return False
        return True


def _seal(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _not_from_orbax(record: logging.LogRecord) -> bool:
    """Hold back what orbax logs of a failure, hundreds of lines: the reason stands in the warning."""
    return "orbax" not in record.pathname


def _differences(there: dict[str, Any], here: dict[str, Any], of: str = "") -> list[str]:
    """Return in words where two descriptions of an experiment differ."""
    found = []
    for name in {**here, **there}:
        one, other = there.get(name), here.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{of}{name}")
        elif one != other:
            found.append(f"{of}{name}={one!r} there and {other!r} here")
    return found


def _as_key(leaf: jax.Array, like: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(like)) if is_key(like) else leaf


def _abstract(carry: PyTree) -> PyTree:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), carry
    )


def _require_place(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise _no_place(folder, "a file")
    foreign = sorted(
        entry.name
        for entry in folder.iterdir()
        if not (
            entry.name.startswith(".")
            or entry.name.isdecimal()
            or UNFINISHED in entry.name
            or ".unusable" in entry.name
        )
    )
    if foreign:
        raise _no_place(folder, f"something else in it: {', '.join(foreign[:3])}")


def _no_place(folder: Path, found: str) -> CheckpointError:
    return CheckpointError(
        message(
            must="checkpoints need a folder of their own that can be written",
            found=found,
            where=str(folder),
            do="name a new folder",
        )
    )
