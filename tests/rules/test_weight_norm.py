"""Weight norm against rows divided by `numpy.linalg.norm`, by autodiff and by a double loop in mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_rules import by_autodiff_with, by_hand_with

from agreement import assert_agrees, assert_value
from backproof.errors import UsageError
from backproof.rules import affine, weight_norm
from slips_in_files import assert_named


def by_rows(params, x):
    rows = [g * v / jnp.linalg.norm(v) for g, v in zip(params["g"], params["v"], strict=True)]
    z = jnp.stack([jnp.inner(x, row) for row in rows], axis=-1)
    return z + jnp.broadcast_to(params["b"], z.shape)


@st.composite
def points(draw):
    """Draw (params, x, cotangent), signed and random."""
    batch, n_in = draw(st.sampled_from(((), (2,), (3, 2), (1,), (0,)))), draw(st.sampled_from((1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = {"v": rng.standard_normal((2, n_in)), "g": rng.standard_normal(2), "b": rng.standard_normal(2)}
    return params, rng.standard_normal((*batch, n_in)), rng.standard_normal((*batch, 2))


@given(points())
def test_it_is_that_of_rows_divided_by_their_norms(point):
    assert_agrees(by_hand_with(weight_norm(2)), by_autodiff_with(by_rows), *point)


@pytest.mark.parametrize("v", [[3.0, -4.0], [1e-6, 2e-6], [1e6, 1.0]])
def test_its_gradients_are_those_of_mpmath(v):
    g, x, delta = 1.5, [2.0, -1.0], -0.5
    with mpmath.workdps(60):
        wide = [*map(mpmath.mpf, v)]
        norm = mpmath.sqrt(mpmath.fsum(one**2 for one in wide))
        w = [g * one / norm for one in wide]
        slope = lambda j, i: g * ((i == j) / norm - wide[i] * wide[j] / norm**3)  # ∂w_j/∂v_i
        by_v = [delta * mpmath.fsum(x[j] * slope(j, i) for j in range(2)) for i in range(2)]
        by_g = delta * mpmath.fsum(x[j] * wide[j] / norm for j in range(2))
        z = mpmath.fsum(x[j] * w[j] for j in range(2)) + 0.25
    params = {"v": np.array([v]), "g": np.array([g]), "b": np.array([0.25])}
    grads = {"v": np.array([by_v], float), "g": np.array([by_g], float), "b": np.array([delta])}
    expected = np.array([z], float), (grads, np.array([delta * one for one in w], float))
    assert_value(by_hand_with(weight_norm(1)), (params, np.array(x), np.array([delta])), expected)


def drawn():
    rng = np.random.default_rng(0)
    params = {"v": rng.standard_normal((2, 3)), "g": rng.standard_normal(2), "b": rng.standard_normal(2)}
    return params, rng.standard_normal((4, 3)), rng.standard_normal((4, 2))


def norm(v):
    return jnp.sqrt((v * v).sum(-1, keepdims=True))


MUTANTS = {
    "the norm taken for a constant": lambda v, g, by: g[:, None] / norm(v) * by,
    "the projection not divided by the norm": lambda v, g, by: (
        g[:, None] / norm(v) * (by - v * (by * v).sum(-1, keepdims=True))
    ),
    "the norm of the whole matrix": lambda v, g, by: (
        g[:, None] / jnp.sqrt((v * v).sum()) * (by - v * (by * v).sum(-1, keepdims=True) / norm(v) ** 2)
    ),
    "the gain forgotten": lambda v, g, by: (
        (by - v * (by * v).sum(-1, keepdims=True) / norm(v) ** 2) / norm(v)
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    rule = weight_norm(2)

    def backward(params, x, delta):
        grads, delta_x = rule.backward(params, x, delta)
        return {**grads, "v": MUTANTS[name](params["v"], params["g"], delta.T @ x)}, delta_x

    assert_agrees(by_hand_with(rule), by_autodiff_with(by_rows), *drawn())
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand_with(rule._replace(backward=backward)), by_autodiff_with(by_rows), *drawn())


def test_a_step_along_the_gradient_turns_a_row_and_never_shortens_it():
    params, x, delta = drawn()

    def along(params, x, delta):
        grads = weight_norm(2).backward(params, weight_norm(2).forward(params, x)[1], delta)[0]
        return (grads["v"] * params["v"]).sum(-1)

    assert_agrees(along, lambda params, *_: 0 * params["g"], params, x, delta)


def test_it_starts_as_the_affine_map_of_the_same_matrix():
    x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    params, y = weight_norm(4).init(jax.random.key(0), x)
    like, y_of_affine = affine(4).init(jax.random.key(0), x)
    assert (y, params["v"].tolist()) == (y_of_affine, like["W"].tolist())
    with jax.enable_x64(True):
        wide = jax.tree.map(np.float64, params)
        start = {**wide, "g": np.linalg.norm(wide["v"], axis=1)}
        point = np.ones((2, 3))
        assert_agrees(
            lambda x: weight_norm(4).forward(start, x)[0],
            lambda x: affine(4).forward({"W": wide["v"], "b": wide["b"]}, x)[0],
            point,
        )


def test_a_row_of_zeros_has_no_direction_and_no_gradient():
    params = {"v": jnp.zeros((1, 2)), "g": jnp.ones(1), "b": jnp.zeros(1)}
    z, kept = weight_norm(1).forward(params, jnp.ones(2))
    assert jnp.isnan(z).all()
    assert jnp.isnan(weight_norm(1).backward(params, kept, jnp.ones(1))[0]["v"]).all()


def test_numbers_whose_squares_overflow_float16_have_weights():
    params = {
        "v": jnp.full((1, 2), 1000, jnp.float16),
        "g": jnp.ones(1, jnp.float16),
        "b": jnp.zeros(1, jnp.float16),
    }
    assert jnp.isfinite(weight_norm(1).forward(params, jnp.ones(2, jnp.float16))[0]).all()


def test_what_does_not_fit_is_refused():
    params, x = jax.tree.map(jnp.float32, drawn()[0]), jnp.ones((4, 3))
    with pytest.raises(UsageError, match="n_out must be a whole number of at least 1"):
        weight_norm(0)
    with pytest.raises(
        UsageError, match=r"the parameters must be a dict of v, g and b, but found keys \['W', 'b'\]"
    ):
        weight_norm(2).forward({"W": x, "b": x}, x)
    with pytest.raises(UsageError, match=r"v must have shape \(2, 4\)"):
        weight_norm(2).forward(params, jnp.ones((4, 4)))
    with pytest.raises(UsageError, match=r"b must have shape \(2,\)"):
        weight_norm(2).forward({**params, "b": jnp.ones(3)}, x)
    with pytest.raises(UsageError, match="g must be floating"):
        weight_norm(2).forward({**params, "g": jnp.ones(2, int)}, x)
    with pytest.raises(UsageError, match="the input must be floating"):
        weight_norm(2).forward(params, x.astype(int))


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('(by["W"] - direction * along)', 'by["W"]'),
        ('along = (by["W"] * direction)', 'along = (by["W"] * params["v"])'),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(weight_norm(3), right, wrong, tmp_path, made=lambda module: module.weight_norm(3))
