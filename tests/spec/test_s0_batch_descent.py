"""S0.13: descent on the whole batch, W^l ← W^l − α Σ_i δ^{i,l}(a^{i,l−1})ᵀ, until all changes are small."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backproof as bp
from backproof import losses, rules
from backproof.numerics.comparison import units
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import float64
from networks import draw_network, output, seeds

ALPHA, SAMPLES = 0.25, 4
# every example compiles a loop of its own
few = settings(max_examples=5)


def draw(sizes, seed):
    return draw_network(sizes, (SAMPLES,), rules.tanh, rules.identity, seed)


def gradient(net):
    """Return params -> G(Σ_i J_i), by autodiff."""
    return jax.grad(lambda params: jnp.sum((output(net.sigma, params, net.x) - net.y) ** 2) / 2)


def trajectory(net, iterations, alpha=ALPHA):
    """Return (params) -> the parameters after each iteration, p ← p − α G(Σ_i J_i)."""

    def run(params):
        found = []
        for _ in range(iterations):
            params = jax.tree.map(lambda p, g: p - alpha * g, params, gradient(net)(params))
            found.append(params)
        return found

    return run


def descend(net, *, loss=losses.half_squared_error, alpha=ALPHA, epsilon=0.0, most=3):
    with float64():
        return bp.batch_descent(
            net.rule,
            loss,
            net.x,
            net.y,
            learning_rate=alpha,
            max_iterations=most,
            epsilon=epsilon,
            params=net.params,
        )


def assert_arrives(outcome, net, alpha=ALPHA):
    """Assert that `outcome` stands where the autodiff trajectory of as many iterations ends."""
    value, noise = measure(trajectory(net, outcome.iterations, alpha), net.params)
    for got, want, unit in zip(*map(jax.tree.leaves, (outcome.params, value[-1], noise[-1])), strict=True):
        assert np.all(units(got, want, unit) <= AGREES_WITHIN)


def changes(net, iterations):
    """Return for each iteration the largest change of each leaf."""
    path = [net.params, *measure(trajectory(net, iterations), net.params).value]
    return [
        [np.max(np.abs(new - old)) for old, new in zip(*map(jax.tree.leaves, pair), strict=True)]
        for pair in pairwise(path)
    ]


@pytest.mark.spec("S0.13")
@few
@given(st.sampled_from([(1, 1), (3, 2), (2, 5, 1, 3)]), st.sampled_from([1, 3]), seeds)
def test_each_iteration_subtracts_alpha_times_the_summed_gradient(sizes, iterations, seed):
    net = draw(sizes, seed)
    outcome = descend(net, most=iterations)
    assert outcome.iterations == iterations
    assert_arrives(outcome, net)


@pytest.mark.spec("S0.13")
@few
@given(st.sampled_from([(3, 2), (4, 3, 2)]), seeds)
def test_it_stops_after_the_first_update_that_moves_no_leaf_by_epsilon(sizes, seed):
    net = draw(sizes, seed)
    largest = [max(leaves) for leaves in changes(net, 8)]
    stop = int(np.argmin(largest))  # a smallest change, so that all before it are larger
    before = min(largest[:stop], default=2 * largest[stop])
    epsilon = float((largest[stop] + before) / 2)
    outcome = descend(net, epsilon=epsilon, most=20)
    assert (outcome.iterations, outcome.converged) == (stop + 1, True)
    assert_arrives(outcome, net)


@pytest.mark.spec("S0.13")
@pytest.mark.parametrize("still", ["W", "b"])
def test_one_leaf_that_still_moves_is_enough_to_go_on(still):
    signs = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    # with a − y = 1 and a tiny x only b moves; with a − y = x = ±1 only W does, for Σ x = 0
    x, error = (1e-6 * signs, np.ones_like(signs)) if still == "W" else (signs, signs)
    net = draw((1, 1), seed=0)._replace(x=x)
    net = net._replace(y=measure(net.rule.forward, net.params, x).value[0] - error)
    W, b = changes(net, 1)[0]  # leaves in the order of their names
    small, moving = (W, b) if still == "W" else (b, W)
    epsilon = 1e-3
    assert small < epsilon < moving
    assert not descend(net, epsilon=epsilon, most=1).converged


@pytest.mark.spec("S0.13")
@few
@given(seeds)
def test_the_maximum_reached_first_is_reported_as_not_converged(seed):
    net = draw((3, 2), seed)
    first, second = (max(leaves) for leaves in changes(net, 2))
    never = descend(net, epsilon=0.0, most=2)  # no change is smaller than 0
    assert (never.iterations, never.converged) == (2, False)
    in_time = descend(net, epsilon=float(2 * max(first, second)), most=1)
    assert (in_time.iterations, in_time.converged) == (1, True)


@pytest.mark.spec("S0.13")
@few
@given(st.sampled_from([(3, 2), (4, 3, 2)]), seeds)
def test_the_mean_with_m_times_the_rate_walks_the_same_path(sizes, seed):
    net = draw(sizes, seed)
    summed = descend(net)
    averaged = descend(net, loss=losses.mean(losses.half_squared_error), alpha=SAMPLES * ALPHA)
    # SAMPLES is a power of two: dividing by it and multiplying again is exact
    assert all(map(np.array_equal, jax.tree.leaves(summed.params), jax.tree.leaves(averaged.params)))
    assert_arrives(averaged, net)
