"""The unit of comparison: measured at the point, from intermediates too, and never across a kink."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof.numerics.comparison import distance, units
from backproof.numerics.interpreter import run
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import trace

pytestmark = pytest.mark.smoke


@given(st.integers(0, 2**32 - 1), st.sampled_from([(), (1,), (3,), (2, 5)]))
def test_two_ways_of_one_formula_agree(seed, shape):
    x = np.random.default_rng(seed).standard_normal(shape) * 10
    assert (
        distance(lambda x: (jnp.sin(x) ** 2).sum() + 1000, lambda x: 1000 + (1 - jnp.cos(x) ** 2).sum(), x)
        <= AGREES_WITHIN
    )


@given(st.integers(0, 2**32 - 1))
def test_one_part_in_a_million_is_far_away(seed):
    x = np.random.default_rng(seed).standard_normal((3, 4))
    assert distance(jnp.tanh, lambda x: jnp.tanh(x) * (1 + 1e-6), x) > 1e6


def test_noise_includes_the_rounding_of_intermediates():
    """1 − σ(z) loses its digits at z = 20 although z itself is exact."""
    slope = jax.grad(lambda z: 1 / (1 + jnp.exp(-z)))
    truth = lambda z: jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2
    for z in (20.0, 37.0, 40.0, 800.0):
        assert distance(slope, truth, np.float64(z)) <= AGREES_WITHIN
    naive = measure(lambda z: (lambda a: a * (1 - a))(1 / (1 + jnp.exp(-z))), np.float64(37.0))
    assert naive.noise > 0.1 * abs(naive.value)


def test_noise_is_that_of_the_summed_terms_not_of_the_sum():
    x = np.array([1e8, 1.0, -1e8])
    assert measure(jnp.sum, x).noise > 1e-9
    assert measure(lambda x: x @ jnp.ones(3), x).noise > 1e-9


def test_zero_means_zero():
    assert distance(lambda x: x * 0, lambda x: x * 0 + 1e-300, np.ones(2)) > 1e6


def test_decisions_are_replayed_so_noise_never_crosses_a_kink():
    """At a tie of two computed values a perturbation would choose; the gradient must not spread."""
    f = jax.grad(lambda x: jnp.maximum(jnp.sin(x[0]) * 3, 3 * jnp.sin(x[1])) + jnp.sort(x * 0.1)[0])
    assert np.all(measure(f, np.array([0.7, 0.7])).noise < 1e-14)


def test_a_sign_at_zero_is_a_decision_too():
    """What cancels to zero may be perturbed to a tiny number; its sign stays that of the plain run."""
    step = lambda x: jnp.sign(x[0] - x[1]) + jnp.floor(x[0] - x[1])
    assert measure(step, np.array([0.7, 0.7])).noise < 1e-14


def test_asked_to_cross_each_replica_takes_its_own_decisions():
    """What rounding alone decides comes out both ways; what it does not, one way."""

    def decisions(x):
        tied, apart = jnp.sin(x[0]) * 3, jnp.sin(x[1]) * 3
        ranks = jnp.argsort(jnp.stack([tied, 3 * jnp.sin(x[2]), apart]))
        return jnp.sign(tied - 3 * jnp.sin(x[2])), jnp.where(tied > apart, 1.0, 2.0), ranks

    x = np.array([0.7, 1.1, 0.7])
    crossing = run(trace(decisions, x), (x,), replicas=32, crossing=True)
    signs, far, ranks = ([out[i] for out in crossing] for i in range(3))
    assert {-1.0, 1.0} <= {float(sign) for sign in signs}
    assert {float(one) for one in far} == {2.0}
    assert {tuple(rank) for rank in ranks[1:]} == {(0, 1, 2), (1, 0, 2)}
    replayed = run(trace(decisions, x), (x,), replicas=32)
    assert {tuple(out[2]) for out in replayed} == {(0, 1, 2)}


def test_wide_arithmetic_drops_the_error_of_a_right_formula():
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        pytest.skip("longdouble is no wider than float64 on this machine")
    x = (np.float64(1e-9),)
    program = trace(lambda x: (1 - jnp.cos(x)) / x**2, *x)
    narrow, wide = run(program, x)[0], run(program, x, wide=True)[0]
    assert abs(narrow - 0.5) > 0.1
    assert (
        abs(
            run(trace(lambda x: (1 - jnp.cos(x)) / x**2, np.float64(1e-4)), (np.float64(1e-4),), wide=True)[0]
            - 0.5
        )
        < 1e-9
    )
    assert wide.dtype == np.longdouble


def test_nan_is_never_equal_and_infinities_only_to_themselves():
    nan, inf = np.nan, np.inf
    assert units(nan, nan, 1.0) == inf
    assert units(inf, inf, 1.0) == 0
    assert units(inf, -inf, 1.0) == inf
    assert units(1.0, inf, inf) == inf


def test_what_xla_flushes_to_zero_is_noise_in_all_that_follows():
    """At z = −709 the sigmoid is subnormal: XLA gives 0, and a cotangent of 10⁴ makes that visible."""
    slope = lambda z: 1e4 * jax.nn.sigmoid(z) * (1 - jax.nn.sigmoid(z))
    measured = measure(slope, np.float64(-709.2))
    assert units(0.0, measured.value, measured.noise) <= AGREES_WITHIN


def test_float64_is_left_behind():
    measure(jnp.sin, np.float64(1.0))
    assert not jax.config.jax_enable_x64
    assert jnp.asarray(1.5).dtype == jnp.float32


def test_a_nan_hides_no_small_number_beside_it():
    """XLA flushes 1e-320 to zero: the noise of what follows says so, whatever stands next to it."""
    beside = [
        measure(lambda x: (x * x) * 1e300, np.array([1e-160, other])).noise[0] for other in (1.0, np.nan)
    ]
    assert beside[0] == beside[1] > 1e-9


def test_the_terms_of_a_product_are_those_it_sums_over():
    """A batch of products has no longer sums than one: the noise of each entry stays what it is."""
    rng = np.random.default_rng(0)
    x, y = np.abs(rng.standard_normal((2, 400, 8, 8)))
    alone = np.mean([measure(jnp.matmul, x[i], y[i]).noise.mean() for i in range(20)])
    together = measure(jnp.matmul, x, y).noise.mean()
    assert together < 1.5 * alone


def test_a_result_of_few_digits_is_noisy_by_them_although_float32_came_before():
    """Three is held exactly, so no replica moves it far."""
    measured = measure(lambda x: x.astype(jnp.float32).astype(jnp.bfloat16), np.array([3.0]))
    assert measured.noise[0] >= 3 * float(jnp.finfo(jnp.bfloat16).eps)


def test_a_number_that_came_from_float32_is_known_to_the_smallest_normal_number_of_float32():
    through = measure(lambda x: x.astype(jnp.float32).astype(x.dtype), np.float64(0.0))
    assert through.noise >= np.finfo(np.float32).tiny
    assert measure(lambda x: x, np.float64(0.0)).noise < np.finfo(np.float32).tiny
