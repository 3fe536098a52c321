"""A sweep: at every point and seed what `fit` does, in one program; what diverges stays alone."""

import jax
import numpy as np
import optax
import pytest
from samples import MEAN_CROSS_ENTROPY, M, draw, reference_steps, targets

import backproof as bp
from agreement import assert_value
from backproof.errors import DataError, UsageError
from backproof.training import OPTIMIZERS, Data, fit, in_sweep_sgd, sweep

NETWORK = bp.mlp((3, 4, 2), bp.rules.tanh)
SMALL = Data(*draw(0), *draw(1, count=4))
RATES = (0.1, 0.3)
HOW = {"epochs": 3, "batch_size": 3}


def swept(optimizer=optax.sgd, grid=None, data=SMALL, **settings):
    grid = {"learning_rate": RATES} if grid is None else grid
    return sweep(NETWORK, MEAN_CROSS_ENTROPY, data, optimizer, grid, **{**HOW, **settings})


def start_and_batches(seed, data, epochs):
    """Return the first parameters and the batches of `fit(…, seed=seed)`, in their order."""
    start_key, order_key = jax.random.split(jax.random.key(seed))
    params, _ = NETWORK.init(start_key, jax.eval_shape(lambda: data.x_train))
    batches = []
    for epoch in range(1, epochs + 1):
        order = np.asarray(jax.random.permutation(jax.random.fold_in(order_key, epoch), M))
        batches += [(data.x_train[rows], data.y_train[rows]) for rows in np.split(order, [3, 6])]
    return jax.tree.map(np.asarray, params), batches


@pytest.mark.parametrize(
    ("optimizer", "reference", "grid"),
    [
        (optax.sgd, optax.sgd, {"learning_rate": RATES}),
        (in_sweep_sgd, optax.sgd, {"learning_rate": RATES}),
        (optax.adamw, optax.adamw, {"learning_rate": (0.01,), "weight_decay": (0.0, 0.3)}),
        (
            lambda learning_rate, momentum: optax.sgd(learning_rate, momentum),
            lambda learning_rate, momentum: optax.sgd(learning_rate, momentum),
            {"momentum": (0.5, 0.9), "learning_rate": (0.1,)},
        ),
    ],
    ids=["sgd", "in sweep", "adamw", "momentum"],
)
def test_every_member_takes_the_steps_of_its_own_optimizer_from_its_own_seed(optimizer, reference, grid):
    seeds = (0, 5)
    with jax.enable_x64(True):
        data = SMALL._replace(x_train=SMALL.x_train.astype(np.float64), x_test=None, y_test=None)
        outcome = swept(optimizer, grid, data, seeds=seeds, epochs=2)
        begun = [start_and_batches(seed, data, epochs=2) for seed in seeds]
        reached = {(p, s): jax.tree.map(np.asarray, outcome.params(p, s)) for p in range(2) for s in range(2)}
    for (p, s), params in reached.items():
        chosen = reference(**dict(zip(outcome.names, outcome.points[p], strict=True)))
        first, batches = begun[s]
        assert_value(reference_steps(NETWORK, MEAN_CROSS_ENTROPY, chosen), (first, *batches), params)


def test_fit_takes_the_same_steps():
    with jax.enable_x64(True):
        data = SMALL._replace(x_train=SMALL.x_train.astype(np.float64), x_test=None, y_test=None)
        alone = fit(NETWORK, MEAN_CROSS_ENTROPY, data, optax.sgd(0.3), seed=5, epochs=2, batch_size=3)
        params, (first, batches) = jax.tree.map(np.asarray, alone.params), start_and_batches(5, data, 2)
    assert_value(reference_steps(NETWORK, MEAN_CROSS_ENTROPY, optax.sgd(0.3)), (first, *batches), params)


def test_curves_have_a_place_for_every_point_seed_and_epoch():
    outcome = swept(seeds=(0, 1, 2))
    assert outcome.curves.loss.shape == outcome.curves.metric.shape == (2, 3, 3)
    assert outcome.params(1, 2)[0]["W"].shape == (4, 3)
    assert outcome.points == ((0.1,), (0.3,))
    alone = fit(NETWORK, MEAN_CROSS_ENTROPY, SMALL, optax.sgd(0.3), seed=2, **HOW)
    assert [float(m) for m in outcome.curves.metric[1, 2]] == [epoch.metric for epoch in alone.history]


def test_the_last_name_varies_fastest():
    grid = {"learning_rate": (0.1, 0.2), "weight_decay": (0.0, 0.5)}
    assert swept(optax.adamw, grid, epochs=1).points == ((0.1, 0.0), (0.1, 0.5), (0.2, 0.0), (0.2, 0.5))


def test_a_member_that_diverges_does_not_stop_the_others():
    network = bp.mlp((3, 4, 2), bp.rules.relu)
    outcome = sweep(network, MEAN_CROSS_ENTROPY, SMALL, optax.sgd, {"learning_rate": (0.1, 1e30)}, **HOW)
    assert outcome.diverged().tolist() == [[False], [True]]
    assert outcome.best() == {"learning_rate": 0.1}
    assert str(outcome).splitlines()[2].split() == ["1e+30", "nan", "nan", "nan", "1", "of", "1"]


def test_parameters_that_overflow_in_the_last_step_are_divergence():
    network = bp.mlp((3, 4, 2), bp.rules.relu)
    data = Data(100 * SMALL.x_train, SMALL.y_train)
    rates = {"learning_rate": [0.1, 3e38]}
    outcome = sweep(network, MEAN_CROSS_ENTROPY, data, optax.sgd, rates, epochs=1, batch_size=M)
    assert np.isfinite(outcome.curves.loss).all()
    assert outcome.diverged().tolist() == [[False], [True]]


@pytest.mark.parametrize(("optimizer", "more"), [(in_sweep_sgd, {}), (optax.sgd, {"momentum": [0.9]})])
def test_low_precision_keeps_its_dtype(optimizer, more):
    data = SMALL._replace(
        x_train=SMALL.x_train.astype(jax.numpy.bfloat16), x_test=SMALL.x_test.astype(jax.numpy.bfloat16)
    )
    outcome = swept(optimizer, {"learning_rate": [0.1], **more}, data, epochs=1)
    assert outcome.params(0, 0)[0]["W"].dtype == jax.numpy.bfloat16


def test_the_best_point_is_that_of_the_best_median_over_the_seeds():
    """At rate 0 nothing is learned, whatever the seed."""
    x, labels = draw(count=40)
    data = Data(x, labels, x, labels)
    by_accuracy = swept(data=data, grid={"learning_rate": (0.0, 0.5)}, seeds=(0, 1, 2), epochs=20)
    assert by_accuracy.best() == {"learning_rate": 0.5}
    without = swept(data=Data(x, labels), grid={"learning_rate": (0.0, 0.5)}, seeds=(0, 1, 2), epochs=20)
    assert without.curves.metric is None
    assert without.lower_is_better
    assert without.best() == {"learning_rate": 0.5}


def test_the_table_has_a_row_for_every_point():
    lines = str(swept()).splitlines()
    assert lines[0].split() == ["learning_rate", "median", "metric", "lowest", "highest", "diverged"]
    assert [line.split()[0] for line in lines[1:]] == ["0.1", "0.3"]


def test_dense_targets_are_measured_by_the_loss():
    x, labels = draw()
    t = targets(labels).astype(np.float32)
    loss = bp.losses.half_squared_error
    outcome = sweep(
        bp.rules.affine(2), loss, Data(x, t, x, t), optax.sgd, {"learning_rate": (0.0, 0.05)}, **HOW
    )
    assert outcome.lower_is_better
    assert outcome.best() == {"learning_rate": 0.05}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"grid": {}}, r"every hyperparameter must have at least one value, but found hyperparameters=\{\}"),
        ({"grid": {"learning_rate": []}}, r"hyperparameters=\{'learning_rate': \[\]\}"),
        ({"grid": {"learning_rate": [float("nan")]}}, "learning_rate=nan"),
        (
            {"grid": {"rate": [0.1]}},
            "must be a function of the hyperparameters, but found sgd: .*'learning_rate'",
        ),
        ({"optimizer": optax.sgd(0.1)}, "must be a function of the hyperparameters"),
        ({"seeds": ()}, "at least one seed, but found none"),
        ({"seeds": (-1,)}, "seed=-1"),
        ({"epochs": 0}, "epochs=0"),
        ({"data": draw()}, "sweep: data must be a training.Data"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, found):
    with pytest.raises(UsageError, match=found):
        swept(**change)


def test_labels_without_a_class_are_refused():
    with pytest.raises(DataError, match="labels must lie between 0 and 1"):
        swept(data=SMALL._replace(y_train=SMALL.y_train + 1))


def test_a_name_of_the_command_line_makes_a_sweep_too():
    assert swept(OPTIMIZERS["momentum"].make, {"learning_rate": (0.02,)}).points == ((0.02,),)
