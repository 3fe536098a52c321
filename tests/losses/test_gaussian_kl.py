"""The divergence of Gaussians against the formula of textbooks by autodiff, and against mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import SHAPES, by_hand

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.losses import gaussian_kl, mean, standard_gaussian_kl
from slips_in_files import assert_named


def from_densities(prediction, target):
    """Return the divergence as the expectation of log q − log p, written with deviations as in textbooks."""
    (m, v), (m_0, v_0) = prediction, target
    s, s_0 = jnp.exp(v / 2), jnp.exp(v_0 / 2)
    return (jnp.log(s_0 / s) + (s**2 + (m - m_0) ** 2) / (2 * s_0**2) - 0.5).sum()


@st.composite
def gaussians(draw):
    shape, scale = draw(st.sampled_from(SHAPES)), draw(st.sampled_from((1e-3, 1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pair = lambda: (scale * rng.standard_normal(shape), rng.standard_normal(shape))
    return pair(), pair()


@given(gaussians())
def test_it_is_the_expected_difference_of_log_densities(point):
    assert_agrees(by_hand(gaussian_kl), jax.value_and_grad(from_densities), *point)


@given(gaussians())
def test_the_standard_one_is_the_general_one_at_zeros(point):
    prediction, _ = point
    zeros = jax.tree.map(np.zeros_like, prediction)
    assert_agrees(
        lambda p: by_hand(standard_gaussian_kl)(p, ()), lambda p: by_hand(gaussian_kl)(p, zeros), prediction
    )
    assert_agrees(
        lambda p: by_hand(standard_gaussian_kl)(p, ()),
        lambda p: jax.value_and_grad(from_densities)(p, zeros),
        prediction,
    )


@pytest.mark.parametrize("m", [0.0, -3.0, 40.0])
@pytest.mark.parametrize("w", [0.0, 1e-9, -1e-4, 2.0, -40.0, 300.0])
@pytest.mark.parametrize("v_0", [0.0, -5.0])
def test_it_is_exact_where_variances_are_almost_equal_and_far_apart(m, w, v_0):
    v = v_0 + w
    with mpmath.workdps(300):
        gap, u = mpmath.mpf(v) - v_0, mpmath.mpf(m) ** 2 / mpmath.exp(v_0)
        value = (u + mpmath.expm1(gap) - gap) / 2
        slopes = mpmath.mpf(m) / mpmath.exp(v_0), mpmath.expm1(gap) / 2
    point = (np.array([m]), np.array([v])), (np.array([0.0]), np.array([v_0]))
    assert_value(by_hand(gaussian_kl), point, (float(value), tuple(np.array([float(one)]) for one in slopes)))


def test_its_mean_is_over_samples():
    rng = np.random.default_rng(0)
    point = tuple(rng.standard_normal((2, 3)) for _ in range(2)), ()
    half = lambda *args: jax.tree.map(lambda leaf: leaf / 2, by_hand(standard_gaussian_kl)(*args))
    assert_agrees(by_hand(mean(standard_gaussian_kl)), half, *point)
    with pytest.raises(
        UsageError, match=r"a mean needs at least one sample, but found prediction.shape=\(0, 3\)"
    ):
        mean(standard_gaussian_kl).forward((np.ones((0, 3), "f4"), np.ones((0, 3), "f4")), ())


def test_it_keeps_what_it_gets():
    pair = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((2, 3), jnp.bfloat16)
    assert all(
        kept is leaf for kept, leaf in zip(standard_gaussian_kl.forward(pair, ())[1], pair, strict=True)
    )


MUTANTS = {
    "the deviation for the variance": lambda m, v: (m, jnp.expm1(v / 2) / 2),
    "a half forgotten": lambda m, v: (m, jnp.expm1(v)),
    "the entropy forgotten": lambda m, v: (m, jnp.exp(v) / 2),
    "a half too many": lambda m, v: (m / 2, jnp.expm1(v) / 2),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    point = (np.array([0.5, -1.0]), np.array([0.3, -2.0])), ()
    truth = jax.value_and_grad(lambda p, _: from_densities(p, jax.tree.map(jnp.zeros_like, p)))
    assert_agrees(by_hand(standard_gaussian_kl), truth, *point)
    mutant = standard_gaussian_kl._replace(backward=lambda kept: MUTANTS[name](*kept))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(mutant), truth, *point)


ROWS = np.ones((2, 3), "f4")


@pytest.mark.parametrize(
    ("loss", "prediction", "target", "text"),
    [
        (gaussian_kl, ROWS, (ROWS, ROWS), "the prediction must be the pair .* but found ndarray"),
        (gaussian_kl, (ROWS, ROWS), (ROWS,), "the target must be the pair .* but found 1 entries"),
        (gaussian_kl, (ROWS, ROWS[:1]), (ROWS, ROWS), r"one shape and dtype, but found float32\[2, 3\] and"),
        (gaussian_kl, (ROWS, ROWS), (ROWS[0], ROWS[0]), r"the target must have shape \(2, 3\)"),
        (gaussian_kl, (ROWS, ROWS.astype(int)), (ROWS, ROWS), "prediction must be floating"),
        (standard_gaussian_kl, (ROWS, ROWS), ROWS, "there is no target, .* found a target of 1 arrays"),
        (standard_gaussian_kl, (ROWS,), (), "the prediction must be the pair"),
    ],
)
def test_what_does_not_fit_is_refused_at_trace_time(loss, prediction, target, text):
    with pytest.raises(UsageError, match=f"^{loss.name}: .*{text}"):
        loss.forward(prediction, target)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("loss", "right", "wrong"),
    [
        (standard_gaussian_kl, "jnp.expm1(v) / 2)", "jnp.expm1(v / 2) / 2)"),
        (gaussian_kl, "jnp.expm1(v - v_0) / 2", "jnp.expm1(v_0 - v) / 2"),
    ],
)
def test_the_line_of_a_slip_is_named(loss, right, wrong, tmp_path):
    assert_named(loss, right, wrong, tmp_path)
