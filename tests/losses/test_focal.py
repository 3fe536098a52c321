"""The focal loss against optax, and against its formula in mpmath at large logits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import assert_is, by_hand, points, summed

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.losses import binary_cross_entropy, focal, focal_with
from slips_in_files import assert_named

CHOICES = ((2.0, 0.25), (0.5, None), (0.0, None), (5.0, 1.0))


def bits(rng, shape):
    return rng.integers(2, size=shape).astype(float)


def of_optax(gamma, alpha):
    return summed(lambda z, t: optax.losses.sigmoid_focal_loss(z, t, alpha=alpha, gamma=gamma))


@pytest.mark.parametrize("choice", CHOICES)
@given(st.data())
def test_it_is_that_of_optax_where_its_powers_have_a_derivative(choice, data):
    z, t = data.draw(points(bits))
    assert_is(focal_with(*choice), of_optax(*choice), np.clip(z, -15, 15), t)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("z", [-800.0, -40.0, -1.0, -1e-9, 0.0, 0.5, 40.0, 800.0])
@pytest.mark.parametrize("t", [0, 1])
def test_it_is_exact_at_large_logits(choice, z, t):
    gamma, alpha = choice
    with mpmath.workdps(900):
        u, sign = (mpmath.mpf(z), 1) if t else (-mpmath.mpf(z), -1)
        weight = 1 if alpha is None else mpmath.mpf(alpha) if t else 1 - mpmath.mpf(alpha)
        other, p = 1 / (1 + mpmath.exp(u)), 1 / (1 + mpmath.exp(-u))
        minus_log = mpmath.log1p(mpmath.exp(-u))
        value = weight * other**gamma * minus_log
        slope = -sign * weight * other**gamma * (gamma * p * minus_log + other)
    assert_value(
        by_hand(focal_with(*choice)),
        (np.array([z]), np.array([float(t)])),
        (float(value), np.array([float(slope)])),
    )


@given(points(bits))
def test_with_gamma_zero_it_is_the_cross_entropy(point):
    assert_agrees(by_hand(focal_with(0.0)), by_hand(binary_cross_entropy), *point)


@pytest.mark.parametrize("z", [-1e4, 1e4])
@pytest.mark.parametrize("t", [0.0, 1.0])
@pytest.mark.parametrize("loss", [focal, focal_with(0.5)], ids=lambda loss: loss.name)
def test_large_logits_are_finite_when_compiled_in_float32(loss, z, t):
    value, slope = jax.jit(by_hand(loss))(jnp.float32([z]), jnp.float32([t]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert (slope == 0).all() == ((z > 0) == t)


def test_it_keeps_what_it_gets():
    z, t = jnp.ones(3, jnp.bfloat16), jnp.ones(3, jnp.bfloat16)
    kept = focal.forward(z, t)[1]
    assert kept[0] is z
    assert kept[1] is t


MUTANTS = {
    "the weight taken for a constant": lambda p, o, L: -(o**2) * o,
    "γ forgotten": lambda p, o, L: -(o**2) * (p * L + o),
    "an exponent of γ − 1": lambda p, o, L: -o * (2 * p * L + o),
    "σ(u) forgotten": lambda p, o, L: -(o**2) * (2 * L + o),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    def backward(kept):
        z, _ = kept  # every label is 1
        return MUTANTS[name](jax.nn.sigmoid(z), jax.nn.sigmoid(-z), jax.nn.softplus(-z))

    loss, point = focal_with(2.0), (np.array([0.5, -1.0]), np.ones(2))
    assert_is(loss, of_optax(2.0, None), *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_is(loss._replace(backward=backward), of_optax(2.0, None), *point)


def test_names_say_the_choice():
    assert [focal.name, focal_with(0.5).name, focal_with(0.5, 0.1).name] == [
        "focal",
        "focal_with(0.5)",
        "focal_with(0.5, 0.1)",
    ]
    assert focal_with(0.5) is focal_with(0.5)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((-1.0,), "gamma must be a finite number of at least 0, but found gamma=-1.0"),
        ((float("inf"),), "gamma must be a finite number"),
        ((2.0, 1.5), "alpha must be a finite number from 0 to 1, but found alpha=1.5"),
        ((2.0, "1"), "alpha must be a finite number from 0 to 1"),
    ],
)
def test_a_choice_out_of_range_is_refused(args, text):
    with pytest.raises(UsageError, match=f"^focal_with: {text}"):
        focal_with(*args)


def test_a_target_of_another_shape_or_dtype_is_refused():
    z = np.ones((2, 3), "f4")
    with pytest.raises(UsageError, match=r"^focal_with\(2, 0.25\): the target must have shape \(2, 3\)"):
        focal.forward(z, z[:1])
    with pytest.raises(UsageError, match=r"^focal_with\(2, 0.25\): the target must have the dtype"):
        focal.forward(z, z.astype(int))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return weight * (gamma * expit(u) * log1p_exp(-u) + expit(-u))", "return weight * expit(-u)"),
        ("of_zero * g(-z) - of_one * g(z)", "of_zero * g(-z) - of_zero * g(z)"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(focal, right, wrong, tmp_path)
