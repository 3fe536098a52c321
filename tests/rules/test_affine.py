import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.rules import affine

KEY = jax.random.key(0)
N_IN, N_OUT = 4, 3
BATCHES = ((), (2,), (5, 2), (1,), (0,))


@st.composite
def points(draw, batches=BATCHES):
    """Draw (params, x, cotangent), all signed and random."""
    batch = draw(st.sampled_from(batches))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = {"W": rng.standard_normal((N_OUT, N_IN)), "b": rng.standard_normal(N_OUT)}
    return params, rng.standard_normal((*batch, N_IN)), rng.standard_normal((*batch, N_OUT))


def row_by_row(params, x):
    """Return z with z_o = Σ_i W_oi x_i + b_o, one sum for each output."""
    columns = [
        (W_o * x.reshape(-1, N_IN)[:, None, :])[..., 0, :].sum(-1) for W_o in params["W"][:, None, None]
    ]
    z = [column + b_o for column, b_o in zip(columns, params["b"][:, None], strict=True)]
    return jnp.stack(z, axis=-1).reshape(*x.shape[:-1], N_OUT)


def with_one_bias(params, x):
    """Return the affine map of erratum E2b: one bias shared by all outputs."""
    z = row_by_row({**params, "b": 0 * params["b"]}, x)
    return z + params["b"][0]


@given(points())
def test_affine_is_the_sum_written_out(point):
    assert_agrees(by_hand_with(affine(N_OUT)), by_autodiff_with(row_by_row), *point)


@given(points())
def test_gradients_of_parameters_are_summed_over_every_batch_axis(point):
    params, x, delta = point

    def sample_by_sample(params, x, delta):
        rows = zip(x.reshape(-1, N_IN), delta.reshape(-1, N_OUT), strict=True)
        return sum((jnp.outer(d, row) for row, d in rows), jnp.zeros((N_OUT, N_IN), x.dtype))

    assert_agrees(
        lambda *args: by_hand_with(affine(N_OUT))(*args)[1][0]["W"], sample_by_sample, params, x, delta
    )


@given(points(batches=((2,), (5, 2))))
def test_a_shared_bias_is_caught_by_the_reference_alone(point):
    mutant = by_autodiff_with(with_one_bias)
    assert_agrees(mutant, by_autodiff_with(lambda params, x: with_one_bias(params, x)), *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(mutant, by_autodiff_with(row_by_row), *point)


@given(points(batches=((2,), (5, 2))))
def test_a_gradient_averaged_over_the_batch_is_caught(point):
    rule = affine(N_OUT)

    def backward(params, x, delta):
        grads, delta_x = rule.backward(params, x, delta)
        return jax.tree.map(lambda g: g / (delta.size // N_OUT), grads), delta_x

    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(rule._replace(backward=backward)), by_autodiff_with(row_by_row), *point)


def test_a_missing_transpose_is_caught_on_a_square_matrix():
    square = affine(N_IN)
    mutant = square._replace(
        backward=lambda params, x, delta: (square.backward(params, x, delta)[0], delta @ params["W"].T)
    )
    rng = np.random.default_rng(0)
    point = (
        {"W": rng.standard_normal((4, 4)), "b": rng.standard_normal(4)},
        rng.standard_normal(4),
        rng.standard_normal(4),
    )
    oracle = by_autodiff_with(lambda params, x: params["W"] @ x + params["b"])
    assert_agrees(by_hand_with(square), oracle, *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(mutant), oracle, *point)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_parameters_take_the_dtype_of_the_input(dtype):
    params, z = affine(N_OUT).init(KEY, jax.ShapeDtypeStruct((2, N_IN), dtype))
    assert jax.tree.map(lambda p: (p.shape, p.dtype.name), params) == {
        "W": ((3, 4), dtype),
        "b": ((3,), dtype),
    }
    assert (z.shape, z.dtype) == ((2, 3), dtype)


def test_weights_start_with_variance_two_over_n_in_and_biases_at_zero():
    n_in, n_out = 50, 400
    params, _ = affine(n_out).init(KEY, jax.ShapeDtypeStruct((n_in,), "float32"))
    chi_squared = float((params["W"] ** 2).sum()) * n_in / 2  # of mean N and variance 2 N
    N = n_in * n_out
    assert abs(chi_squared - N) < 5 * (2 * N) ** 0.5
    assert not params["b"].any()


@pytest.mark.parametrize("n_out", [0, -1, 2.0, "3", None])
def test_a_width_that_is_no_positive_whole_number_is_refused(n_out):
    with pytest.raises(
        UsageError, match=r"affine: n_out must be a whole number of at least 1, but found n_out="
    ):
        affine(n_out)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            np.float32(1),
            r"affine: the input must be one array with at least one axis, but found x of shape \(\)",
        ),
        (np.int32([1, 2, 3, 4]), r"affine: the input must be floating, but found x of dtype int32"),
        (np.float32([1, 2]), r"affine: x must have shape \(4,\), but found .*W has shape \(3, 4\)"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(x, text):
    rule = affine(N_OUT)
    params, _ = rule.init(KEY, jax.ShapeDtypeStruct((N_IN,), "float32"))
    with pytest.raises(UsageError, match=text):
        rule.forward(params, x)


W, B = np.ones((3, 4), "f4"), np.ones(3, "f4")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"W": W}, "affine: the parameters must be a dict of W and b, but found no b; initialise"),
        ((W, B), "found no W and no b"),
        ({"W": W, "b": B, "c": B}, r"found keys \['W', 'b', 'c'\]"),
        ({"W": W, "b": B[:2]}, r"b must have shape \(3,\), but found b.shape=\(2,\)"),
        ({"W": W[0], "b": B}, r"W must have two axes, but found W.shape=\(4,\)"),
        ({"W": W.astype("i4"), "b": B}, "W must be floating, but found W of dtype int32; convert it first"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params, text):
    with pytest.raises(UsageError, match=text):
        affine(N_OUT).forward(params, np.ones((2, 4), "f4"))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (5, 3), (2, 2, 3)])
def test_a_cotangent_of_another_shape_than_the_output_is_refused(shape):
    rule, params = affine(N_OUT), {"W": W, "b": B}
    with pytest.raises(
        UsageError, match=r"affine: delta_z must have shape \(2, 3\), but found delta_z.shape="
    ):
        rule.backward(params, np.ones((2, 4), "f4"), np.ones(shape, "f4"))


def test_a_width_may_be_a_whole_number_of_numpy():
    assert affine(np.int64(3)).name == "affine(3)"
