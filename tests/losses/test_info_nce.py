"""InfoNCE against the cross entropies of optax over rows and columns, and against a double loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws_of_losses import by_hand

import backproof as bp
from agreement import assert_agrees
from backproof.errors import UsageError
from backproof.losses import info_nce_with, mean
from slips_in_files import assert_named

BOTH = info_nce_with(0.5, symmetric=True)


def of_optax(tau, symmetric=False):
    entropy = optax.losses.softmax_cross_entropy_with_integer_labels

    def value(prediction, target):
        x, y = prediction
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            S, own = jnp.einsum("in,jn->ij", x, y) / tau, np.arange(len(x))
            rows = entropy(S, own).sum()
            return (rows + entropy(S.T, own).sum()) / 2 if symmetric else rows

    return jax.value_and_grad(value)


def pairs(b, n, seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return tuple(scale * rng.standard_normal((b, n)) for _ in range(2))


@pytest.mark.parametrize("symmetric", [False, True])
@given(
    st.sampled_from(((3, 2), (1, 4), (4, 4), (0, 3))),
    st.sampled_from((1e-3, 1, 20)),
    st.integers(0, 2**32 - 1),
)
def test_it_is_that_of_optax(symmetric, shape, scale, seed):
    loss = info_nce_with(0.5, symmetric)
    assert_agrees(by_hand(loss), of_optax(0.5, symmetric), pairs(*shape, seed, scale), ())


def test_it_is_that_of_a_double_loop():
    x, y = pairs(3, 2, 0)

    def by_loops(x, y):
        e = [[jnp.exp(sum(x[i, k] * y[j, k] for k in range(2)) / 0.5) for j in range(3)] for i in range(3)]
        rows = [sum(e[i]) for i in range(3)]
        columns = [sum(e[i][j] for i in range(3)) for j in range(3)]
        value = -sum(jnp.log(e[i][i] / rows[i]) + jnp.log(e[i][i] / columns[i]) for i in range(3)) / 2
        delta_x, delta_y = 0 * x, 0 * y
        for i in range(3):
            for j in range(3):
                g = (e[i][j] / rows[i] + e[i][j] / columns[j]) / 2 - float(i == j)
                for k in range(2):
                    delta_x = delta_x.at[i, k].add(g * y[j, k] / 0.5)
                    delta_y = delta_y.at[j, k].add(g * x[i, k] / 0.5)
        return value, (delta_x, delta_y)

    assert_agrees(lambda x, y: by_hand(BOTH)((x, y), ()), by_loops, x, y)


def test_a_pair_alone_costs_nothing_and_has_gradient_zero():
    value, slopes = by_hand(BOTH)((np.ones((1, 3), "f4"), np.ones((1, 3), "f4")), ())
    assert value == 0
    assert not any(np.any(slope) for slope in slopes)


def test_its_mean_is_over_the_pairs():
    third = lambda *args: jax.tree.map(lambda leaf: leaf / 3, by_hand(BOTH)(*args))
    assert_agrees(by_hand(mean(BOTH)), third, pairs(3, 2, 0), ())


def test_the_gradient_of_pairs_that_are_told_apart_keeps_its_digits_in_float32():
    """P_ii − 1 would round to 0, because e^{−36} is far below the rounding of 1."""
    x = 6 * jnp.eye(2, dtype=jnp.float32)
    _, (slope, _) = by_hand(info_nce_with(1.0))((x, x), ())
    true = 6 * np.exp(-36) / (1 + np.exp(-36))
    assert np.all(np.abs(np.abs(slope) / true - 1) < 8 * np.finfo(np.float32).eps)
    np.testing.assert_array_equal(np.sign(slope), [[-1, 1], [1, -1]])


def test_it_keeps_one_square_matrix_beside_the_pairs():
    x, y = jnp.ones((4, 3), jnp.bfloat16), jnp.ones((4, 3), jnp.bfloat16)
    kept = BOTH.forward((x, y), ())[1]
    assert kept[0] is x
    assert kept[1] is y
    assert (kept[2].shape, kept[2].dtype) == ((4, 4), jnp.float32)


def test_a_network_is_trained_with_it_by_value_and_grad():
    network = bp.rules.linear_head(3)  # any rule with two arrays of one shape
    x = np.random.default_rng(0).standard_normal((3, 2)).astype("f4")
    params, _ = network.init(jax.random.key(0), jax.eval_shape(lambda: x))
    value, grads = bp.value_and_grad(network, BOTH)(params, x, ())
    lower = jax.tree.map(lambda p, g: p - 0.01 * g, params, grads)
    assert bp.value_and_grad(network, BOTH)(lower, x, ())[0] < value


MUTANTS = {
    "G for its transpose": lambda x, y, P, Q: ((P + Q) / 2 - jnp.eye(3), (P + Q).T / 2 - jnp.eye(3)),
    "the column's part left out": lambda x, y, P, Q: (P - jnp.eye(3), P - jnp.eye(3)),
    "each direction for its own side": lambda x, y, P, Q: (P - jnp.eye(3), Q - jnp.eye(3)),
    "a half forgotten": lambda x, y, P, Q: (P + Q - jnp.eye(3), P + Q - jnp.eye(3)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_slip_is_caught(name):
    def backward(kept):
        x, y, _ = kept
        S = x @ y.T / 0.5
        G, H = MUTANTS[name](x, y, jax.nn.softmax(S, 1), jax.nn.softmax(S, 0))
        return G @ y / 0.5, H.T @ x / 0.5

    point = pairs(3, 2, 1), ()
    assert_agrees(by_hand(BOTH), of_optax(0.5, symmetric=True), *point)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees(by_hand(BOTH._replace(backward=backward)), of_optax(0.5, symmetric=True), *point)


ROWS = np.ones((2, 3), "f4")


@pytest.mark.parametrize(
    ("prediction", "target", "text"),
    [
        (ROWS, (), r"the prediction must be the pair \(x, y\)"),
        ((ROWS, ROWS[:1]), (), r"pair \(x, y\) .* but found float32\[2, 3\], float32\[1, 3\]"),
        ((ROWS[0], ROWS[0]), (), "with a row for each sample"),
        ((ROWS, ROWS.astype("f2")), (), "of one shape"),
        ((ROWS.astype(int), ROWS), (), "prediction must be floating"),
        ((ROWS, ROWS), np.arange(2), "there is no target, .* found a target of 1 arrays"),
    ],
)
def test_what_does_not_fit_is_refused_at_trace_time(prediction, target, text):
    with pytest.raises(UsageError, match=rf"^info_nce_with\(0.5, symmetric=True\): .*{text}"):
        BOTH.forward(prediction, target)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), "1"])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(UsageError, match=r"^info_nce_with: temperature must be a finite number above 0"):
        info_nce_with(temperature)


@pytest.mark.as_user
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("delta_y = G.T @", "delta_y = G @"),
        ("token_deltas(S.T, own, column, PLAIN).T) / 2", "token_deltas(S.T, own, column, PLAIN)) / 2"),
    ],
)
def test_the_line_of_a_slip_is_named(right, wrong, tmp_path):
    assert_named(
        BOTH, right, wrong, tmp_path, lambda module: module.info_nce_with(0.5, symmetric=True), examples=40
    )
