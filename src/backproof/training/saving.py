"""Checkpoints on disk, by orbax: written during training, either whole or absent, and checked when read.

A checkpoint is one folder, named after the number of steps taken. Its item `carry` holds the arrays that
were on the device. Its item `about` is JSON: which experiment the checkpoint belongs to, how far training had
come, its history, and a digest of the arrays. orbax writes under a temporary name and renames the folder at
the end, so that the newest checkpoint is whole even if the process is killed during a write.
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
    """Raised when one checkpoint cannot be used; the text tells the user why."""


class Saver:
    """A context manager that writes the checkpoints of one experiment and reads the newest whole one."""

    def __init__(self, checkpoints: Checkpoints, experiment: dict[str, Any]) -> None:
        """Open the folder, and create it if it does not exist.

        Raises:
            CheckpointError: the folder is a file, cannot be written, or holds anything but checkpoints.
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
        self._warning_if_it_fails(self._finish)  # a failure here must not lose the result
        logging.getLogger("absl").removeFilter(_not_from_orbax)

    def _finish(self) -> None:
        try:
            self._manager.wait_until_finished()
        finally:
            self._manager.close()  # raises again the error that the wait raised

    @property
    def is_due(self) -> bool:
        """Whether it is time to save again, by the clock of process 0; every process must read it."""
        return decided(time.monotonic() - self._last >= self._every_seconds)

    def save(
        self, carry: PyTree, position: Position, history: Sequence[Epoch], stopped: bool, step: int
    ) -> None:
        """Begin to write a checkpoint; a failure is only a `CheckpointWarning`, and training continues.

        The buffers of `carry` may be donated as soon as this returns. `step` is the number of steps taken.
        """
        if position == self._written:
            return
        own = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), without_keys(carry))
        about = {
            "format": FORMAT,
            "experiment": self._experiment,
            "epoch": position.epoch,
            "step": position.step,
            "history": [list(one) for one in history],  # a copy: orbax writes it during training
            "stopped": stopped,
            "digest": digest(gathered(own)),
        }
        about["seal"] = _seal(about)
        items = ocp.args.Composite(carry=ocp.args.StandardSave(own), about=ocp.args.JsonSave(about))
        # if the last write failed in the background, report it first: its error would stop this write
        self._warning_if_it_fails(self._manager.wait_until_finished)
        begun = self._warning_if_it_fails(lambda: self._manager.save(step, args=items, force=True))
        if everywhere(begun):
            self._written = position
        self._last = time.monotonic()

    def resume(self, carry: PyTree) -> Saved | None:
        """Return the newest whole checkpoint, its arrays placed as those of `carry`; None if there is none.

        A checkpoint that cannot be used is skipped with a `CheckpointWarning` that says why.

        Raises:
            CheckpointError: the checkpoints belong to another experiment, or none of them can be used.
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
                    do="restore one from a copy, or start again in another folder",
                )
            )
        return None

    def _put_aside(self, steps: Iterable[int]) -> None:
        """Rename the unusable checkpoints, so that new ones can have their names and nothing is deleted."""
        for step in steps if jax.process_index() == 0 else ():
            aside = self._folder / f"{step}.unusable"
            number = 2
            while aside.exists():
                aside, number = self._folder / f"{step}.unusable.{number}", number + 1
            (self._folder / str(step)).rename(aside)
        everywhere(True)  # the other processes wait for the renaming
        self._manager.reload()

    def _restored(self, step: int, carry: PyTree) -> Saved:
        about = self._read(step, about=ocp.args.JsonRestore())["about"]
        if not isinstance(about, dict) or "format" not in about:
            raise UnusableError("was not written by backproof")
        if about["format"] != FORMAT:
            age = "a newer" if about["format"] > FORMAT else "an older"
            raise UnusableError(f"has the format of {age} backproof, {about['format']} and not {FORMAT}")
        if about.pop("seal", None) != _seal(about):
            raise UnusableError("is damaged: its description is not the one that was written")
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
        if cause is None:
            raise UnusableError("cannot be read by another process")
        first = str(cause).strip().partition("\n")[0][:200]
        raise UnusableError(f"cannot be read ({type(cause).__name__}: {first})") from cause

    def _require_same(self, there: dict[str, Any]) -> None:
        other = _differences(there, self._experiment)
        if other:
            raise CheckpointError(
                message(
                    must="checkpoints must belong to this very experiment",
                    found=f"{'; '.join(other[:3])}{' and others' if len(other) > 3 else ''}",
                    where=str(self._folder),
                    do="call fit with the arguments of that experiment, or save to another folder",
                )
            )

    def _warning_if_it_fails(self, write: Any) -> bool:
        try:
            write()
        except Exception as error:  # a full disk, a deleted folder: training continues in any case
            first = str(error).strip().partition("\n")[0][:200]
            text = message(
                must="the checkpoint must be written",
                found=f"{type(error).__name__}: {first}",
                where=str(self._folder),
                do="make room; earlier checkpoints are untouched, and training continues",
            )
            warnings.warn(text, CheckpointWarning, stacklevel=5)
            self._written = None
            for unfinished in self._folder.glob(f"*{UNFINISHED}"):  # leftovers would fill the disk
                shutil.rmtree(unfinished, ignore_errors=True)
            return False
        return True


def _seal(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _not_from_orbax(record: logging.LogRecord) -> bool:
    """Drop the hundreds of lines that orbax logs for one failure: our warning gives the reason."""
    return "orbax" not in record.pathname


def _differences(there: dict[str, Any], here: dict[str, Any], of: str = "") -> list[str]:
    """Return a line of text for each difference between two descriptions of an experiment."""
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
