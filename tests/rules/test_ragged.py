"""The ragged product against a loop over its groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from agreement import assert_value
from backproof.arguments import array, partition
from backproof.errors import UsageError
from backproof.rules import ragged_matmul
from slips_in_files import assert_named

GROUPS, N_IN, N_OUT = 3, 4, 2
RULE = ragged_matmul(GROUPS, N_OUT)
SIZES = [(2, 1, 3), (0, 6, 0), (0, 0, 6), (3, 0, 3), (6, 0, 0), (0, 0, 0)]


def drawn(sizes, seed=0):
    """Return (W, x, cotangent)."""
    rng, m = np.random.default_rng(seed), sum(sizes)
    shapes = (GROUPS, N_OUT, N_IN), (m, N_IN), (m, N_OUT)
    return tuple(rng.standard_normal(shape) for shape in shapes)


def by_hand(rule, sizes):
    """Return f(W, x, δ) -> (y, ∂L/∂W, δx) at fixed sizes."""

    def value_and_gradients(W, x, delta):
        y, kept = rule.forward({"W": W}, (x, jnp.asarray(sizes, jnp.int32)))
        grads, delta_x = rule.backward({"W": W}, kept, delta)
        assert delta_x[1] is None
        return y, grads["W"], delta_x[0]

    return value_and_gradients


def group_by_group(sizes):
    """Return the same from a loop over the groups."""

    def value_and_gradients(W, x, delta):
        y, grad_W, delta_x, start = np.zeros(delta.shape), np.zeros(W.shape), np.zeros(x.shape), 0
        for g, size in enumerate(sizes):
            rows = slice(start, start + size)
            y[rows], delta_x[rows] = x[rows] @ W[g].T, delta[rows] @ W[g]
            grad_W[g] = delta[rows].T @ x[rows]
            start += size
        return y, grad_W, delta_x

    return value_and_gradients


@pytest.mark.parametrize("sizes", SIZES)
def test_each_group_has_its_own_matrix(sizes):
    point = drawn(sizes)
    assert_value(by_hand(RULE, sizes), point, group_by_group(sizes)(*point))


def next_group(W, kept, delta):
    grads, _ = RULE.backward({"W": W}, kept, delta)
    return grads, RULE.backward({"W": jnp.roll(W, 1, axis=0)}, kept, delta)[1]


def averaged(W, kept, delta):
    grads, delta_x = RULE.backward({"W": W}, kept, delta)
    sizes = jnp.maximum(kept[1], 1).astype(W.dtype)
    return {"W": grads["W"] / sizes[:, None, None]}, delta_x


@pytest.mark.parametrize("mutant", [next_group, averaged])
@pytest.mark.parametrize("sizes", [(2, 1, 3), (3, 0, 3)])
def test_a_slip_is_caught(mutant, sizes):
    slipped = RULE._replace(backward=lambda params, *args: mutant(jnp.asarray(params["W"]), *args))
    point = drawn(sizes)
    with pytest.raises(AssertionError, match="noise units"):
        assert_value(by_hand(slipped, sizes), point, group_by_group(sizes)(*point))


def test_it_runs_compiled_with_sizes_that_change():
    step = jax.jit(lambda W, x, delta, sizes: by_hand(RULE, sizes)(W, x, delta))
    for sizes in SIZES[:3]:
        W, x, delta = (np.float32(np.round(8 * leaf)) for leaf in drawn(sizes))
        right = group_by_group(sizes)(W, x, delta)
        for got, expected in zip(step(W, x, delta, jnp.array(sizes)), right, strict=True):
            np.testing.assert_array_equal(got, expected)  # whole numbers: sums are exact


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_take_the_dtype_of_the_rows_and_gradients_that_of_the_parameters(dtype):
    x = jnp.ones((3, N_IN), dtype), jnp.array([1, 0, 2])
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), x)
    params, y = RULE.init(jax.random.key(0), like)
    assert (params["W"].shape, params["W"].dtype) == ((GROUPS, N_OUT, N_IN), dtype)
    assert (y.shape, y.dtype) == ((3, N_OUT), dtype)
    wide = {"W": params["W"].astype("float32")}
    y, kept = RULE.forward(wide, x)
    grads, delta_x = RULE.backward(wide, kept, y)
    assert (y.dtype, grads["W"].dtype, delta_x[0].dtype) == (dtype, "float32", dtype)


ROWS, COUNTS, W = np.ones((3, N_IN), "f4"), np.array([1, 0, 2], "i4"), np.ones((GROUPS, N_OUT, N_IN), "f4")


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (ROWS, r"x must be a pair \(rows, sizes\), but found ndarray"),
        ((ROWS,), "found 1 entries"),
        ((ROWS[0], COUNTS), r"rows must have two axes, but found rows of shape \(4,\)"),
        ((np.int32(ROWS), COUNTS), "rows must be floating"),
        ((ROWS, COUNTS[:2]), r"sizes must have shape \(3,\)"),
        ((ROWS, np.float32(COUNTS)), "sizes must be whole numbers, but found sizes of"),
        ((ROWS[:, :2], COUNTS), r"W must have shape \(3, 2, 2\)"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(x, text):
    with pytest.raises(UsageError, match=text):
        RULE.forward({"W": W}, x)


def test_other_misuse_is_refused():
    with pytest.raises(UsageError, match="ragged_matmul: groups must be a whole number of at least 1"):
        ragged_matmul(0, 2)
    with pytest.raises(UsageError, match="ragged_matmul: n_out must be a whole number of at least 1"):
        ragged_matmul(2, 1.5)
    x = (ROWS, COUNTS)
    with pytest.raises(UsageError, match="W must be floating"):
        RULE.forward({"W": np.int32(W)}, x)
    with pytest.raises(UsageError, match=r"delta_y must have shape \(3, 2\)"):
        RULE.backward({"W": W}, x, ROWS)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("product(delta_y, W, sizes)", "product(delta_y, W, sizes[::-1])"),
        ("grad_W = sums_of_outer(delta_y, rows", "grad_W = sums_of_outer(-delta_y, rows"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    def made(module):
        domain = (array("5 2"), partition("3", of=5))
        return module.ragged_matmul(3, 2)._replace(domain=domain)

    assert_named(RULE, right, wrong, tmp_path, made)
