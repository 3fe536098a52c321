"""What was compiled for an experiment serves it again, and no other one."""

from contextlib import contextmanager

import jax
import numpy as np
import optax
import pytest
from samples import draw, same_bits

import backproof as bp
from backproof.training import Checkpoints, Data, data_parallel, fit, in_sweep_sgd, patience, settled, sweep
from backproof.training.kept import MOST, kept

SMALL, OTHER = Data(*draw(0), *draw(1, count=4)), Data(*draw(2), *draw(3, count=4))
RATES = {"learning_rate": (0.1, 0.3)}


@contextmanager
def compilations():
    """Yield a list that grows by one entry with each program that XLA compiles."""
    seen = []

    def listen(event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            seen.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def parts():
    """Return a network, a loss and an optimizer that nothing was compiled for yet."""
    return bp.mlp((3, 4, 2), bp.rules.tanh), bp.losses.mean(bp.losses.softmax_cross_entropy), optax.adam(0.1)


def renamed(rule):
    """Return a rule that does the same and is another one."""
    return rule._replace(name=f"another {rule.name}")


def unhashable(rule):
    """Return `rule` with a value in it that has no hash."""
    return rule._replace(parts=[*rule.parts])


@pytest.mark.parametrize(
    "settings", [{}, {"stop": patience(2)}, {"layout": data_parallel(1)}], ids=["", "stop", "layout"]
)
def test_an_experiment_that_was_run_compiles_nothing(settings):
    chosen, how = parts(), {"epochs": 2, "batch_size": 3} | settings
    with compilations() as first:
        fit(*chosen[:2], SMALL, chosen[2], **how)
    with compilations() as again:
        fit(*chosen[:2], OTHER, chosen[2], seed=1, **how)
    assert len(first) > 0
    assert len(again) == 0


def test_it_is_so_under_checkpoints_and_without_an_optimizer(tmp_path):
    pytest.importorskip("orbax.checkpoint")  # importing it makes newer versions of JAX compile anew, once
    network, loss, _ = parts()
    fit(network, loss, SMALL, epochs=1, checkpoints=Checkpoints(tmp_path / "one"))
    with compilations() as again:
        fit(network, loss, OTHER, epochs=1, checkpoints=Checkpoints(tmp_path / "two"))
    assert len(again) == 0


def test_a_sweep_that_was_run_compiles_nothing():
    network, loss, _ = parts()
    sweep(network, loss, SMALL, optax.sgd, RATES, epochs=2)
    with compilations() as again:
        sweep(network, loss, OTHER, optax.sgd, {"learning_rate": (0.2, 0.4)}, seeds=(3,), epochs=2)
    assert len(again) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"network": bp.mlp((3, 4, 2), bp.rules.relu)},
        {"loss": bp.losses.softmax_cross_entropy},
        {"optimizer": optax.sgd(0.2)},
        {"optimizer": in_sweep_sgd(0.1)},
        {"stop": settled(0.2)},
        {"metric": lambda prediction, target: prediction.sum()},
        {"batch_size": 2},
        {"data": Data(*draw(0, count=5))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_experiment_is_not_taken_for_it(changed):
    network, loss, optimizer = parts()
    common = {"network": network, "loss": loss, "data": SMALL, "optimizer": optimizer, "epochs": 3}
    common |= {"batch_size": 3, "stop": settled(0.1)}
    fit(**common)
    common |= changed
    after_it = fit(**common)
    alone = fit(**common | {"network": renamed(common["network"])})
    assert same_bits(after_it.params, alone.params)
    assert after_it.history == alone.history


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_sweep_of_other_length_is_not_taken_for_it(epochs):
    network, loss, _ = parts()
    for number in (2, epochs):
        outcome = sweep(network, loss, SMALL, optax.sgd, RATES, epochs=number)
        assert outcome.curves.loss.shape == (2, 1, number)


def test_what_has_no_hash_is_trained_all_the_same():
    network, loss, optimizer = parts()
    plain, strange = (
        fit(one, loss, SMALL, optimizer, epochs=2).params for one in (network, unhashable(network))
    )
    assert same_bits(plain, strange)


def test_the_settings_of_jax_are_part_of_what_was_compiled():
    network, loss, optimizer = parts()
    narrow = fit(network, loss, SMALL, optimizer, epochs=1)
    with jax.enable_x64(True):
        wide = fit(network, loss, SMALL._replace(x_train=SMALL.x_train.astype(float)), optimizer, epochs=1)
        assert wide.params[0]["W"].dtype == np.float64
    assert narrow.params[0]["W"].dtype == np.float32


def test_only_the_last_are_kept():
    built = []

    @kept
    def build(number):
        built.append(number)
        return number

    for number in (*range(MOST + 1), MOST, 0):
        build(number)
    assert built == [*range(MOST + 1), 0]


def test_numbers_of_other_types_are_other_arguments():
    @kept
    def build(number):
        return type(number)

    assert (build(1), build(1.0), build(True)) == (int, float, bool)
