"""Direct preference optimisation against its definition by autodiff, and against mpmath at large margins."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import by_hand

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.losses import dpo, dpo_with, mean
from slips_in_files import assert_named


def defined(beta):
    """Return the loss as the binary cross entropy of the first answer being better."""

    def value(prediction, target):
        better, worse = (a - b for a, b in zip(prediction, target, strict=True))
        return -jax.nn.log_sigmoid(beta * better - beta * worse).sum()

    return value


@st.composite
def points(draw):
    shape, scale = draw(st.sampled_from(((), (3,), (2, 3), (0,)))), draw(st.sampled_from((1e-3, 1, 100)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return tuple(tuple(scale * rng.standard_normal(shape) for _ in range(2)) for _ in range(2))


@given(points(), st.sampled_from([0.1, 0.5, 2.0]))
def test_it_is_its_definition(point, beta):
    assert_agrees(by_hand(dpo_with(beta)), jax.value_and_grad(defined(beta)), *point)


@pytest.mark.parametrize("margin", [-8000.0, -400.0, -1e-6, 0.0, 3.0, 400.0, 8000.0])
def test_it_is_exact_at_large_margins(margin):
    with mpmath.workdps(900):
        z = margin / mpmath.mpf(2)
        value, push = mpmath.log1p(mpmath.exp(-z)), 1 / (1 + mpmath.exp(z)) / 2
    point = (np.array(margin), np.array(0.0)), (np.array(0.0), np.array(0.0))
    assert_value(
        by_hand(dpo_with(0.5)), point, (float(value), (np.array(float(-push)), np.array(float(push))))
    )


@pytest.mark.parametrize("margin", [-1e5, 1e5])
def test_large_margins_are_finite_when_compiled_in_float32(margin):
    pair = jnp.float32([margin]), jnp.float32([0])
    value, (better, worse) = jax.jit(by_hand(dpo))(pair, (jnp.zeros(1), jnp.zeros(1)))
    assert value == max(np.float32(-0.1) * np.float32(margin), 0)
    np.testing.assert_array_equal(better, [0 if margin > 0 else np.float32(-0.1)])
    np.testing.assert_array_equal(worse, -better)


def test_a_difference_of_large_logarithms_keeps_its_digits_in_bfloat16():
    """In bfloat16, the difference of the four numbers would be 0 or 8, and not 4."""
    chosen, rejected, of_chosen, of_rejected = (
        jnp.array([x], jnp.bfloat16) for x in (-1000, -1008, 2.0, -2.0)
    )
    _, kept = dpo.forward((chosen, rejected), (of_chosen, of_rejected))
    assert kept[0].tolist() == [4.0]


def test_its_mean_is_over_the_pairs():
    point = tuple(
        tuple(np.random.default_rng(i).standard_normal((2, 3)) for i in pair) for pair in ((0, 1), (2, 3))
    )
    sixth = lambda *args: jax.tree.map(lambda leaf: leaf / 6, by_hand(dpo)(*args))
    assert_agrees(by_hand(mean(dpo)), sixth, *point)


def test_it_keeps_one_number_a_pair():
    pair = jnp.ones(4), jnp.ones(4)
    assert sum(leaf.size for leaf in jax.tree.leaves(dpo.forward(pair, pair)[1])) == 4


MUTANTS = {
    "σ(βh) for σ(−βh)": lambda h: (-0.5 * jax.nn.sigmoid(0.5 * h), 0.5 * jax.nn.sigmoid(0.5 * h)),
    "β forgotten": lambda h: (-jax.nn.sigmoid(-0.5 * h), jax.nn.sigmoid(-0.5 * h)),
    "the rejected answer forgotten": lambda h: (-0.5 * jax.nn.sigmoid(-0.5 * h), 0 * h),
    "both pushed alike": lambda h: (-0.5 * jax.nn.sigmoid(-0.5 * h), -0.5 * jax.nn.sigmoid(-0.5 * h)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    loss, point = dpo_with(0.5), ((np.array([1.0]), np.array([-0.5])), (np.array([0.25]), np.array([2.0])))
    assert_agrees(by_hand(loss), jax.value_and_grad(defined(0.5)), *point)
    mutant = loss._replace(backward=lambda kept: MUTANTS[name](kept[0]))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(mutant), jax.value_and_grad(defined(0.5)), *point)


ONE, ROW = np.ones(3, "f4"), np.ones((2, 3), "f4")


@pytest.mark.parametrize(
    ("prediction", "target", "text"),
    [
        (ONE, (ONE, ONE), "the prediction must be the pair .* but found ndarray"),
        ((ONE, ONE), (ONE,), "the target must be the pair .* but found 1 entries"),
        ((ONE, ROW), (ONE, ONE), r"must have shape"),
        ((ONE, ONE), (ONE, ROW), r"must have shape"),
        ((ONE, ONE), (ONE.astype("f2"), ONE), "dtype"),
        ((ONE.astype(int), ONE), (ONE, ONE), "must be floating"),
    ],
)
def test_what_does_not_fit_is_refused_at_trace_time(prediction, target, text):
    with pytest.raises(UsageError, match=rf"^dpo_with\(0.1\): .*{text}"):
        dpo.forward(prediction, target)


@pytest.mark.parametrize("beta", [0, -1.0, float("nan"), "1"])
def test_a_beta_that_is_not_positive_is_refused(beta):
    with pytest.raises(UsageError, match=r"^dpo_with: beta must be a finite number above 0, but found beta="):
        dpo_with(beta)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(beta * expit(-beta * h))", "(beta * expit(beta * h))"),
        ("return -push, push", "return -push, -push"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(dpo, right, wrong, tmp_path)
