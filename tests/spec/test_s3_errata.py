"""The executable errata of document 003 (E3): read literally they raise, or are silently something else.

Reading notes, with nothing to execute: ∂a^(1)_1/∂z^(l)_n in the Jacobian means ∂a^(l)_1; "·" and "*" both
stand for the product entry by entry; φJ/φW means ∂J/∂W; lost underscores (a^{(l)}{1} is a^{(l)}_1).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof import losses, rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from networks import draw_network, seeds

cross_entropy = losses.softmax_cross_entropy
OBLONG = st.sampled_from([(3, 4), (1, 2), (4, 1), (5, 2)])


def half_squared_grads(rule, params, x, y):
    return bp.value_and_grad(rule, losses.half_squared_error)(params, x, y)[1]


@pytest.mark.spec("E3")
def test_a_bias_of_4_entries_does_not_fit_2_units():
    net = draw_network((3, 4, 2), (), rules.relu, rules.identity, 0)
    hidden, last = net.params
    with pytest.raises(bp.UsageError, match=r"b must have shape \(2,\)"):
        net.rule.forward((hidden, {**last, "b": np.zeros(4)}), net.x)


@pytest.mark.spec("E3")
@given(n=OBLONG, seed=seeds)
def test_summing_over_the_first_index_of_w_does_not_fit_oblong_weights(n, seed):
    rng = np.random.default_rng(seed)
    W, a = rng.normal(size=(n[1], n[0])), rng.normal(size=n[0])
    with pytest.raises(TypeError, match="contracting dimension"):  # z_j = Σ_i W_ij a_i + b_j
        jax.eval_shape(lambda: jnp.matmul(W.T, a))
    assert_agrees(
        lambda a: rules.affine(n[1]).forward({"W": W, "b": jnp.zeros(n[1])}, a)[0],
        lambda a: jnp.einsum("ij,j->i", W, a),
        a,
    )


@pytest.mark.spec("E3")
def test_summing_over_the_first_index_of_a_square_w_is_silently_another_map():
    W, a = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([0.0, 1.0])
    z = measure(lambda a: rules.affine(2).forward({"W": W, "b": jnp.zeros(2)}, a)[0], a).value
    assert np.array_equal(z, [1, 0])
    assert np.array_equal(measure(lambda a: jnp.einsum("ij,i->j", W, a), a).value, [0, 0])


@pytest.mark.spec("E3")
@given(n=OBLONG, seed=seeds)
def test_a_gradient_without_the_transpose_is_no_product_of_columns_and_a_number_on_rows(n, seed):
    (n_below, n_l), rng = n, np.random.default_rng(seed)
    delta, a = rng.normal(size=n_l), rng.normal(size=n_below)
    if n_below > 1:  # ∂J/∂z · a as (n^(l) × 1)(n^(l−1) × 1)
        with pytest.raises(TypeError, match="contracting dimension"):
            jax.eval_shape(lambda: jnp.matmul(delta[:, None], a[:, None]))
    # as vectors of equal length they give one number
    assert jax.eval_shape(lambda: jnp.matmul(delta, np.resize(a, n_l))).shape == ()
    layer = {"W": np.zeros((n_l, n_below)), "b": np.zeros(n_l)}
    grads, _ = measure(rules.affine(n_l).backward, layer, a, delta).value
    assert np.array_equal(grads["W"], delta[:, None] * a[None, :])  # with ᵀ, the outer product


@pytest.mark.spec("E3")
@given(n=OBLONG, i=st.integers(0, 3), seed=seeds)
def test_row_i_of_a_gradient_is_the_input_lying_down(n, i, seed):
    (n_0, n_1), rng = n, np.random.default_rng(seed)
    dz, a, i = rng.normal(size=n_1), rng.normal(size=n_0), i % n_1
    W = np.zeros((n_1, n_0))
    grads, _ = measure(rules.affine(n_1).backward, {"W": W, "b": np.zeros(n_1)}, a, dz).value
    row = grads["W"][i : i + 1, :]
    assert np.array_equal(row, dz[i] * a[None, :])  # (a^(0))ᵀ, 1 × n^(0)
    assert n_0 == 1 or row.shape != a[:, None].shape  # a^(0) itself stands up


@pytest.mark.spec("E3")
@given(n=OBLONG, seed=seeds)
def test_without_the_lost_factor_delta_only_the_weights_are_left(n, seed):
    (n_1, K), rng = n, np.random.default_rng(seed)
    W, delta, z = rng.normal(size=(K, n_1)), rng.normal(size=K), rng.normal(size=n_1)
    layer, zeros = {"W": W, "b": np.zeros(K)}, np.zeros(n_1)
    _, da = measure(rules.affine(K).backward, layer, zeros, delta).value
    assert da.shape == (n_1,)
    assert K == 1 or W.T.shape != (*da.shape, 1)  # the display shows (W^(2))ᵀ where (W^(2))ᵀ δ^(2) is meant
    # ∂J/∂a · ∂a/∂z with the diagonal Jacobian is ∂J/∂a * 1(z ≥ 0)
    assert_agrees(
        lambda da: rules.relu_with(1.0).backward((), z, da)[1], lambda da: da @ jnp.diag((z >= 0) * 1.0), da
    )


@pytest.mark.spec("E3", "S3.13")
def test_the_two_gates_part_at_z_0_by_minus_1_against_0():
    params, x, y = ({"W": np.ones((1, 1)), "b": np.zeros(1)},), np.zeros(1), np.ones(1)
    nets = [bp.mlp((1, 1), gate, last=gate) for gate in (rules.relu_with(1.0), rules.relu)]
    grads = [measure(lambda p, net=net: half_squared_grads(net, p, x, y)[0], params).value for net in nets]
    assert [float(g["b"][0]) for g in grads] == [-1, 0]


@pytest.mark.spec("E3", "S3.13")
@given(n=st.sampled_from([(3, 4, 2), (1, 3, 2)]), seed=seeds)
def test_the_two_gates_agree_off_z_0(n, seed):
    net = draw_network(n, (3,), rules.relu, rules.identity, seed)
    assert_agrees(
        lambda p, x: half_squared_grads(bp.mlp(n, rules.relu_with(1.0)), p, x, net.y),
        lambda p, x: half_squared_grads(net.rule, p, x, net.y),
        net.params,
        net.x,
    )


@pytest.mark.spec("E3")
@given(n=OBLONG, N=st.sampled_from([1, 3]), seed=seeds)
def test_samples_in_rows_turn_the_weight_gradient_over_and_leave_the_rest(n, N, seed):
    (n_in, n_out), rng = n, np.random.default_rng(seed)
    W, b = rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)  # the sequel's layout: X W + b
    X, D = rng.normal(size=(N, n_in)), rng.normal(size=(N, n_out))

    def rows(X, D):
        return jax.grad(lambda W, b: ((X @ W + jnp.broadcast_to(b, D.shape)) * D).sum(), argnums=(0, 1))(W, b)

    def columns(X, D):
        grads, _ = rules.affine(n_out).backward({"W": W.T, "b": b}, X, D)
        return grads["W"].T, grads["b"]

    def sample_by_sample(X, D):
        return sum(jnp.outer(d, x) for d, x in zip(D, X, strict=True)).T, D.sum(axis=0)

    assert_agrees(columns, rows, X, D)  # Xᵀ D = (Dᵀ X)ᵀ
    assert_agrees(columns, sample_by_sample, X, D)


@pytest.mark.spec("E3")
@given(N=st.sampled_from([2, 3, 5]), seed=seeds)
def test_the_sequel_s_mean_is_the_sum_divided_by_the_number_of_samples(N, seed):
    net = draw_network((3, 4, 2), (N,), rules.relu, rules.identity, seed)
    y = np.random.default_rng(seed).integers(0, 2, N)

    def mean(p, x):
        return bp.value_and_grad(net.rule, losses.mean(cross_entropy))(p, x, y)

    def total(p, x):
        return bp.value_and_grad(net.rule, cross_entropy)(p, x, y)

    assert_agrees(mean, lambda p, x: jax.tree.map(lambda leaf: leaf / N, total(p, x)), net.params, net.x)
    assert distance(mean, total, net.params, net.x) > AGREES_WITHIN
