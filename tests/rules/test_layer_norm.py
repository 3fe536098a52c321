"""Layer norm against its sums written out, number by number, and against `jax.nn.standardize`."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from laws_of_rules import by_autodiff_with, by_hand_with, rows_with_params

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.rules import layer_norm, layer_norm_with
from slips_in_files import assert_named

EPSILON = 1e-5
NAMES = ("gain", "shift")


def standardised(params, x):
    shape = x.shape
    gain, shift = (jnp.broadcast_to(params[name], shape) for name in ("gain", "shift"))
    return gain * jax.nn.standardize(x, axis=-1, epsilon=EPSILON) + shift


BY_AUTODIFF = by_autodiff_with(standardised)


def exactly(row, gain, shift, delta, epsilon):
    """Return y, ∂L/∂gain and δx of one row, from the Jacobian of each number by each, in mpmath."""
    n = len(row)
    m = mpmath.fsum(row) / n
    d = mpmath.sqrt(mpmath.fsum((x - m) ** 2 for x in row) / n + epsilon)
    hat = [(x - m) / d for x in row]

    def slope(j, i):  # ∂hat_j/∂x_i
        return ((i == j) - mpmath.mpf(1) / n) / d - (row[j] - m) * (row[i] - m) / (n * d**3)

    delta_x = [mpmath.fsum(delta[j] * gain[j] * slope(j, i) for j in range(n)) for i in range(n)]
    y = [g * h + b for g, h, b in zip(gain, hat, shift, strict=True)]
    return y, [a * b for a, b in zip(delta, hat, strict=True)], delta_x


@given(rows_with_params(NAMES))
def test_it_is_that_of_jax_and_gradients_are_summed_over_every_batch_axis(point):
    assert_agrees(by_hand_with(layer_norm), BY_AUTODIFF, *point)


@pytest.mark.parametrize("row", [[1.0, -2.0, 4.0], [3.0, 3.0, 3.0], [0.0], [1e3, -1e3], [1e-4, 2e-4, 3e-4]])
def test_it_is_its_jacobian_written_out(row):
    gain, shift, delta = (
        [0.5, -1.5, 2.0][: len(row)],
        [1.0, 0.0, -3.0][: len(row)],
        [2.0, 1.0, -0.5][: len(row)],
    )
    with mpmath.workdps(60):
        y, grad_gain, delta_x = exactly(*([*map(mpmath.mpf, v)] for v in (row, gain, shift, delta)), EPSILON)
    expected = (
        np.array(y, float),
        (
            {"gain": np.array(grad_gain, float), "shift": np.array(delta)},
            np.array(delta_x, float),
        ),
    )
    point = {"gain": np.array(gain), "shift": np.array(shift)}, np.array(row), np.array(delta)
    assert_value(by_hand_with(layer_norm), point, expected)


@given(rows_with_params(NAMES, sizes=(2, 4)))
def test_its_gradient_does_not_see_a_constant_that_is_added(point):
    params, x, delta = point
    assert_agrees(
        lambda x: by_hand_with(layer_norm)(params, x, delta)[1][1].sum(axis=-1),
        lambda x: 0 * x.sum(axis=-1),
        x,
    )


MUTANTS = {
    "the path through the mean left out": lambda hat, d, scale: (
        (d - hat * (d * hat).mean(-1, keepdims=True)) * scale
    ),
    "the path through the deviation left out": lambda hat, d, scale: (d - d.mean(-1, keepdims=True)) * scale,
    "a sum for a mean": lambda hat, d, scale: (
        (d - d.mean(-1, keepdims=True) - hat * (d * hat).sum(-1, keepdims=True)) * scale
    ),
    "the factor 1/d forgotten": lambda hat, d, scale: (
        d - d.mean(-1, keepdims=True) - hat * (d * hat).mean(-1, keepdims=True)
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    def backward(params, kept, delta):
        x, m, scale = kept
        grads, _ = layer_norm.backward(params, kept, delta)
        return grads, MUTANTS[name]((x - m) * scale, params["gain"][None] * delta, scale)

    rng = np.random.default_rng(0)
    params = {"gain": rng.standard_normal(4), "shift": rng.standard_normal(4)}
    point = params, rng.standard_normal((2, 4)), rng.standard_normal((2, 4))
    assert_agrees(by_hand_with(layer_norm), BY_AUTODIFF, *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(layer_norm._replace(backward=backward)), BY_AUTODIFF, *point)


def test_it_keeps_two_numbers_a_row_beside_its_input():
    params, x = {"gain": jnp.ones(4), "shift": jnp.zeros(4)}, jnp.ones((2, 4), jnp.bfloat16)
    y, (kept, m, scale) = layer_norm.forward(params, x)
    assert kept is x
    assert (m.shape, scale.shape, y.dtype) == ((2, 1), (2, 1), jnp.bfloat16)


def test_numbers_whose_squares_overflow_float16_have_a_gradient():
    params = {"gain": jnp.ones(2, jnp.float16), "shift": jnp.zeros(2, jnp.float16)}
    y, kept = layer_norm.forward(params, jnp.array([1000.0, -1000.0], jnp.float16))
    assert y.tolist() == [1, -1]
    assert layer_norm.backward(params, kept, jnp.ones(2, jnp.float16))[1].tolist() == [0, 0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"layer_norm_with: epsilon must be a finite number"):
        layer_norm_with(float("nan"))
    params = {"gain": jnp.ones(3), "shift": jnp.zeros(4)}
    with pytest.raises(UsageError, match=r"gain must have shape \(4,\)"):
        layer_norm.forward(params, jnp.ones((2, 4)))
    with pytest.raises(UsageError, match="the input must be one array with at least one axis"):
        layer_norm.init(jax.random.key(0), jax.ShapeDtypeStruct((), "float32"))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("- hat * mean(delta_hat * hat)", "- hat * mean(delta_hat)"),
        ('"gain": over_batch(delta * hat', '"gain": over_batch(delta * x'),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(layer_norm, right, wrong, tmp_path)
