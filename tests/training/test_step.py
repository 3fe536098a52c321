"""One step of training: descent by the hand-written gradient, in two phases or inside the sweep."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from samples import draw, draw_params, linear_loss, reference_steps, steps, targets

import backproof as bp
from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.numerics.comparison import distance
from backproof.training import OPTIMIZERS, in_sweep_sgd, training_step

SIZES = (3, 4, 2)
NETWORK = bp.mlp(SIZES, bp.rules.tanh)
CHAIN = bp.chain(bp.rules.affine(4), bp.rules.tanh, bp.rules.affine(2))
LOSS = bp.losses.half_squared_error
RATE = 0.3


def batches(count=2):
    """Return `count` batches of different sizes, dense targets, float64."""
    drawn = [draw(seed, count=3 + seed) for seed in range(count)]
    return [(x.astype(np.float64), targets(labels)) for x, labels in drawn]


def chain_params():
    first, second = draw_params(SIZES)
    return (first, (), second)


@pytest.mark.spec("S2.11", "S4.1")
def test_an_sgd_step_is_p_minus_rate_times_the_gradient():
    def by_autodiff(params, batch):
        def value(p):
            return LOSS.forward(NETWORK.forward(p, batch[0])[0], batch[1])[0]

        return jax.tree.map(lambda p, g: p - RATE * g, params, jax.grad(value)(params))

    assert_agrees(steps(NETWORK, LOSS, optax.sgd(RATE)), by_autodiff, draw_params(SIZES), *batches(1))


@pytest.mark.smoke
@pytest.mark.spec("S2.11", "S4.5")
@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"in-sweep-sgd"}))
def test_steps_are_those_of_optax_with_autodiff_gradients(name):
    optimizer = OPTIMIZERS[name].make(0.1)
    assert_agrees(
        steps(NETWORK, LOSS, optimizer),
        reference_steps(NETWORK, LOSS, optimizer),
        draw_params(SIZES),
        *batches(2),
    )


@pytest.mark.spec("S4.3")
@pytest.mark.parametrize(("network", "params"), [(NETWORK, draw_params(SIZES)), (CHAIN, chain_params())])
def test_the_update_inside_the_sweep_is_the_two_phase_update(network, params):
    in_sweep, two_phase = (steps(network, LOSS, o) for o in (in_sweep_sgd(RATE), optax.sgd(RATE)))
    assert_agrees(in_sweep, two_phase, params, *batches(3))


@pytest.mark.spec("S4.3")
def test_in_sweep_both_derivatives_are_taken_before_the_update():
    """At w1 = w2 = x = 1, y = 0 and rate ½ both derivatives are 1; update first gives w1 = ¾."""
    params = ({"W": jnp.ones((1, 1)), "b": jnp.zeros(1)},) * 2
    network = bp.mlp((1, 1, 1), bp.rules.identity)
    moved = steps(network, LOSS, in_sweep_sgd(0.5))(params, (jnp.ones((1, 1)), jnp.zeros((1, 1))))
    assert [float(layer["W"][0, 0]) for layer in moved] == [0.5, 0.5]


@pytest.mark.spec("S0.13")
def test_the_mean_with_a_rate_times_m_moves_as_the_sum_does():
    batch = batches(1)[0]
    m = len(batch[0])
    by_sum = steps(NETWORK, LOSS, optax.sgd(RATE))
    by_mean = steps(NETWORK, bp.losses.mean(LOSS), optax.sgd(RATE * m))
    assert_agrees(by_sum, by_mean, draw_params(SIZES), batch, batch, batch)


@pytest.mark.spec("S4.5")
def test_the_order_of_batches_matters():
    forth = steps(NETWORK, LOSS, optax.sgd(RATE))
    assert distance(forth, lambda p, a, b: forth(p, b, a), draw_params(SIZES), *batches(2)) > 1e6


def test_the_value_is_the_loss_before_the_update():
    (x, y) = batches(1)[0]

    def reported(params):
        step = training_step(NETWORK, LOSS, optax.sgd(RATE))
        return step.take(step.start(params), x, y)[1]

    assert_agrees(
        reported, lambda params: LOSS.forward(NETWORK.forward(params, x)[0], y)[0], draw_params(SIZES)
    )


def test_an_optimizer_that_asks_for_the_loss_is_given_it():
    """One whose step length is the loss itself, as those that react to a plateau look at it."""

    def update(grads, memory, params=None, *, value):
        return jax.tree.map(lambda grad: -value * grad, grads), memory

    def by_autodiff(params, batch):
        def value(p):
            return LOSS.forward(NETWORK.forward(p, batch[0])[0], batch[1])[0]

        return jax.tree.map(lambda p, g: p - value(params) * g, params, jax.grad(value)(params))

    optimizer = optax.GradientTransformationExtraArgs(optax.identity().init, update)
    assert_agrees(steps(NETWORK, LOSS, optimizer), by_autodiff, draw_params(SIZES), *batches(1))


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.sgd(optax.exponential_decay(0.1, 2, 0.5)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
        optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
        optax.adafactor(0.1),
        optax.lion(1e-3),
    ],
    ids=["schedule", "clipping", "plateau", "adafactor", "lion"],
)
def test_optimizers_that_mix_dtypes_work_under_strict_promotion(optimizer):
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), draw_params(SIZES))
    x, labels = draw()
    moved = steps(NETWORK, bp.losses.softmax_cross_entropy, optimizer)(params, (x, labels), (x, labels))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(moved))


def test_the_strict_setting_of_the_caller_holds_inside_the_loss():
    """Only optax runs under standard promotion: a loss that mixes dtypes is still refused."""
    mixing = linear_loss._replace(forward=lambda y, t: (jnp.sum(y * jnp.int32(2)[None, None]), t))
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), draw_params(SIZES))
    step = training_step(NETWORK, mixing, optax.sgd(RATE))
    with pytest.raises(ValueError, match=r"implicit dtype promotion|dtype promotion path"):
        step.take(step.start(params), *draw())


def test_something_that_is_no_optimizer_is_refused():
    with pytest.raises(UsageError, match=r"must be an optax optimizer or in_sweep_sgd.*'adam'.*optax\.sgd"):
        training_step(NETWORK, LOSS, "adam")


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_a_learning_rate_below_zero_or_not_finite_is_refused(rate):
    with pytest.raises(UsageError, match=f"in_sweep_sgd: .*at least 0, but found learning_rate={rate}"):
        in_sweep_sgd(rate)
