"""The loop over epochs: each sample once an epoch, the same bits for the same seed, a stop on divergence."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from samples import (
    MEAN_CROSS_ENTROPY,
    M,
    draw,
    draw_params,
    linear_loss,
    recorder,
    reference_steps,
    same_bits,
    targets,
)

import backproof as bp
from agreement import assert_value
from backproof.errors import DataError, DivergedError, UsageError
from backproof.training import Data, accuracy, fit, in_sweep_sgd

AFFINE = bp.rules.affine(2)
NETWORK = bp.mlp((3, 4, 2), bp.rules.relu)
SMALL = Data(*draw(0), *draw(1, count=4))


def fit_small(**settings):
    return fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, **{"epochs": 2, "batch_size": 3, **settings})


def visited(seed, epochs=2):
    """Return the order in which the samples 1 … M were visited, one row an epoch."""
    data = Data(np.zeros((M, 3), np.float32), np.arange(1, M + 1, dtype=np.float32)[:, None])
    one_out = bp.rules.affine(1)
    memory = fit(
        one_out, linear_loss, data, recorder(epochs * M), epochs=epochs, batch_size=1, seed=seed
    ).memory
    return np.asarray(memory[0]).reshape(epochs, M)


@pytest.mark.parametrize("batch_size", [1, 3, M, M + 5])
@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), in_sweep_sgd(0.1)], ids=["two phases", "in sweep"])
def test_every_sample_counts_once_an_epoch_whatever_the_batch_size(batch_size, optimizer):
    """With a loss whose gradient is constant, an epoch is one step on all samples."""
    x, labels = draw(2)
    x, t = x.astype(np.float64), targets(labels)
    params = draw_params((3, 2))[0]
    with jax.enable_x64(True):
        result = fit(
            AFFINE, linear_loss, Data(x, t), optimizer, epochs=1, batch_size=batch_size, params=params
        ).params
        result = jax.tree.map(np.asarray, result)
    one_step = reference_steps(AFFINE, linear_loss, optax.sgd(0.1))
    assert_value(one_step, (params, (x, t)), result)


def test_every_epoch_has_an_order_of_its_own():
    orders = visited(seed=0)
    assert np.sort(orders).tolist() == [list(range(1, M + 1))] * 2
    assert orders[0].tolist() != orders[1].tolist()


def test_the_order_comes_from_the_seed():
    assert visited(seed=0).tolist() == visited(seed=0).tolist()
    assert visited(seed=0).tolist() != visited(seed=1).tolist()


@pytest.mark.smoke
def test_the_same_seed_gives_the_same_parameters_bit_for_bit():
    once, again, other = fit_small(seed=3), fit_small(seed=3), fit_small(seed=4)
    assert same_bits(once.params, again.params)
    assert once.history == again.history
    assert not same_bits(once.params, other.params)


@pytest.mark.as_user
def test_strict_settings_change_no_bit():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        strict = fit_small(optimizer=optax.adam(0.01))
    assert same_bits(strict.params, fit_small(optimizer=optax.adam(0.01)).params)


def test_plain_sgd_is_the_optimizer_by_default():
    assert same_bits(fit_small().params, fit_small(optimizer=optax.sgd(0.1)).params)


def test_the_parameters_handed_in_stay_intact():
    params, _ = NETWORK.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), jnp.float32))
    before = jax.tree.map(np.array, params)
    moved = fit_small(params=params).params
    assert same_bits(before, params)
    assert not same_bits(before, moved)


def test_an_optimizer_may_remember_the_parameters_themselves():
    """Its memory shares buffers with the parameters, and both are given away to the first epoch."""
    remembers = optax.GradientTransformation(lambda params: params, optax.identity().update)
    fit_small(optimizer=remembers, epochs=1)


def test_the_loss_of_an_epoch_weighs_batches_by_their_size():
    x, labels = draw(2)
    x, params = x.astype(np.float64), draw_params((3, 4, 2))
    with jax.enable_x64(True):
        data = Data(x, labels)
        result = fit(NETWORK, MEAN_CROSS_ENTROPY, data, optax.sgd(0.0), epochs=1, batch_size=3, params=params)

    def mean_of_all(params):
        return MEAN_CROSS_ENTROPY.forward(NETWORK.forward(params, x)[0], labels)[0]

    assert_value(mean_of_all, (params,), np.float64(result.history[0].loss))


def test_the_metric_is_the_accuracy_of_the_test_part_at_the_parameters_reached():
    result = fit_small(epochs=3)
    prediction, _ = NETWORK.forward(result.params, SMALL.x_test)
    assert result.history[-1].metric == np.mean(np.argmax(prediction, -1) == SMALL.y_test)


def test_without_labels_the_metric_is_the_loss_of_the_test_part():
    x, labels = draw()
    x, t, params = x.astype(np.float64), targets(labels), draw_params((3, 4, 2))
    loss = bp.losses.half_squared_error
    with jax.enable_x64(True):
        result = fit(NETWORK, loss, Data(x, t, x, t), optax.sgd(0.0), epochs=1, params=params)

    def expected(params):
        return loss.forward(NETWORK.forward(params, x)[0], t)[0]

    assert_value(expected, (params,), np.float64(result.history[0].metric))


def test_a_metric_of_the_users_own_is_used():
    result = fit_small(metric=lambda prediction, target: jnp.float32(prediction.shape[1] / target.size))
    assert [epoch.metric for epoch in result.history] == [0.5, 0.5]


def test_without_a_test_part_there_is_no_metric():
    result = fit(NETWORK, MEAN_CROSS_ENTROPY, Data(*draw()), epochs=1)
    assert result.history[0].metric is None


def test_accuracy_is_the_fraction_of_labels_with_the_largest_entry():
    prediction = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert accuracy(prediction, jnp.array([1, 0, 0, 0])) == 0.75


def test_every_epoch_is_reported_as_it_ends():
    seen = []
    result = fit_small(on_epoch=seen.append)
    assert tuple(seen) == result.history
    assert [epoch.number for epoch in seen] == [1, 2]


@pytest.mark.parametrize(("dtype", "value"), [("float64", 1e300), ("int64", 2**32 + 1)])
def test_data_too_large_for_the_dtype_they_are_trained_in_are_refused(dtype, value):
    large = SMALL.x_train.astype(dtype)
    large[1, 2] = value
    with pytest.raises(
        DataError, match=r"must fit into (float|int)32, .* found x_train\[1, 2\]=.* \(1 of 21 values\)"
    ):
        fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL._replace(x_train=large))


def test_a_rate_that_makes_the_loss_infinite_stops_training_and_says_where():
    with pytest.raises(
        DivergedError,
        match=r"epoch 1, step [23] of 3: the loss .* must stay finite, .*lower the learning rate",
    ):
        fit_small(optimizer=optax.sgd(1e30))


def test_a_parameter_that_overflows_in_the_last_step_is_reported():
    x, labels = draw()
    with pytest.raises(DivergedError, match=r"epoch 1, step 1 of 1: .* found a parameter that is not finite"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, Data(100 * x, labels), optax.sgd(3e38), epochs=1, batch_size=M)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_a_count_below_one_is_refused(name, count):
    with pytest.raises(
        UsageError, match=rf"fit: {name} must be a whole number of at least 1, but found {name}={count}"
    ):
        fit_small(**{name: count})


def test_training_on_a_single_sample_works():
    fit(NETWORK, MEAN_CROSS_ENTROPY, Data(*draw(count=1)), epochs=1)


def test_integer_inputs_are_refused():
    data = SMALL._replace(x_train=SMALL.x_train.astype(np.int32))
    with pytest.raises(UsageError, match="the input must be floating, but found x of dtype int32"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, data)


def test_samples_of_the_wrong_width_are_refused():
    data = Data(SMALL.x_train[:, :2], SMALL.y_train)
    with pytest.raises(UsageError, match=r"x must have shape \(7, 3\), but found x.shape=\(7, 2\)"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, data)


def test_targets_of_the_wrong_rank_are_refused():
    data = Data(SMALL.x_train, SMALL.y_train[:, None])
    with pytest.raises(UsageError, match="softmax_cross_entropy"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, data)


@pytest.mark.parametrize("label", [-1, 2])
@pytest.mark.parametrize("part", ["y_train", "y_test"])
def test_labels_without_a_class_are_refused(part, label):
    labels = getattr(SMALL, part).copy()
    labels[2] = label
    with pytest.raises(DataError, match=rf"labels must lie between 0 and 1, .* found {part}\[2\]={label}"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL._replace(**{part: labels}))


def test_a_sample_whose_label_is_ignored_trains_nothing():
    loss = bp.losses.mean(bp.losses.token_cross_entropy)
    labels = np.where(np.arange(7) == 2, -100, SMALL.y_train)
    kept = np.arange(7) != 2
    one_step = {
        "epochs": 1,
        "batch_size": 7,
        "params": AFFINE.init(jax.random.key(0), jax.eval_shape(lambda: SMALL.x_train))[0],
    }
    ignoring = fit(AFFINE, loss, SMALL._replace(y_train=labels), **one_step)
    without = fit(AFFINE, loss, SMALL._replace(x_train=SMALL.x_train[kept], y_train=labels[kept]), **one_step)
    jax.tree.map(np.testing.assert_array_equal, ignoring.params, without.params)


def test_the_metric_where_labels_may_be_ignored_is_the_loss_and_other_labels_are_refused():
    loss, labels = bp.losses.mean(bp.losses.token_cross_entropy), SMALL.y_test.copy()
    labels[0] = -100
    data = SMALL._replace(y_test=labels)
    trained = fit(AFFINE, loss, data, epochs=1)
    predicted = AFFINE.forward(trained.params, data.x_test)[0]
    assert trained.history[0].metric == loss.forward(predicted, labels)[0]
    labels[1] = -1
    with pytest.raises(DataError, match=r"labels must lie between 0 and 1, .* found y_test\[1\]=-1"):
        fit(AFFINE, loss, SMALL._replace(y_test=labels))


@pytest.mark.parametrize("field", ["x_test", "y_test"])
def test_a_test_part_of_another_shape_is_named(field):
    wider = np.repeat(getattr(SMALL, field)[:, None], 2, axis=1)
    with pytest.raises(DataError, match=rf"^the test part: .* in the training part, .* found {field}: \(2,"):
        fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL._replace(**{field: wider}))


def test_samples_that_are_not_data_are_refused():
    with pytest.raises(
        UsageError,
        match=r"fit: data must be a training.Data or .*Stream, but found a tuple; pass Data\(",
    ):
        fit(NETWORK, MEAN_CROSS_ENTROPY, draw())


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_that_no_key_can_hold_is_refused(seed):
    with pytest.raises(UsageError, match=rf"fit: seed must be .* to 4294967295, but found seed={seed}"):
        fit_small(seed=seed)


def test_a_network_that_is_no_rule_is_refused():
    with pytest.raises(UsageError, match="training: network must be a Rule, but found 'net'; pass"):
        fit("net", MEAN_CROSS_ENTROPY, SMALL)


def test_a_batch_larger_than_the_data_is_all_of_them_however_large():
    huge, all_of_them = (fit_small(batch_size=size).history for size in (2**40, M))
    assert huge == all_of_them


def test_an_outcome_reads_as_a_table_and_its_parameters_are_counted():
    outcome = fit_small(epochs=2)
    lines = str(outcome).splitlines()
    assert lines[0].split() == ["epoch", "loss", "metric"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2"]
    assert repr(outcome).startswith("Fit(2 epochs, loss ")
    assert repr(outcome).endswith("; 26 parameters in 4 arrays)")
    long = str(fit_small(epochs=20)).splitlines()
    assert [line.split()[0] for line in long[1:]] == [*map(str, range(1, 7)), "…", *map(str, range(15, 21))]


def test_a_target_that_does_not_fit_is_said_in_the_sizes_of_the_caller():
    x = np.ones((7, 3), np.float32)
    with pytest.raises(UsageError, match=r"must have shape \(7, 2\), but found target.shape=\(7,\)"):
        fit(NETWORK, bp.losses.mean(bp.losses.half_squared_error), Data(x, np.ones(7, np.float32)))
