"""What was compiled for an experiment serves it again, and no other one."""

import gc
import weakref
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from samples import draw, same_bits

import backproof as bp
from backproof.errors import DivergedError
from backproof.training import (
    Checkpoints,
    Data,
    data_parallel,
    fit,
    forget,
    in_sweep_sgd,
    patience,
    settled,
    sweep,
)
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
        {"stop": settled(1e3)},
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
    before = fit(**common)
    common |= changed
    after_it = fit(**common)
    alone = fit(**common | {"network": renamed(common["network"])})
    assert same_bits(after_it.params, alone.params)
    assert after_it.history == alone.history != before.history


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


@pytest.mark.parametrize("look", [jax.debug_nans, jax.debug_infs])
def test_jax_finds_the_source_of_a_nan_after_a_plain_run(look):
    network, loss, _ = parts()
    spoilt = optax.sgd(3e38)
    with pytest.raises(DivergedError):
        fit(network, loss, SMALL, spoilt, epochs=6)
    with look(True), pytest.raises(FloatingPointError):
        fit(network, loss, SMALL, spoilt, epochs=6)


def test_a_sweep_follows_fit_to_another_generator():
    network, loss, _ = parts()
    how = {"epochs": 1, "batch_size": 3}
    sweep(network, loss, SMALL, in_sweep_sgd, RATES, **how)
    with jax.default_prng_impl("rbg"):
        swept = sweep(network, loss, SMALL, in_sweep_sgd, RATES, **how).curves.loss[0, 0]
        alone = fit(network, loss, SMALL, in_sweep_sgd(0.1), **how).history[0].loss
    np.testing.assert_array_max_ulp(np.float32(swept[0]), np.float32(alone), 8)


def test_what_is_forgotten_is_freed():
    held = jnp.ones(3)
    seen = weakref.ref(held)
    network, loss, optimizer = parts()
    fit(network, loss, SMALL, optimizer, epochs=1, metric=lambda p, t, held=held: held.sum() * p.sum())
    del held
    assert seen() is not None
    forget()
    gc.collect()
    assert seen() is None


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
