"""Peers in processes of their own: those that run, those that are not there, those that fail."""

import json
import runpy
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agreement import assert_agrees
from backproof.benchmark import libraries
from backproof.benchmark.libraries import BACKPROOF, PEERS, FailedError, Script, lap, race


def script(tmp_path, name, text, module="numpy"):
    path = tmp_path / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return Script(name, module, path)


def figures(speed):
    return (
        f'import json; print("loading"); print(json.dumps({{"steps_per_second": {speed}, "accuracy": 0.9}}))'
    )


@pytest.fixture
def in_place_of_training(monkeypatch, tmp_path):
    """Put quick scripts in the place of backproof's own."""
    ours = script(tmp_path, "backproof", figures(600), "backproof")
    monkeypatch.setattr(libraries, "BACKPROOF", ours)
    monkeypatch.setattr(libraries, "_train_seconds", lambda epochs: 2.0)


@pytest.mark.usefixtures("in_place_of_training")
def test_a_race_tells_who_ran_who_is_absent_and_who_failed(tmp_path):
    slow = script(tmp_path, "slow", figures(200))
    absent = script(tmp_path, "absent", figures(1), "no_such_library")
    broken = script(tmp_path, "broken", "raise OSError('no device')")
    ours, slow_one, absent_one, broken_one = race([slow, absent, broken], epochs=1, rounds=2)
    assert (ours.speedup.median, ours.process_ratio.median) == (1, 1)
    assert (slow_one.status, slow_one.accuracy) == (np.__version__, 0.9)
    assert slow_one.speedup.median == 3
    assert slow_one.speedup.rounds == 2
    assert slow_one.process_ratio.median == slow_one.process_seconds.median / 2
    assert (absent_one.status, absent_one.speedup) == ("not installed", None)
    assert (broken_one.status, broken_one.speedup) == ("failed: OSError: no device", None)


def test_a_failure_of_backproof_itself_is_none_of_a_peer(monkeypatch, tmp_path):
    broken = script(tmp_path, "backproof", "raise OSError('no device')", "backproof")
    monkeypatch.setattr(libraries, "BACKPROOF", broken)
    monkeypatch.setattr(libraries, "_train_seconds", lambda epochs: 2.0)
    with pytest.raises(FailedError, match="no device"):
        race([], epochs=1, rounds=1)


def test_a_script_that_prints_no_figures_fails(tmp_path):
    with pytest.raises(FailedError, match="no figures in 'hello"):
        lap(script(tmp_path, "greeting", "print('hello')"), tmp_path, 1)


@pytest.mark.parametrize(("given", "seen"), [(None, "1"), ("4", "4")])
def test_a_process_gets_one_thread_unless_the_environment_says_more(given, seen, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    asking = figures(0).replace(": 0,", ": int(__import__('os').environ['OMP_NUM_THREADS']),")
    assert lap(script(tmp_path, "asking", asking), tmp_path, 1).steps_per_second == int(seen)


def test_every_peer_has_its_script_and_none_of_them_is_imported():
    for one in (BACKPROOF, *PEERS):
        assert one.path.is_file()
    assert not any("benchmark.peers" in name for name in sys.modules)


def test_the_products_are_those_of_the_gradient():
    products = runpy.run_path(str(PEERS[-1].path))["products"]
    numbers = np.random.default_rng(0)
    weights = tuple(numbers.normal(size=shape) for shape in ((4, 3), (5, 4), (2, 5)))

    def half_square(weights, x):
        y = x
        for W in weights:
            y = y @ W.T
        return 0.5 * jnp.sum(y * y)

    x = numbers.normal(size=(6, 3))
    assert_agrees(lambda weights, x: products(weights, x)[0], jax.grad(half_square), weights, x)


@pytest.mark.as_user
def test_the_script_of_backproof_trains_and_prints_its_figures(tmp_path, capsys):
    numbers = np.random.default_rng(0)
    labels = (np.arange(70) % 10).astype(np.int32)
    x = (np.eye(10, 64)[labels] * 8 + numbers.normal(size=(70, 64))).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=labels, x_test=x[:20], y_test=labels[:20])
    runpy.run_path(str(BACKPROOF.path))["main"](str(tmp_path / "data.npz"), 12)
    found = json.loads(capsys.readouterr().out)
    assert found["steps_per_second"] > 0
    assert found["accuracy"] > 0.9
