"""Checkpoints: resumed bit for bit, damage found and told, nothing lost."""

import json
import os
import subprocess
import sys
import warnings

import jax
import numpy as np
import optax
import pytest
from kills import survived
from samples import MEAN_CROSS_ENTROPY, draw, same_bits

import backproof as bp
from backproof.errors import CheckpointError, CheckpointWarning, UsageError
from backproof.training import Checkpoints, Data, fit, in_sweep_sgd, patience, saving

NETWORK = bp.mlp((3, 4, 2), bp.rules.relu)
SMALL = Data(*draw(0), *draw(1, count=4))
ADAM = optax.adam(0.01)  # one, so that it is compiled for once
STEPS = 3  # an epoch: two batches of 3, one of 1


class CutError(Exception):
    """Interrupts training, as a kill would, at a chosen epoch."""


def cut_at(epoch):
    def on_epoch(seen):
        if seen.number == epoch:
            raise CutError

    return on_epoch


def fit_small(folder=None, every_steps=None, keep=3, **settings):
    checkpoints = None if folder is None else Checkpoints(folder, keep, every_steps, every_seconds=0)
    how = {
        "epochs": 4,
        "batch_size": 3,
        "optimizer": ADAM,
        "checkpoints": checkpoints,
        **settings,
    }
    return fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, **how)


def steps_in(folder):
    return sorted(int(name) for name in os.listdir(folder) if name.isdecimal())


def same(one, other):
    return same_bits((one.params, one.memory), (other.params, other.memory)) and one.history == other.history


@pytest.fixture
def saved(tmp_path):
    """Return a folder with the checkpoints of two epochs of `fit_small`, and what `fit_small` gives."""
    folder = tmp_path / "run"
    fit_small(folder, epochs=2)
    assert steps_in(folder) == [STEPS, 2 * STEPS]
    return folder


@pytest.mark.parametrize("every_steps", [None, 1, 2])
@pytest.mark.parametrize("optimizer", [optax.adam(0.01), in_sweep_sgd(0.1)], ids=["adam", "in sweep"])
def test_a_run_that_was_cut_is_resumed_bit_for_bit(every_steps, optimizer, tmp_path):
    settings = {"every_steps": every_steps, "optimizer": optimizer}
    with pytest.raises(CutError):
        fit_small(tmp_path / "cut", on_epoch=cut_at(2), **settings)
    resumed = fit_small(tmp_path / "cut", **settings)
    assert same(resumed, fit_small(tmp_path / "whole", **settings))
    assert len(resumed.history) == 4


def test_training_resumes_within_an_epoch(tmp_path):
    with pytest.raises(CutError):
        fit_small(tmp_path, every_steps=2, on_epoch=cut_at(2))
    assert steps_in(tmp_path)[-1] % STEPS == 2
    seen = []
    fit_small(tmp_path, every_steps=2, on_epoch=seen.append)
    assert [epoch.number for epoch in seen] == [2, 3, 4]


@pytest.mark.parametrize("kills", [1])
def test_a_process_killed_at_random_ends_with_the_same_bits(kills):
    """`python tests/training/kills.py 50` is the campaign."""
    assert survived(kills, epochs=25, width=8, seed=1, longest=0.3) >= 1


def test_checkpoints_change_no_bit(tmp_path):
    assert same(fit_small(tmp_path), fit_small())


def test_a_finished_experiment_is_handed_back_and_can_be_prolonged(tmp_path):
    first = fit_small(tmp_path, epochs=2)
    assert same(fit_small(tmp_path, epochs=2), first)
    longer = fit_small(tmp_path, epochs=4)
    assert same(longer, fit_small())


def test_only_the_newest_are_kept(tmp_path):
    fit_small(tmp_path, keep=2)
    assert steps_in(tmp_path) == [3 * STEPS, 4 * STEPS]


def test_without_haste_only_the_end_is_saved(tmp_path):
    fit_small(checkpoints=Checkpoints(tmp_path, every_seconds=1000.0))
    assert steps_in(tmp_path) == [4 * STEPS]


def test_the_best_epoch_survives_a_cut(tmp_path):
    settings = {"stop": patience(3), "epochs": 30, "optimizer": optax.sgd(0.5)}
    whole = fit_small(**settings)
    with pytest.raises(CutError):
        fit_small(tmp_path, on_epoch=cut_at(len(whole.history) - 1), **settings)
    resumed = fit_small(tmp_path, **settings)
    assert whole.stopped
    assert same(resumed, whole)
    assert same(fit_small(tmp_path, **settings), whole)


def test_the_key_of_an_optimizer_is_saved(tmp_path):
    noisy = optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(3)), optax.sgd(0.1))
    with pytest.raises(CutError):
        fit_small(tmp_path, optimizer=noisy, on_epoch=cut_at(2))
    resumed, whole = fit_small(tmp_path, optimizer=noisy), fit_small(optimizer=noisy)
    assert same_bits(resumed.params, whole.params)


def test_low_precision_parameters_are_saved(tmp_path):
    data = Data(SMALL.x_train.astype(jax.numpy.bfloat16), SMALL.y_train)
    how = {"epochs": 2, "checkpoints": Checkpoints(tmp_path)}
    first, again = (fit(NETWORK, MEAN_CROSS_ENTROPY, data, optax.sgd(0.1), **how) for _ in range(2))
    assert first.params[0]["W"].dtype == jax.numpy.bfloat16
    assert same_bits(first.params, again.params)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"batch_size": 2}, "batch_size=3 there and 2 here"),
        ({"seed": 1}, "seed=0 there and 1 here"),
        ({"every_steps": 2}, "every_steps=None there and 2 here"),
        ({"optimizer": optax.sgd(0.1)}, r"and None here.* and others"),
        ({"stop": patience(2)}, r"stop='never' there and 'patience\(2\)' here; arrays"),
    ],
)
def test_checkpoints_of_another_experiment_are_refused(saved, change, found):
    with pytest.raises(CheckpointError, match=rf"must belong to this very experiment, but found .*{found}"):
        fit_small(saved, **change)
    assert steps_in(saved) == [STEPS, 2 * STEPS]


def test_another_rate_is_seen_in_the_first_step(saved):
    with pytest.raises(CheckpointError, match="must belong to this very experiment, but found first step="):
        fit_small(saved, optimizer=optax.adam(0.02))


def test_other_first_parameters_are_seen(saved):
    params, _ = NETWORK.init(jax.random.key(9), jax.ShapeDtypeStruct((1, 3), np.float32))
    with pytest.raises(CheckpointError, match="first parameters="):
        fit_small(saved, params=params)


def test_an_optimizer_with_another_tree_and_the_same_arrays_is_refused(saved):
    with pytest.raises(CheckpointError, match="tree="):
        fit_small(saved, optimizer=optax.adamw(0.01))


def test_fewer_epochs_than_are_saved_are_refused(saved):
    with pytest.raises(CheckpointError, match="found epochs=1, and 2 saved; ask for more epochs"):
        fit_small(saved, epochs=1)


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_small(tmp_path, seed=np.int64(3), every_steps=np.int64(2))
    assert steps_in(tmp_path)


def test_a_background_write_that_failed_does_not_stand_in_the_way_of_the_next(tmp_path, monkeypatch):
    checks = saving.ocp.CheckpointManager.wait_until_finished
    failures = [OSError(28, "No space left on device")]

    def once(self):
        checks(self)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(saving.ocp.CheckpointManager, "wait_until_finished", once)
    with pytest.warns(CheckpointWarning, match="No space left"):
        fit_small(tmp_path, epochs=2)
    assert steps_in(tmp_path)[-1] == 2 * STEPS


def test_data_that_changed_between_two_runs_are_noticed(saved):
    x = SMALL.x_train.copy()
    x[0, 0] += 1
    with pytest.raises(CheckpointError, match="found data="):
        fit(
            NETWORK, MEAN_CROSS_ENTROPY, SMALL._replace(x_train=x), optax.adam(0.01), epochs=4, batch_size=3,
            checkpoints=Checkpoints(saved),
        )  # fmt: skip


def test_data_that_change_under_way_change_nothing():
    x, y = SMALL.x_train.copy(), SMALL.y_train.copy()

    def meddle(epoch):
        x[:] = np.nan
        y[:] = 0

    how = {"epochs": 3, "batch_size": 3}
    meddled = fit(NETWORK, MEAN_CROSS_ENTROPY, Data(x, y), optax.sgd(0.1), on_epoch=meddle, **how)
    assert same_bits(
        meddled.params, fit(NETWORK, MEAN_CROSS_ENTROPY, Data(*draw(0)), optax.sgd(0.1), **how).params
    )


def truncate(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "carry" in path.parts and path.stat().st_size > 64:
            os.truncate(path, path.stat().st_size // 2)


def flip(folder):
    """Change the numbers without hurting the container: another state in the place of this one."""
    other = folder.parent / "other"
    fit_small(other, epochs=2, optimizer=optax.adam(0.02))
    subprocess.run(["cp", "-r", f"{other}/{2 * STEPS}/carry/.", f"{folder}/carry"], check=True)
    subprocess.run(["rm", "-r", str(other)], check=True)


def lose(folder):
    subprocess.run(["rm", "-r", str(folder / "carry")], check=True)


def rewrite(**changed):
    def write(folder):
        path = next(path for path in (folder / "about").rglob("*") if path.name == "metadata")
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    return write


def empty_about(folder):
    path = next(path for path in (folder / "about").rglob("*") if path.name == "metadata")
    path.write_text(json.dumps({"somebody": "else"}))


@pytest.mark.parametrize(
    ("hurt", "reason"),
    [
        (truncate, "cannot be read|is damaged"),
        (flip, "is damaged: its numbers are not those that were written"),
        (lose, "cannot be read"),
        (rewrite(format=99), "has the format of a newer backproof, 99 and not 1"),
        (rewrite(format=0), "has the format of an older backproof, 0 and not 1"),
        (empty_about, "was not written by backproof"),
        (rewrite(epoch=2), "is damaged: its description is not the one that was written"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_told_and_the_one_before_is_used(saved, hurt, reason):
    hurt(saved / str(2 * STEPS))
    with pytest.warns(CheckpointWarning, match=rf"{2 * STEPS} ({reason}).*; the one before is used"):
        resumed = fit_small(saved)
    assert same(resumed, fit_small())


def test_if_none_can_be_used_nothing_begins(saved):
    for step in steps_in(saved):
        lose(saved / str(step))
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(CheckpointError, match=r"at least one .* must be whole"),
    ):
        fit_small(saved)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"a folder of their own .* thesis\.tex; name a new folder"):
        fit_small(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="found a file"):
        fit_small(tmp_path / "file")


def test_a_save_that_fails_is_a_warning_and_loses_nothing(saved, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving.ocp.CheckpointManager, "save", full)
    with pytest.warns(
        CheckpointWarning, match="No space left on device; make room; earlier checkpoints are untouched"
    ):
        result = fit_small(saved)
    assert same(result, fit_small())
    monkeypatch.undo()
    assert steps_in(saved) == [STEPS, 2 * STEPS]
    assert same(fit_small(saved), result)


FULL_DISK = """
import resource, sys, warnings
sys.path[:0] = sys.argv[2:]
from test_checkpoints import fit_small

resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # no file may grow beyond 100 bytes
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    result = fit_small(sys.argv[1])
print(len(result.history), {one.category.__name__ for one in said}, "make room" in str(said[0].message))
"""


def test_writes_that_break_off_leave_the_last_one_whole(saved):
    """In a process of its own, for orbax leaves tasks behind that complain when they are collected."""
    paths = [path for path in sys.path if path.endswith(("tests", "training"))]
    command = [sys.executable, "-c", FULL_DISK, str(saved), *paths]
    alone = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}  # its files do not fit either
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout
    assert said == "4 {'CheckpointWarning'} True\n"
    assert steps_in(saved) == [STEPS, 2 * STEPS]
    assert same(fit_small(saved), fit_small())
    assert sorted(map(int, os.listdir(saved))) == [2 * STEPS, 3 * STEPS, 4 * STEPS]


@pytest.mark.parametrize("setting", [{"keep": 0}, {"every_steps": 0}, {"every_seconds": -1.0}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(UsageError, match=next(iter(setting))):
        Checkpoints("run", **setting)


def test_saving_gives_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_small(tmp_path)
