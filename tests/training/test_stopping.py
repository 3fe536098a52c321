"""When training stops early: S0.13's criterion, and patience with the metric of the test part."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from samples import MEAN_CROSS_ENTROPY, M, draw, draw_params, same_bits, targets

import backproof as bp
from backproof.errors import UsageError
from backproof.training import Data, fit, never, patience, settled

NETWORK = bp.mlp((3, 4, 2), bp.rules.relu)
SMALL = Data(*draw(0), *draw(1, count=4))
LOSS = bp.losses.half_squared_error


def judged(stop, metrics):
    """Return after which of `metrics` the rule stops, from 1, and the parameters handed back."""
    memory = stop.start(jnp.float32(0))
    for number, metric in enumerate(metrics, start=1):
        memory, now = stop.judge(memory, jnp.float32(number), jnp.float32(metric))
        if now:
            break
    return number, float(stop.outcome(memory, jnp.float32(number)))


@pytest.mark.spec("S0.13")
def test_with_one_batch_an_epoch_settled_is_the_criterion_of_the_batch_algorithm():
    x, labels = draw()
    x, t, params = x.astype(np.float64), targets(labels), draw_params((3, 2))[0]
    network = bp.rules.affine(2)
    with jax.enable_x64(True):
        descent = bp.batch_descent(
            network, LOSS, x, t, learning_rate=0.05, max_iterations=900, epsilon=1e-4, params=params
        )
        result = fit(
            network,
            LOSS,
            Data(x, t),
            optax.sgd(0.05),
            epochs=900,
            batch_size=M,
            params=params,
            stop=settled(1e-4),
        )
    assert descent.converged
    assert result.stopped
    assert len(result.history) == descent.iterations < 900


def test_settled_does_not_stop_while_one_parameter_moves():
    stop = settled(0.1)
    before, after = {"W": jnp.zeros(3), "b": jnp.zeros(2)}, {"W": jnp.zeros(3), "b": jnp.array([0.0, 0.1])}
    assert not stop.judge(before, after, None)[1]
    assert stop.judge(before, jax.tree.map(lambda leaf: 0.99 * leaf, after), None)[1]


def test_a_parameter_that_is_no_number_is_not_settled():
    assert not settled(1.0).judge(jnp.zeros(1), jnp.array([jnp.nan]), None)[1]


def test_patience_waits_for_so_many_epochs_and_hands_back_the_best():
    assert judged(patience(2), [0.1, 0.5, 0.4, 0.3, 0.9]) == (4, 2.0)
    assert judged(patience(3), [0.1, 0.5, 0.4, 0.3, 0.9]) == (5, 5.0)


def test_an_equal_metric_is_no_gain():
    assert judged(patience(2), [0.5, 0.5, 0.5, 0.9]) == (3, 1.0)


def test_a_gain_must_exceed_the_least():
    assert judged(patience(1, least_gain=0.1), [0.5, 0.55, 0.9]) == (2, 1.0)


def test_of_a_loss_the_lower_is_better():
    assert judged(patience(1, lower_is_better=True), [0.9, 0.5, 0.6]) == (3, 2.0)


def test_a_metric_that_is_no_number_is_worse_than_any_and_waited_through():
    nan = float("nan")
    assert judged(patience(2), [nan, nan, nan, 0.1, nan, 0.05]) == (6, 4.0)
    assert judged(patience(2), [nan, nan, nan]) == (3, 3.0)


def test_under_x64_a_gain_too_small_for_float32_counts():
    with jax.enable_x64(True):
        stop = patience(1)
        memory = stop.start(jnp.zeros(()))
        for metric in (1.0, 1.0 + 1e-12, 1.0 + 2e-12):
            memory, now = stop.judge(memory, jnp.zeros(()), jnp.float64(metric))
            assert not now


def test_fit_hands_back_the_parameters_of_the_best_epoch():
    settings = {"optimizer": optax.sgd(0.5), "batch_size": 3, "seed": 1}
    result = fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, epochs=30, stop=patience(2), **settings)
    metrics = [epoch.metric for epoch in result.history]
    best = metrics.index(max(metrics)) + 1
    assert result.stopped
    assert len(metrics) == best + 2 < 30
    assert same_bits(result.params, fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, epochs=best, **settings).params)


def test_never_is_the_default_and_changes_nothing():
    plain, told = (fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, epochs=3, stop=stop) for stop in (None, never()))
    assert same_bits(plain.params, told.params)
    assert not told.stopped


def test_patience_without_a_test_part_is_refused():
    with pytest.raises(UsageError, match=r"stop=patience\(2\) needs a test part.* but found none; pass Data"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, Data(*draw()), stop=patience(2))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: settled(-1.0), "epsilon=-1.0"),
        (lambda: patience(0), "epochs=0"),
        (lambda: patience(2, least_gain=float("nan")), "least_gain=nan"),
        (lambda: fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, stop=5), "stop=5"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, found):
    with pytest.raises(UsageError, match=found):
        make()
